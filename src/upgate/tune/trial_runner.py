"""The runs of a search: all through one executor, told as they begin or end; what failed is remembered."""

import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from upgate.execution.driver import SAME_FAILURE, execute
from upgate.execution.executor import Executor, open_executor
from upgate.execution.worker import make_work
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.study.budget import minutes
from upgate.tune.plan import Plan, runs_of
from upgate.tune.search import SearchStopped


@dataclass
class Runs:
    """Jobs in, results by run key out, all through one executor; says which run it is, and remembers what failed."""

    planned: Plan
    library: Datasets
    store: Store
    parent: Run
    console: Console

    def __post_init__(self) -> None:
        self.every, self.done = runs_of(self.planned.search), 0
        self.failed: dict[str, Result] = {}
        self.proven = (
            False  # whether any run has finished; from then on a failure is its own trial's
        )
        self.seconds: dict[str, float] = {}
        self.since: dict[str, float] = {}
        first = next(iter(self.planned.first.values()))
        inline = make_work(self.library.fetch, self.store, self.console)
        self.executor = open_executor(
            first.config, first.spec.threads, first.spec.budget.accelerator, inline
        )

    def __enter__(self) -> "Runs":
        self.executor.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.executor.__exit__(*error)

    def __call__(self, jobs: list[Job]) -> dict[str, Result]:
        """Raises Stopped where several runs are all that there is, and none of them finished: the fault is no single trial's."""
        before = self.done
        found = execute(
            jobs,
            self.library.fetch,
            self.store,
            self.parent,
            self.console,
            self,
            self.executor,
            tolerant=True,
        )
        results = {result.key: result for result in found}
        self.done = before + len(results)
        self.failed |= {key: one for key, one in results.items() if one.status != "FINISHED"}
        self.seconds |= {key: one.metrics.get("seconds", 0.0) for key, one in results.items()}
        self.proven = self.proven or any(one.status == "FINISHED" for one in found)
        if not self.proven and len(results) >= SAME_FAILURE:
            raise SearchStopped(f"the first {len(results)} runs all failed")
        return results

    def on_run_start(self, job: Job, executor: Executor) -> None:
        self.since[job.spec.key] = time.monotonic()
        if executor.in_process:
            self.say(f"run {self.done + 1} of at most {self.every}: {job.name}")

    def on_run_end(self, job: Job, result: Result, executor: Executor) -> None:
        self.done += 1
        took = time.monotonic() - self.since.pop(job.spec.key)
        if not executor.in_process and not result.error:
            self.say(f"run {self.done} of at most {self.every} done: {job.name}, {minutes(took)}")

    def say(self, what: str) -> None:
        self.console.print(what, highlight=False, markup=False, soft_wrap=True)

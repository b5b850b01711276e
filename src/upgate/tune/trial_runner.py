"""The runs of a search: all through one executor; what failed is remembered."""

from types import TracebackType
from typing import Self

from upgate.execution.driver import SAME_FAILURE, execute
from upgate.execution.open import open_executor
from upgate.execution.side_by_side import estimate_seconds
from upgate.execution.worker import make_work
from upgate.experiment.progress import RunProgress, at_most
from upgate.experiment.session import Session
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.tune.plan import SearchPlan, count_runs
from upgate.tune.search import SearchStopped
from upgate.tune.texts import say


class TrialRunner:
    """Jobs in, results by run key out. A context: it ends its executor."""

    def __init__(self, plan: SearchPlan, session: Session, store: Store, parent: Run) -> None:
        self.session, self.store, self.parent = session, store, parent
        self.progress = RunProgress(session.console, at_most(count_runs(plan.search)))
        self.results: dict[str, Result] = {}
        self.proven = False  # whether any run has finished; then a failure is its own trial's
        first = plan.first_job
        work = make_work(session.datasets.fetch, store, session.console)
        fetch, runs = session.datasets.fetch, count_runs(plan.search)
        self.executor = open_executor(
            first,
            first.spec.threads,
            work,
            lambda: runs * estimate_seconds(first, fetch),
        )

    def __enter__(self) -> Self:
        self.executor.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.executor.__exit__(kind, error, traceback)

    @property
    def failed(self) -> dict[str, Result]:
        return {key: one for key, one in self.results.items() if one.status != "FINISHED"}

    @property
    def seconds(self) -> float:
        """What all runs took."""
        return sum(one.metrics.get("seconds", 0.0) for one in self.results.values())

    def __call__(self, jobs: list[Job]) -> dict[str, Result]:
        """Raises SearchStopped where several runs are all there is and none of them finished.

        Then the fault is no single trial's.
        """
        before = self.progress.ended
        ended = execute(
            jobs,
            self.session.datasets.fetch,
            self.store,
            self.parent,
            self.session.console,
            self.progress,
            self.executor,
            tolerant=True,
        )
        results = {result.key: result for result in ended}
        self.progress.ended = before + len(results)  # those that the store had count too
        self.results |= results
        self.proven = self.proven or any(one.status == "FINISHED" for one in ended)
        if not self.proven and len(results) >= SAME_FAILURE:
            raise SearchStopped(say("all_failed", n=len(results)))
        return results

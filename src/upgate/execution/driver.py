"""Run a list of jobs wherever the configuration says: in this process, on this machine's cores, or on a cluster.

What the store holds is settled; the rest is sent out as slots come free, a twin before the runs that it is the twin of; every end is
told. What is sent is done by `worker.work`. Nothing else knows where a run runs.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape

from upgate.errors import UserError
from upgate.execution.executor import Executor, Task, WorkerDied, open_executor
from upgate.execution.run_job import Interrupted, settle_stored
from upgate.execution.worker import doer, task_for
from upgate.run.job import Fetch, Job, folder_of, parameters, result_of
from upgate.run.result import Result
from upgate.run.table_cache import TableCache
from upgate.store.store import Run, Store

__all__ = ["Fetch", "Interrupted", "Job", "Watch", "execute", "parameters"]

SAME_FAILURE = (
    3  # failures of one kind after which a command gives up: the fault is the code's, not the run's
)
ATTEMPTS = 2  # at a run whose worker dies


class Watch(Protocol):
    """Who is told of each run that is trained, as it begins and as it ends; of a second attempt as of another beginning."""

    def begun(self, job: Job, executor: Executor) -> None: ...
    def ended(self, job: Job, result: Result, executor: Executor) -> None: ...


def execute(
    jobs: Sequence[Job],
    fetch: Fetch,
    store: Store,
    parent: Run,
    console: Console,
    watch: Watch | None = None,
    executor: Executor | None = None,
    tolerant: bool = False,
) -> list[Result]:
    """Return a result per job, in order; what the store holds is not trained again. A failure is told at once and the rest go on.

    `executor`: one that is open and stays so; else the one that the configuration asks for is opened. `tolerant`: however many runs fail
    alike, the rest go on. Raises Interrupted on Ctrl-C; then nothing goes on any more, and what was running is marked KILLED.
    """
    if not jobs:
        return []
    with ExitStack() as stack:
        if executor is None:
            first, threads = jobs[0], max(job.spec.threads for job in jobs)
            inline = doer(fetch, store, console)
            executor = stack.enter_context(
                open_executor(first.config, threads, first.spec.budget["accelerator"], inline)
            )
        driver = Driver(jobs, fetch, store, parent, console, watch, executor, tolerant)
        with sigterm_as_ctrl_c():
            try:
                driver.drive()
            except BaseException as error:
                driver.stop()
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise Interrupted from None
                raise
    return [driver.results[job.spec.key] for job in jobs if job.spec.key in driver.results]


class Driver:
    """What waits, what goes on and what came of it."""

    def __init__(
        self,
        jobs: Sequence[Job],
        fetch: Fetch,
        store: Store,
        parent: Run,
        console: Console,
        watch: Watch | None,
        executor: Executor,
        tolerant: bool,
    ) -> None:
        self.fetch, self.store, self.parent, self.console, self.executor = (
            fetch,
            store,
            parent,
            console,
            executor,
        )
        self.tolerant = tolerant
        self.waiting: dict[str, Job] = {}
        for job in jobs:
            self.waiting.setdefault(job.spec.key, job)
        self.wanted = frozenset(self.waiting)
        self.stored = store.finished(self.wanted)
        self.watch = watch or Lines(console, len(self.wanted) - len(self.stored))
        self.shelf, self.shelved = TableCache.at(jobs[0].config["cache"]), set[str]()
        self.going: dict[Future[Task], Job] = {}
        self.results: dict[str, Result] = {}
        self.attempts: Counter[str] = Counter()  # by run
        self.failures: Counter[str] = Counter()  # by kind

    def drive(self) -> None:
        """Until nothing is left to do."""
        while self.waiting or self.going:
            self.send_out()
            for future in wait(self.going, return_when=FIRST_COMPLETED).done:
                self.take_in(self.going.pop(future), future)
        self.store.prepare()  # delivers what a worker could not

    def send_out(self) -> None:
        """In order, settle what is stored and begin what there is a slot for; a run waits until its twin's result is known."""
        for key, job in list(self.waiting.items()):
            if job.twin != key and job.twin in self.wanted and job.twin not in self.results:
                continue
            if key in self.stored:
                self.results[key] = settle_stored(
                    self.stored.pop(key), self.results.get(job.twin), self.store
                )
            elif len(self.going) < self.executor.slots:
                self.begin(job)
            else:
                return
            del self.waiting[key]

    def begin(self, job: Job) -> None:
        self.watch.begun(job, self.executor)
        if not self.executor.here and job.spec.data not in self.shelved:
            self.shelf.put(self.fetch(job)[0])
            self.shelved.add(job.spec.data)
        self.attempts[job.spec.key] += 1
        task = task_for(job, self.results.get(job.twin), self.parent.id, self.store, self.shelf)
        self.going[self.executor.submit(task)] = job

    def take_in(self, job: Job, future: Future[Task]) -> None:
        try:
            result = answered(future.result())
        except WorkerDied as death:
            again = self.died(job, str(death))
            if again is None:
                return
            result = again
        self.results[job.spec.key] = result
        if result.error:
            self.console.print(
                "[red]failed[/]", escape(f"{job.name}: {result.error}"), highlight=False
            )
            self.count(result.error.partition(":")[0])
        self.watch.ended(job, result, self.executor)

    def count(self, kind: str) -> None:
        """After so many failures of a kind nothing more is begun; what goes on may end."""
        self.failures[kind] += 1
        if self.failures[kind] == SAME_FAILURE and not self.tolerant:
            self.waiting.clear()
            self.console.print(
                f"[red]{SAME_FAILURE} runs failed with {kind}; the rest would too, so this stops here.[/]"
            )

    def died(self, job: Job, how: str) -> Result | None:
        """Tell MLflow of a run whose worker is gone; its result, or None if it is to be tried once more."""
        key = job.spec.key
        row = self.store.mark_dead(key, "FAILED", f"its worker died: {how}")
        if row is not None and row.status == "FINISHED":  # all was told but to us
            return settle_stored(row, self.results.get(job.twin), self.store)
        if self.attempts[key] < ATTEMPTS:
            self.console.print(
                "[yellow]worker died[/]",
                escape(f"{job.name}: {how}; it is tried once more"),
                highlight=False,
            )
            self.waiting = {key: job, **self.waiting}
            return None
        told = f"WorkerDied: its worker died {ATTEMPTS} times, now {how}; if memory is short, take a smaller executor.workers"
        return result_of(
            job,
            row.run_id if row else "",
            folder_of(self.store.root, key),
            "FAILED",
            {},
            error=told,
        )

    def stop(self) -> None:
        """End what goes on, in the store too."""
        self.executor.halt()
        for job in self.going.values():
            self.store.mark_dead(job.spec.key, "KILLED", "the command was ended")


def answered(answer: Task) -> Result:
    """The result in a worker's answer. Raises what it says instead."""
    if "refused" in answer:
        raise UserError(answer["refused"])
    if "raised" in answer:
        raise RuntimeError(f"in a worker:\n{answer['raised']}")
    if "interrupted" in answer:
        raise Interrupted
    return Result(**answer["result"])


class Lines:
    """A line as each run ends, where no progress bar shows it."""

    def __init__(self, console: Console, every: int) -> None:
        self.console, self.every, self.done = console, every, 0
        self.since: dict[str, float] = {}

    def begun(self, job: Job, executor: Executor) -> None:
        self.since[job.spec.key] = time.monotonic()

    def ended(self, job: Job, result: Result, executor: Executor) -> None:
        self.done += 1
        took = time.monotonic() - self.since.pop(job.spec.key)
        if not executor.here and not result.error:
            self.console.print(
                f"run {self.done} of {self.every} done: {job.name}, {took:.0f} s",
                highlight=False,
                markup=False,
            )


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """What batch systems send ends a command as Ctrl-C does: runs are marked, workers end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

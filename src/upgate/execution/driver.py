"""Run a list of jobs on an executor: in this process, on this machine's cores, or on a cluster.

Stored results are taken over; the other jobs are submitted as slots come free, a twin before the
runs that are compared with it. Each start and end of a run is reported to a listener, if any.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, suppress
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from upgate.execution.executor import Executor
from upgate.execution.open import open_executor
from upgate.execution.pictures import draw_missing
from upgate.execution.run_job import complete_stored
from upgate.execution.side_by_side import serial_seconds
from upgate.execution.signals import ending_at_once, sigterm_as_ctrl_c
from upgate.execution.texts import say
from upgate.execution.work import Interrupted, WorkerDied, WorkRequest, WorkResponse
from upgate.execution.worker import make_work
from upgate.messages import shown
from upgate.run.datasets import Fetch
from upgate.run.job import Job, make_result
from upgate.run.provenance import code_commit, source_tags
from upgate.run.result import Result, run_folder
from upgate.run.table_cache import TableCache
from upgate.store.connect import Unreachable
from upgate.store.record import Row
from upgate.store.run import Run
from upgate.store.store import Busy, Store

SAME_FAILURE = 3  # failures of one kind after which a command gives up: the code is at fault
PAUSE = 1.0  # seconds between looks at a run that another command is training
ATTEMPTS = 2  # at a run whose worker dies


class RunListener(Protocol):
    """Hears of each run that is trained, when it starts and when it ends; a retry starts again."""

    def on_run_start(self, job: Job, executor: Executor) -> None: ...
    def on_run_end(self, job: Job, result: Result, executor: Executor) -> None: ...


def execute(
    jobs: Sequence[Job],
    fetch: Fetch,
    store: Store,
    parent: Run,
    console: Console,
    listener: RunListener | None = None,
    executor: Executor | None = None,
    tolerant: bool = False,
    pictures: bool = True,
    stored: dict[str, Row] | None = None,
) -> list[Result]:
    """Return a result per job, in order; what the store holds is not trained again.

    A failure is printed at once and the other jobs go on.

    Args: executor, an open one that stays open; without it the configured one is opened and closed.
    tolerant: go on however many runs fail alike. pictures: False leaves those of runs that train
    in this process to `draw_missing`. stored: the jobs' finished runs, where they are known.
    Raises Interrupted on Ctrl-C; then nothing is training any more, and cut-off runs are KILLED. A
    second Ctrl-C ends the process at once.
    """
    if not jobs:
        return []
    if not gc.isenabled():  # the command line imports without it
        gc.freeze()  # what is imported stays; but a model of an earlier call is to be collected
        gc.enable()
    keys = {job.spec.key for job in jobs}
    stored = _stored(store, keys) if stored is None else stored
    left = [job for job in jobs if job.spec.key not in stored]
    with ExitStack() as stack:
        if executor is None:
            executor = _open_configured(jobs[0], left, fetch, store, console, pictures)
            stack.enter_context(executor)
        driver = Driver(jobs, fetch, store, parent, console, listener, executor, tolerant, stored)
        driver.run_or_stop()
    if pictures:
        draw_missing(driver.ahead, list(driver.results.values()), store)
    return [driver.results[job.spec.key] for job in jobs if job.spec.key in driver.results]


def _stored(store: Store, keys: Iterable[str]) -> dict[str, Row]:
    """The finished runs of these keys; none where the store is away: they are trained then."""
    try:
        return store.finished(keys)
    except Unreachable:
        return {}


def _open_configured(
    first: Job,
    left: Sequence[Job],
    fetch: Fetch,
    store: Store,
    console: Console,
    pictures: bool,
) -> Executor:
    """The executor of the first job's configuration, with threads enough for all that are left."""
    threads = max((job.spec.threads for job in left), default=1)
    work = make_work(fetch, store, console, pictures)
    return open_executor(first, threads, work, lambda: serial_seconds(left, fetch))


class Driver:
    """The jobs that wait, those that are training, and the results. One per call of `execute`."""

    def __init__(
        self,
        jobs: Sequence[Job],
        fetch: Fetch,
        store: Store,
        parent: Run,
        console: Console,
        listener: RunListener | None,
        executor: Executor,
        tolerant: bool,
        stored: Mapping[str, Row],
    ) -> None:
        self.fetch, self.store, self.parent, self.console = fetch, store, parent, console
        self.executor, self.tolerant = executor, tolerant
        self.waiting: dict[str, Job] = {}
        for job in jobs:
            self.waiting.setdefault(job.spec.key, job)
        self.keys = frozenset(self.waiting)
        self.stored = dict(stored)
        self.listener, self.source = listener, source_tags(code_commit())
        self.tables, self.saved = TableCache.at(jobs[0].config.cache), set[str]()
        self.training: dict[Future[WorkResponse], Job] = {}
        self.results: dict[str, Result] = {}
        self.ahead: list[Job] = []  # submitted before the result of their twin was known
        self.elsewhere: set[str] = set()  # keys of waiting runs that another command is training
        self.attempts: Counter[str] = Counter()  # by run key
        self.failures: Counter[str] = Counter()  # by kind of error

    def run_or_stop(self) -> None:
        """Run; what ends it early ends the runs in training too. Raises Interrupted."""
        with sigterm_as_ctrl_c():
            try:
                self.run()
            except BaseException as error:
                self.stop()
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise Interrupted from None
                raise

    def run(self) -> None:
        """Dispatch and collect until no job is left."""
        while self.waiting or self.training:
            self.dispatch()
            self.executor.flush()
            if not self.training and self.waiting:
                time.sleep(PAUSE)
            look_again = PAUSE if self.elsewhere else None
            for future in wait(self.training, look_again, FIRST_COMPLETED).done:
                self.collect(self.training.pop(future), future)
        self.store.prepare()  # delivers what a worker could not
        self.name_runs()

    def name_runs(self) -> None:
        """Give the results of runs that began while the store was away their ids in it."""
        nameless = [key for key, result in self.results.items() if not result.run_id]
        with suppress(Unreachable):  # it is still away: the next command delivers
            for key, row in self.store.finished(nameless).items() if nameless else ():
                self.results[key].run_id = row.run_id

    def dispatch(self) -> None:
        """In order, take over stored results and submit as many jobs as there are free slots.

        A run waits until the result of its twin is known, or, where a slot would be idle, until its
        twin is in training; and until no other command trains it.
        """
        self._dispatch(lambda job: not self._waits_for_twin(job))
        if self.executor.ahead:
            self._dispatch(self._twin_is_training)

    def _dispatch(self, ready: Callable[[Job], bool]) -> None:
        for key, job in list(self.waiting.items()):
            if not ready(job) or self._is_elsewhere(job):
                continue
            if key in self.stored:
                twin = self.results.get(job.twin)
                self.results[key] = complete_stored(self.stored.pop(key), twin, self.store)
            elif len(self.training) < self.executor.slots:
                self.submit(job)
            else:
                return
            del self.waiting[key]

    def _waits_for_twin(self, job: Job) -> bool:
        is_own_twin = job.twin == job.spec.key
        return not is_own_twin and job.twin in self.keys and job.twin not in self.results

    def _twin_is_training(self, job: Job) -> bool:
        return any(job.twin == one.spec.key for one in self.training.values())

    def _is_elsewhere(self, job: Job) -> bool:
        """Whether another command trains the run; when that has ended, its result is taken."""
        key = job.spec.key
        if key in self.stored:
            return False
        if self.store.is_open(key):
            self._put_off(job)
            return True
        if key in self.elsewhere:
            self.elsewhere.remove(key)
            self.stored |= _stored(self.store, [key])
        return False

    def _put_off(self, job: Job) -> None:
        if job.spec.key not in self.elsewhere:
            self.tell("mark_waiting", "yellow", say("elsewhere", name=job.name))
        self.elsewhere.add(job.spec.key)

    def submit(self, job: Job) -> None:
        self.store.require()
        if self.listener is not None:
            self.listener.on_run_start(job, self.executor)
        if not self.executor.in_process and job.spec.data not in self.saved:
            self.tables.save(self.fetch(job)[0])
            self.saved.add(job.spec.data)
        self.attempts[job.spec.key] += 1
        if self._waits_for_twin(job):
            self.ahead.append(job)
        self.training[self.executor.submit(self.request(job))] = job

    def request(self, job: Job) -> WorkRequest:
        return WorkRequest(
            job=job,
            twin=self.results.get(job.twin),
            parent=job.parent or self.parent.id,
            root=str(self.store.root),
            uri=self.store.uri,
            cache=self.tables.location,
            source=self.source,
        )

    def collect(self, job: Job, future: Future[WorkResponse]) -> None:
        try:
            result = future.result().unwrap()
        except Busy:  # another command was faster: `dispatch` finds out that it trains the run
            self._put_back(job)
            return
        except WorkerDied as death:
            if self._goes_on(job):
                self._put_back(job)
                return
            retried = self.retry_or_fail(job, death.args[0])
            if retried is None:
                return
            result = retried
        self.results[job.spec.key] = result
        self.compare_late()
        if result.error:
            self.tell("mark_failed", "red", say("failure", name=job.name, error=result.error))
            self.count_failure(result.error.partition(":")[0])
        if self.listener is not None:
            self.listener.on_run_end(job, result, self.executor)

    def compare_late(self) -> None:
        """Compare runs that trained beside their twins, once both have ended."""
        for job in self.ahead:
            result, twin = self.results.get(job.spec.key), self.results.get(job.twin)
            if result is None or twin is None or result.twin is not None:
                continue
            if result.status == twin.status == "FINISHED":
                row = _stored(self.store, [result.key]).get(result.key)
                if row is not None:
                    self.results[result.key] = complete_stored(row, twin, self.store)
                else:  # the store is away: the next command adds it there
                    result.pair(twin)
                    result.write()

    def tell(self, mark: str, color: str, message: str) -> None:
        """Print a message behind a coloured word. mark: the key of the word."""
        self.console.print(Text(shown(say(mark)), color), escape(shown(message)), highlight=False)

    def _put_back(self, job: Job) -> None:
        """Let a run wait for the process that trains it."""
        self.attempts[job.spec.key] -= 1
        self.waiting[job.spec.key] = job
        self._put_off(job)

    def _goes_on(self, job: Job) -> bool:
        """Whether a run is still training, though nothing waits for its answer any more."""
        return self.executor.outlived and self.store.is_open(job.spec.key)

    def count_failure(self, kind: str) -> None:
        """After SAME_FAILURE failures of a kind, submit nothing more; runs in training may end."""
        self.failures[kind] += 1
        if self.failures[kind] == SAME_FAILURE and not self.tolerant:
            self.waiting.clear()
            message = say("same_failure", count=SAME_FAILURE, kind=kind)
            self.console.print(Text(shown(message), "red"))

    def retry_or_fail(self, job: Job, cause: str) -> Result | None:
        """Mark the run of a dead worker in the store; its result, or None for another attempt."""
        key = job.spec.key
        try:
            row = self.store.mark_dead(key, "FAILED", f"its worker died: {cause}")
        except Unreachable as away:  # what it logged waits there, and no other run may take its log
            folder = run_folder(self.store.root, key)
            error = say("died_and", cause=cause, away=away.args[0])
            return make_result(job, "", folder, "FAILED", {}, error=error)
        if row is not None and row.status == "FINISHED":
            # the run finished and was logged; only the reply was lost
            return complete_stored(row, self.results.get(job.twin), self.store)
        if self.attempts[key] < ATTEMPTS:
            self.tell("mark_died", "yellow", say("once_more", name=job.name, cause=cause))
            self.waiting = {key: job, **self.waiting}
            return None
        error = say("died_often", times=ATTEMPTS, cause=cause)
        run_id, folder = row.run_id if row else "", run_folder(self.store.root, key)
        return make_result(job, run_id, folder, "FAILED", {}, error=error)

    def stop(self) -> None:
        """End the runs that are training, and mark them in the store."""
        with ending_at_once(self.executor.kill):
            self.executor.cancel()
            for job in self.training.values():
                if self._goes_on(job):
                    continue
                with suppress(Unreachable):  # the next command marks it
                    self.store.mark_dead(job.spec.key, "KILLED", "the command was ended")

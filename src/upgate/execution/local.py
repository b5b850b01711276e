"""executor=local: a process per run at once, forked from one that has imported everything (forkserver).

A process that dies takes its own run with it and nothing else; the next run in its slot gets a new one.
"""

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from upgate.execution.executor import Executor, LocalKnobs, Task, Work, WorkerDied

PRELOAD = [
    "upgate.execution.worker",
    "upgate.tasks.stock.task",
    "upgate.tasks.sentiment.task",
    "mlflow.store.tracking.sqlalchemy_store",
]
PATIENCE = 15.0  # seconds that an interrupted run has to tell the store


class Local(Executor):
    """`slots` processes, each started when it is first needed."""

    def __init__(self, knobs: LocalKnobs, threads: int, accelerator: str) -> None:
        visible = gpus(os.environ) if accelerator == "cuda" else []
        fit = len(visible) or most_workers(cores(), threads, memory(), peak())
        places = places_of(knobs.workers or fit, visible)
        self._slots = [Slot(threads, environ) for environ in places]
        self._free: SimpleQueue[Slot] = SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._threads = ThreadPoolExecutor(len(self._slots), thread_name_prefix="slot")

    @property
    def slots(self) -> int:
        return len(self._slots)

    def submit(self, task: Task) -> Future[Task]:
        return self._threads.submit(self._do, task)

    def _do(self, task: Task) -> Task:
        slot = self._free.get()
        try:
            return slot.do(task)
        finally:
            self._free.put(slot)

    def halt(self) -> None:
        for slot in self._slots:
            slot.interrupt()
        late = threading.Timer(PATIENCE, self._kill)
        late.start()
        self._threads.shutdown()
        late.cancel()

    def _kill(self) -> None:
        for slot in self._slots:
            slot.kill()

    def close(self) -> None:
        for slot in self._slots:
            slot.end()
        self._threads.shutdown()


class Slot:
    """One process at a time, and the pipe to it. `do` is called by one thread at a time."""

    def __init__(self, threads: int, environ: Mapping[str, str]) -> None:
        self.threads, self.environ = threads, dict(environ)
        self._process: Any = None
        self._pipe: Connection | None = None
        self._halted = False

    def do(self, task: Task) -> Task:
        """Send a task and wait for its answer. Raises Died, and forgets the process, where there is none."""
        try:
            if self._process is None:
                self._start()
            if self._halted:
                raise EOFError
            assert self._pipe is not None
            self._pipe.send(task)
            answer: Task = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerDied(self._bury()) from None
        return answer

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        self._pipe, theirs = context.Pipe()
        with _starting:
            self._process = context.Process(
                target=serve, args=(theirs, self.threads, self.environ), name="upgate-worker"
            )
            self._process.start()
        theirs.close()  # so that the pipe ends when the process does

    def _bury(self) -> str:
        process, self._process = self._process, None
        if process is None:
            return "it was not started"
        process.kill()  # it may have closed its pipe only
        process.join()
        code = process.exitcode
        return (
            f"killed by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with exit code {code}"
        )

    def interrupt(self) -> None:
        """As Ctrl-C would; nothing is begun afterwards."""
        self._halted = True
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)

    def kill(self) -> None:
        if (process := self._process) is not None:
            process.kill()

    def end(self) -> None:
        """Let an idle process go."""
        process, self._process = self._process, None
        if process is not None and self._pipe is not None:
            with suppress(OSError):
                self._pipe.send(None)
            process.join(2)
            process.kill()
            process.join()


_starting = threading.Lock()  # multiprocessing starts one process at a time


class Bell:
    """Ctrl-C for a worker, from the driver alone: it interrupts the run that goes on, and no other follows."""

    def __init__(self) -> None:
        self.rung = self.working = False
        signal.signal(signal.SIGINT, self.ring)

    def ring(self, *_: Any) -> None:
        first, self.rung = not self.rung, True
        if first and self.working:
            raise KeyboardInterrupt

    def under(self, work: Work, task: Task) -> Task:
        self.working = True
        answer = {"interrupted": True} if self.rung else work(task)
        self.working = False
        return answer


def serve(pipe: Connection, threads: int, environ: Mapping[str, str]) -> None:
    """A worker's life: tasks until None. It ends with the driver; the terminal's Ctrl-C does not reach it."""
    os.setsid()
    bell = Bell()
    os.environ.update(environ)
    threading.Thread(target=end_with_driver, daemon=True).start()
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from upgate.execution.worker import work

    torch.set_num_threads(threads)
    threadpool_limits(threads)
    with suppress(EOFError):  # the driver is gone
        while (task := pipe.recv()) is not None:
            pipe.send(bell.under(work, task))


def end_with_driver() -> None:
    """The watchdog tells the store of a run that this cuts off."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


def places_of(workers: int, visible: list[str]) -> list[dict[str, str]]:
    """The environment of each slot: with GPUs one run on each, however many workers were asked for; without, nothing to set."""
    if not visible:
        return [{} for _ in range(workers)]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in visible[:workers]]


def gpus(environ: Mapping[str, str]) -> list[str]:
    """Names of the GPUs that runs may use: those of CUDA_VISIBLE_DEVICES, else all by number."""
    import torch

    if "CUDA_VISIBLE_DEVICES" in environ:
        return [name.strip() for name in environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    return [str(i) for i in range(torch.cuda.device_count())]


def most_workers(cores: int, threads: int, free: float, each: float) -> int:
    """cores // threads, or as many as `free` bytes hold, `each` taking so many; at least 1."""
    return max(1, min(cores // threads, int(free // each)))


def cores() -> int:
    """Cores that this process may use, a container's limit included."""
    from joblib import cpu_count  # type: ignore[import-untyped]

    return int(cpu_count())


def memory() -> float:
    """Bytes that new processes can take."""
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123
            found = {line.split(":")[0]: int(line.split()[1]) * 1024.0 for line in file}
        return found["MemAvailable"]
    except OSError:  # not Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def peak() -> float:
    """Bytes that this process, which holds the data too, has taken at most: about what a worker needs."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


EXECUTOR = Local

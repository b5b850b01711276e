"""executor=local: a process for each slot, forked from one that has all imports (forkserver).

A process that dies loses its own run and nothing else; the next run in its slot gets a new one.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from upgate.execution.executor import Executor, LocalOptions
from upgate.execution.texts import say
from upgate.execution.work import Payload, WorkerDied, WorkRequest, WorkResponse
from upgate.run.resolve import cores
from upgate.tasks.names import module_of, packages

MLFLOW = ("mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store")
TRIES = 3  # at starting a worker
PATIENCE = 15.0  # seconds that an interrupted run has to tell the store


def preload() -> list[str]:
    """What is imported once, before workers are forked: what the command itself has needed.

    Not the other tasks, and MLflow only where the store is not a file.
    """
    needed = [name for name in (*map(module_of, packages()), *MLFLOW) if name in sys.modules]
    return ["upgate.execution.no_collector", "upgate.execution.worker", *needed]


class LocalExecutor(Executor):
    """`slots` processes, each started when it is first needed."""

    ahead = True

    def __init__(self, options: LocalOptions, threads: int, accelerator: str) -> None:
        visible = gpus(os.environ) if accelerator == "cuda" else []
        fitting = len(visible) or most_workers(cores(), threads, free_memory(), peak_memory())
        environments = slot_environments(options.workers or fitting, visible)
        self._slots = [Slot(threads, environment) for environment in environments]
        self._free: SimpleQueue[Slot] = SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._threads = ThreadPoolExecutor(len(self._slots), thread_name_prefix="slot")

    @property
    def slots(self) -> int:
        return len(self._slots)

    def submit(self, request: WorkRequest) -> Future[WorkResponse]:
        return self._threads.submit(self._train, request)

    def _train(self, request: WorkRequest) -> WorkResponse:
        slot = self._free.get()
        try:
            return WorkResponse.from_dict(slot.exchange(request.to_dict()))
        finally:
            self._free.put(slot)

    def cancel(self) -> None:
        for slot in self._slots:
            slot.interrupt()
        late = threading.Timer(PATIENCE, self.kill)
        late.start()
        self._threads.shutdown()
        late.cancel()

    def kill(self) -> None:
        for slot in self._slots:
            slot.kill()

    def close(self) -> None:
        for slot in self._slots:
            slot.end()
        self._threads.shutdown()


class Slot:
    """One process at a time, and the pipe to it. One thread at a time calls `exchange`."""

    def __init__(self, threads: int, environment: Mapping[str, str]) -> None:
        self.threads, self.environment = threads, dict(environment)
        self._process: Any = None
        self._pipe: Connection | None = None
        self._cancelled = False

    def exchange(self, payload: Payload) -> Payload:
        """Send a request and wait for its response.

        Raises WorkerDied, and forgets the process, where none comes.
        """
        try:
            if self._process is None:
                self._start()
            if self._cancelled:
                raise EOFError
            assert self._pipe is not None
            self._pipe.send(payload)
            response: Payload = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerDied(self._reap()) from None
        return response

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(preload())
        self._pipe, worker_end = context.Pipe()
        arguments = (worker_end, self.threads, self.environment)
        with _starting:
            for tries_left in range(TRIES - 1, -1, -1):
                process = context.Process(target=serve, args=arguments, name="upgate-worker")
                try:
                    process.start()
                except (OSError, EOFError):  # somebody killed the server that forks; start another
                    if not tries_left:
                        raise
                    time.sleep(0.2)  # until it is known to be dead
                else:
                    break
        self._process = process
        worker_end.close()  # so that the pipe ends when the process does

    def _reap(self) -> str:
        """Wait for the end of the process; how it ended."""
        process, self._process = self._process, None
        if process is None:
            return say("not_started")
        process.kill()  # it may have closed its pipe only
        process.join()
        code = process.exitcode
        if code < 0:
            return say("killed_by", signal=signal.Signals(-code).name)
        return say("ended_with", code=code)

    def interrupt(self) -> None:
        """Interrupt the run as Ctrl-C would; nothing starts afterwards."""
        self._cancelled = True
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)

    def kill(self) -> None:
        if (process := self._process) is not None:
            process.kill()

    def end(self) -> None:
        """Ask an idle process to end, then kill it."""
        process, self._process = self._process, None
        if process is not None and self._pipe is not None:
            with suppress(OSError):
                self._pipe.send(None)
            process.join(2)
            process.kill()
            process.join()


_starting = threading.Lock()  # multiprocessing starts one process at a time


class InterruptHandler:
    """Ctrl-C for a worker, from the driver alone: it interrupts the run, and no other follows."""

    def __init__(self) -> None:
        self.received = self.training = False
        signal.signal(signal.SIGINT, self.handle)

    def handle(self, *_: Any) -> None:
        first, self.received = not self.received, True
        if first and self.training:
            raise KeyboardInterrupt

    def guard(self, work: Callable[[Payload], Payload], payload: Payload) -> Payload:
        self.training = True
        refused = WorkResponse(interrupted=True).to_dict()
        response = refused if self.received else work(payload)
        self.training = False
        return response


def serve(pipe: Connection, threads: int, environment: Mapping[str, str]) -> None:
    """The loop of a worker: requests until None.

    It ends with the driver; the terminal's Ctrl-C does not reach it.
    """
    os.setsid()
    gc.freeze()  # what was imported before the fork is shared with the other workers for good
    gc.enable()
    handler = InterruptHandler()
    os.environ.update(environment)
    threading.Thread(target=end_with_driver, daemon=True).start()
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from upgate.execution.worker import serve_request

    torch.set_num_threads(threads)
    threadpool_limits(threads)
    with suppress(EOFError):  # the driver is gone
        while (payload := pipe.recv()) is not None:
            pipe.send(handler.guard(serve_request, payload))


def end_with_driver() -> None:
    """End this process when the driver has ended; the watchdog marks the run that this cuts off."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


def slot_environments(workers: int, visible: list[str]) -> list[dict[str, str]]:
    """The environment variables of each slot; without GPUs there is nothing to set.

    With GPUs one run trains on each, however many workers are configured.
    """
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


def free_memory() -> float:
    """Bytes that new processes can take."""
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123
            kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in file}
        return kilobytes["MemAvailable"] * 1024.0
    except OSError:  # not Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def peak_memory() -> float:
    """Peak bytes of this process, which holds the data too: about what a worker needs."""
    import resource  # not on Windows, where no process is forked either

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


EXECUTOR = LocalExecutor

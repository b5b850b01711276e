"""executor=auto: where two cores are free, a second run trains beside the one in this process.

A run and its twin are independent until they are compared, and one LSTM leaves a second core idle
for a part of the time, whatever its threads.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing import get_all_start_methods
from operator import attrgetter
from statistics import fmean
from typing import Any

from torch import Tensor

from upgate.data.datamodule import FoldDataModule
from upgate.execution.executor import Inline, LocalOptions
from upgate.execution.local import LocalExecutor, free_memory, most_workers, peak_memory
from upgate.execution.work import Work, WorkRequest, WorkResponse
from upgate.run.datasets import Fetch
from upgate.run.job import Job
from upgate.run.resolve import cores

START = 12.0  # seconds until a second process trains and has caught up on two cores
OPERATIONS = 6  # per weight and time step: multiply and add, forward and twice backward
SPEED = 3e10  # operations a second of one thread


class SideBySide(LocalExecutor):
    """Two runs at once: one in a process of its own, one in this process, with its progress bar."""

    slots = 2

    def __init__(self, work: Work, threads: int) -> None:
        super().__init__(LocalOptions("local", workers=1), threads, "cpu")
        self._inline = Inline(work)
        self._beside: Future[WorkResponse] | None = None

    def submit(self, request: WorkRequest) -> Future[WorkResponse]:
        """Start a run in the other process; where that trains one, train here to the end."""
        if self._beside is not None and not self._beside.done():
            return self._inline.submit(request)
        self._beside = super().submit(request)
        return self._beside


def pays(accelerator: str, seconds: Callable[[], float]) -> bool:
    """Whether two at once are sooner done than one after the other, the second process included.

    Two cores are enough for two runs of two threads: measured, both together take four fifths of
    the time of one after the other, for a thread of an LSTM waits for the other a part of its time.
    """
    if accelerator != "cpu" or "forkserver" not in get_all_start_methods():
        return False
    if most_workers(cores(), 1, free_memory(), peak_memory()) < 2:
        return False
    return seconds() / 2 > START


def serial_seconds(jobs: Sequence[Job], fetch: Fetch) -> float:
    """About what several jobs take one after the other; 0 for one, beside which there is none.

    By those on the fold of the first, so that no other fold is prepared for it.
    """
    if len(jobs) < 2:
        return 0.0
    data = attrgetter("task", "data", "split", "fold")
    known = [job for job in jobs if data(job.spec) == data(jobs[0].spec)]
    return len(jobs) * fmean(estimate_seconds(job, fetch) for job in known)


def estimate_seconds(job: Job, fetch: Fetch) -> float:
    """About what training takes on one thread, by its recurrent weights and time steps alone.

    Right to a factor of three, which is enough to tell seconds from minutes. 0 of a run that has
    so much time: what it learns in it would depend on the run beside it.
    """
    spec, budget = job.spec, job.spec.budget
    if budget.max_time is not None:
        return 0.0
    data = fetch(job)[1].with_batching(spec.batch_size, spec.seed)
    batches, limit = len(data.train_dataloader()), budget.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    limits = (budget.max_epochs * batches, budget.max_steps)
    steps = min([limit for limit in limits if limit > 0], default=batches)
    knobs: Any = spec.model.knobs
    directions = 2 if knobs["bidirectional"] else 1
    weights = 8 * knobs["hidden_size"] ** 2 * knobs["num_layers"] * directions
    return steps * spec.batch_size * _longest(data) * OPERATIONS * weights / SPEED


def _longest(data: FoldDataModule) -> int:
    """Time steps of the longest sample in a batch of validation, where the longest come first."""
    batch = next(iter(data.val_dataloader()))
    sizes = [one.shape[1] for one in batch.values() if isinstance(one, Tensor) and one.ndim > 1]
    return max(sizes, default=1)

"""executor=ray: runs as tasks of a Ray cluster, an existing one by its address or one of this machine's.

Ray carries plain values and nothing else: what is retried, recorded and told is decided here, as it is for every executor.
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, wait
from importlib.util import find_spec
from typing import Any

from upgate.errors import UserError
from upgate.execution.executor import Executor, RayKnobs, Task, WorkerDied

PATIENCE = 15.0  # seconds that an interrupted run has to tell the store
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns that it hides GPUs from runs that asked for none
}


class Cluster(Executor):
    """Connected when it is first needed. Every machine of it needs this package, the shelf, and the store by its URI."""

    def __init__(self, knobs: RayKnobs, threads: int, accelerator: str) -> None:
        if find_spec("ray") is None:
            raise UserError(
                "executor=ray needs the package ray: pip install 'upgate[ray]', or take executor=local"
            )
        if accelerator == "cuda" and not knobs.gpus:
            raise UserError(
                "executor.gpus=0 gives these runs no GPU to train on; give executor.gpus=1, or trainer.accelerator=cpu"
            )
        self.knobs, self.threads = knobs, threads
        self._ray: Any = None
        self._remote: Callable[[Task], Any] | None = None
        self._ours = False  # whether the connection is ours to end
        self._going: dict[Future[Task], Any] = {}

    @property
    def slots(self) -> int:
        self._connect()
        return self.knobs.workers or max(
            1, int(self._ray.cluster_resources().get("CPU", 1)) // self.threads
        )

    def submit(self, task: Task) -> Future[Task]:
        self._connect()
        assert self._remote is not None
        reference = self._remote(task)
        answer: Future[Task] = Future()
        self._going[answer] = reference
        answer.add_done_callback(self._going.pop)
        reference.future().add_done_callback(lambda done: self._hand_over(done, answer))
        return answer

    def _hand_over(self, done: Future[Task], answer: Future[Task]) -> None:
        from ray.exceptions import RayError, RayTaskError

        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        elif isinstance(error, RayError) and not isinstance(error, RayTaskError):
            answer.set_exception(
                WorkerDied(f"{type(error).__name__} of Ray's")
            )  # the worker, its machine, or its memory
        else:
            answer.set_exception(error)

    def halt(self) -> None:
        for force in (False, True):  # as Ctrl-C would; then as kill -9 does
            going = dict(self._going)
            for reference in going.values():
                self._ray.cancel(reference, force=force)
            wait(going, timeout=PATIENCE)

    def close(self) -> None:
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def _connect(self) -> None:
        if self._remote is not None:
            return
        self._ray = started(self.knobs.address)
        self._ours = not self._ray.is_initialized()
        if self._ours:
            connect(self._ray, self.knobs.address)
        from upgate.execution.worker import work

        needs = {
            "num_cpus": self.threads,
            "num_gpus": self.knobs.gpus,
            "max_retries": 0,
            "scheduling_strategy": "SPREAD",
        }
        self._remote = self._ray.remote(**needs)(work).remote


def started(address: str | None) -> Any:
    """The module ray, told to be quiet, and that a machine by itself is reached by its loopback."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address is None or address.startswith(("127.", "localhost")):
        os.environ.setdefault(
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0"
        )  # else it looks for an outer address, and hangs without one
    import ray

    return ray


def connect(ray: Any, address: str | None) -> None:
    """Join the cluster at an address, or start one. Raises UserError where none answers."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(
            address=address or "local", **quiet, **({} if address else {"include_dashboard": False})
        )
    except (ConnectionError, RuntimeError, ValueError) as error:  # the boundary to a service
        told = " ".join(str(error).split())[:200]
        raise UserError(
            f"no Ray cluster answers at executor.address={address} ({told}); start one, or leave the address out"
        ) from error


EXECUTOR = Cluster

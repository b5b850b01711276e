"""executor=ray: runs as tasks of a Ray cluster, at an address or started on this machine.

Ray carries plain values and nothing else: the driver decides what is retried and recorded, as it
does for every executor.
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, wait
from importlib.util import find_spec
from typing import Any

from upgate.errors import UserError
from upgate.execution.executor import Executor, RayOptions
from upgate.execution.texts import say
from upgate.execution.work import Payload, WorkerDied, WorkRequest, WorkResponse

PATIENCE = 15.0  # seconds that an interrupted run has to tell the store
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # else it warns that it hides GPUs from runs that requested none
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class RayExecutor(Executor):
    """Connects when it is first needed.

    Every machine of the cluster needs this package, the table cache, and the store by its URI.
    """

    def __init__(self, options: RayOptions, threads: int, accelerator: str) -> None:
        if find_spec("ray") is None:
            raise UserError(say("needs_ray"))
        if accelerator == "cuda" and not options.gpus:
            raise UserError(say("no_gpu_to_train"))
        self.options, self.threads = options, threads
        self._ray: Any = None
        self._remote: Callable[[Payload], Any] | None = None
        self._owns_connection = False  # whether `close` ends it
        self._training: dict[Future[WorkResponse], Any] = {}

    @property
    def slots(self) -> int:
        self._connect()
        cpus = int(self._ray.cluster_resources().get("CPU", 1))
        return self.options.workers or max(1, cpus // self.threads)

    def submit(self, request: WorkRequest) -> Future[WorkResponse]:
        self._connect()
        assert self._remote is not None
        reference = self._remote(request.to_dict())
        response: Future[WorkResponse] = Future()
        self._training[response] = reference
        response.add_done_callback(self._training.pop)
        reference.future().add_done_callback(lambda done: self._hand_over(done, response))
        return response

    def _hand_over(self, done: Future[Payload], response: Future[WorkResponse]) -> None:
        from ray.exceptions import RayError, RayTaskError

        error = done.exception()
        if error is None:
            response.set_result(WorkResponse.from_dict(done.result()))
        elif isinstance(error, RayError) and not isinstance(error, RayTaskError):
            # the worker, its machine, or its memory
            response.set_exception(WorkerDied(f"{type(error).__name__} of Ray's"))
        else:
            response.set_exception(error)

    def cancel(self) -> None:
        for force in (False, True):  # as Ctrl-C would; then as kill -9 does
            training = dict(self._training)
            for reference in training.values():
                self._ray.cancel(reference, force=force)
            wait(training, timeout=PATIENCE)

    def kill(self) -> None:
        for reference in dict(self._training).values():
            self._ray.cancel(reference, force=True)

    def close(self) -> None:
        if self._owns_connection:
            self._ray.shutdown()
            self._owns_connection = False

    def _connect(self) -> None:
        if self._remote is not None:
            return
        self._ray = import_ray(self.options.address)
        self._owns_connection = not self._ray.is_initialized()
        if self._owns_connection:
            join_cluster(self._ray, self.options.address)
        from upgate.execution.worker import serve_request

        remote = self._ray.remote(
            num_cpus=self.threads,
            num_gpus=self.options.gpus,
            max_retries=0,
            scheduling_strategy="SPREAD",
        )
        self._remote = remote(serve_request).remote


def import_ray(address: str | None) -> Any:
    """The module ray, with quiet settings; a machine by itself is reached by its loopback."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address is None or address.startswith(("127.", "localhost")):
        # else it looks for an outer address, and hangs without one
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    return ray


def join_cluster(ray: Any, address: str | None) -> None:
    """Join the cluster at an address, or start one. Raises UserError where none answers."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(
            address=address or "local", **quiet, **({} if address else {"include_dashboard": False})
        )
    except (ConnectionError, RuntimeError, ValueError) as error:  # the boundary to a service
        cause = " ".join(str(error).split())[:200]
        raise UserError(say("no_ray", address=str(address), cause=cause)) from error


EXECUTOR = RayExecutor

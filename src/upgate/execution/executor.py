"""Where runs train, behind one small interface: submit a request, get a future of its response."""

from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

from upgate.config.schema import NonNegative, PositiveInt, build
from upgate.config.values import Section
from upgate.errors import UserError, did_you_mean, not_a_choice
from upgate.execution.texts import say
from upgate.execution.work import Work, WorkRequest, WorkResponse
from upgate.store.store import Busy


class Executor:
    """Runs at most `slots` requests at once; as a context manager it ends its processes.

    Processes may start when `slots` is first read, so read it only when there is a run to train.
    """

    in_process: ClassVar[bool] = False  # whether runs train in this process, with its progress bar
    outlived: ClassVar[bool] = False  # whether runs may go on when it was interrupted or failed
    ahead: ClassVar[bool] = False  # whether an idle slot may train a run beside its twin

    @property
    def slots(self) -> int:
        raise NotImplementedError

    def submit(self, request: WorkRequest) -> Future[WorkResponse]:
        """Start a run, of `slots` at once. The future raises WorkerDied if its process dies."""
        raise NotImplementedError

    def flush(self) -> None:
        """Start what waits to start together: until a run ends, no more is submitted."""

    def cancel(self) -> None:
        """Interrupt the runs in training and wait for their end; their futures are not read."""

    def kill(self) -> None:
        """End the processes that train, without a word to them."""

    def close(self) -> None:
        """End the processes that were started; nothing is training."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Inline(Executor):
    """One run after the other, in this process."""

    in_process = True
    slots = 1

    def __init__(self, work: Work) -> None:
        self.work = work

    def submit(self, request: WorkRequest) -> Future[WorkResponse]:
        future: Future[WorkResponse] = Future()
        try:
            future.set_result(self.work(request))
        except Busy as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class InlineOptions:
    """conf/executor/inline.yaml, and auto.yaml, which chooses it for short work"""

    name: str


@dataclass(frozen=True)
class LocalOptions:
    """conf/executor/local.yaml"""

    name: str
    workers: PositiveInt | None


@dataclass(frozen=True)
class RayOptions:
    """conf/executor/ray.yaml"""

    name: str
    address: str | None
    workers: PositiveInt | None
    gpus: NonNegative


@dataclass(frozen=True)
class LauncherOptions:
    """conf/executor/launcher.yaml"""

    name: str
    words: list[str]


ExecutorOptions = InlineOptions | LocalOptions | RayOptions | LauncherOptions
OPTIONS: dict[str, type] = {
    "auto": InlineOptions,
    "inline": InlineOptions,
    "local": LocalOptions,
    "ray": RayOptions,
    "launcher": LauncherOptions,
}

HERE = ("auto", "inline")  # may give one run all devices


def check_executor(config: Section, trainer: Section) -> ExecutorOptions:
    """The options of the configured executor, checked.

    Raises UserError; also where the executor cannot give a run the device that `trainer` names.
    """
    name, devices = config["name"], trainer["devices"]
    if name not in OPTIONS:
        raise not_a_choice(f"executor={name}", did_you_mean(name, OPTIONS))
    options: ExecutorOptions = build(OPTIONS[name], config, "executor")
    if name not in HERE and isinstance(devices, list):
        raise UserError(say("one_gpu_each", devices=str(devices), name=name))
    if name not in HERE and devices != 1:
        raise UserError(say("one_device_each", devices=str(devices), name=name))
    return options

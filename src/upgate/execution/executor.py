"""Where runs run, behind one small interface: `submit` a run as plain values, and get a future of its answer, plain values too.

Plain, because objects of Hydra, Lightning or PyTorch do not travel between processes unharmed, and dicts do.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, ClassVar

from upgate.config.schema import NonNegative, PositiveInt, build
from upgate.errors import UserError, did_you_mean

Task = dict[str, Any]  # a run to do; `worker.py` says what is in it
Work = Callable[[Task], Task]


class WorkerDied(Exception):
    """The process that ran a run is gone; the message says how."""


class Executor:
    """As a context it ends its processes. `slots`: runs at once; asked for first when there is something to run, it may start them."""

    here: ClassVar[bool] = False  # whether runs go on in this process, with its progress bar

    @property
    def slots(self) -> int:
        raise NotImplementedError

    def submit(self, task: Task) -> Future[Task]:
        """Start a run; call it for `slots` at once at most. The future raises `WorkerDied` where the process did."""
        raise NotImplementedError

    def halt(self) -> None:
        """Interrupt what is going on and wait until it is over; its futures do not matter any more."""

    def close(self) -> None:
        """End what was started. Nothing is going on."""

    def __enter__(self) -> "Executor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


class Inline(Executor):
    """One run after the other in this process."""

    here = True
    slots = 1

    def __init__(self, work: Work) -> None:
        self.work = work

    def submit(self, task: Task) -> Future[Task]:
        done: Future[Task] = Future()
        done.set_result(self.work(task))
        return done


@dataclass(frozen=True)
class InlineKnobs:
    """conf/executor/inline.yaml"""

    name: str


@dataclass(frozen=True)
class LocalKnobs:
    """conf/executor/local.yaml"""

    name: str
    workers: PositiveInt | None


@dataclass(frozen=True)
class RayKnobs:
    """conf/executor/ray.yaml"""

    name: str
    address: str | None
    workers: PositiveInt | None
    gpus: NonNegative


KNOBS: dict[str, type] = {"inline": InlineKnobs, "local": LocalKnobs, "ray": RayKnobs}


def check_executor(asked: Mapping[str, Any], trainer: Mapping[str, Any]) -> Any:
    """The knobs of an executor, checked. Raises UserError; also where it cannot give a run the device that it names."""
    if asked["name"] not in KNOBS:
        raise UserError(
            f"executor={asked['name']} is not a choice{did_you_mean(asked['name'], KNOBS)}"
        )
    knobs = build(KNOBS[asked["name"]], asked, "executor")
    if asked["name"] != "inline" and isinstance(trainer["devices"], list):
        told = f"trainer.devices={trainer['devices']} names one GPU"
        raise UserError(
            f"{told}, and executor={asked['name']} gives each run its own; leave it out"
        )
    if asked["name"] != "inline" and trainer["devices"] != 1:
        told = f"trainer.devices={trainer['devices']} shares a run out"
        raise UserError(
            f"{told}, and executor={asked['name']} has one device for each; take executor=inline"
        )
    return knobs


def open_executor(
    config: Mapping[str, Any], threads: int, accelerator: str, work: Work
) -> Executor:
    """The executor that a configuration asks for; nothing starts yet. `work` does a run in this process.

    threads: of a run, the most that one needs. accelerator: the runs', as in their specs.
    """
    knobs = check_executor(config["executor"], config["trainer"])
    if isinstance(knobs, InlineKnobs):
        return Inline(work)
    module = import_module(f"upgate.execution.{knobs.name}")
    made: Executor = module.EXECUTOR(knobs, threads, accelerator)
    return made

"""Requests to workers and their responses: typed values, plain dicts between processes.

Plain, because objects of Hydra, Lightning or PyTorch do not survive the way unharmed, and dicts do.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from upgate.errors import UserError
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.store.store import Busy

Payload = dict[str, Any]  # a request or a response between processes


class Interrupted(Exception):
    """Ctrl-C or a signal ended a command; the runs that it cut off are marked KILLED."""


class WorkerDied(Exception):
    """The process that trained a run is gone; the message says how it ended."""


@dataclass(frozen=True)
class WorkRequest:
    """A run to train.

    `twin`: the result of its twin, if it has one. `parent`: id of the MLflow run above. `root` and
    `uri` name the store, `cache` the table cache that holds the data. `source`: tags that say who
    and which command wants it.
    """

    job: Job
    twin: Result | None
    parent: str
    root: str
    uri: str
    cache: str
    source: dict[str, str]

    def to_dict(self) -> Payload:
        twin = asdict(self.twin) if self.twin else None
        return {**vars(self), "job": self.job.to_dict(), "twin": twin}

    @classmethod
    def from_dict(cls, payload: Payload) -> "WorkRequest":
        twin = Result.from_dict(payload["twin"]) if payload["twin"] else None
        return cls(**{**payload, "job": Job.from_dict(payload["job"]), "twin": twin})


@dataclass(frozen=True)
class WorkResponse:
    """A run's result, or instead of it a sentence for the user, a traceback, an interruption.

    busy: another process is training the run, as this sentence says.
    """

    result: Result | None = None
    refusal: str = ""
    busy: str = ""
    traceback: str = ""
    interrupted: bool = False

    def to_dict(self) -> Payload:
        return {**vars(self), "result": asdict(self.result) if self.result else None}

    @classmethod
    def from_dict(cls, payload: Payload) -> "WorkResponse":
        result = Result.from_dict(payload["result"]) if payload["result"] else None
        return cls(**{**payload, "result": result})

    def unwrap(self) -> Result:
        """The result. Raises UserError, Busy, Interrupted or RuntimeError where there is none."""
        if self.busy:
            raise Busy(self.busy)
        if self.refusal:
            raise UserError(self.refusal)
        if self.interrupted:
            raise Interrupted
        if self.result is None:
            raise RuntimeError(f"in a worker:\n{self.traceback}")
        return self.result


Work = Callable[[WorkRequest], WorkResponse]

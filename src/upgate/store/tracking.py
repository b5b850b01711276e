"""What the store asks of MLflow, in plain values: a server's or its database's, or ours on a file.

All methods raise where nothing answers; `is_refusal` tells a no from a silence.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from upgate.store.record import Conditions, Row

Ask = Callable[..., Any]  # calls a function of the store with its arguments; it may wait
POINTS, PAIRS = 1000, 100  # metrics, and params or tags, in one call: MLflow's limits


class Experiment(NamedTuple):
    id: str
    is_active: bool  # not deleted


class Point(NamedTuple):
    """A value of a metric; `time` in milliseconds."""

    name: str
    value: float
    time: int
    step: int


class Dataset(NamedTuple):
    """Data that a run used. `source`, `profile`: JSON; `context`: training or test."""

    name: str
    digest: str
    source_type: str
    source: str
    profile: str
    context: str


def directly(function: Callable[..., Any], *args: Any) -> Any:
    """An `Ask` that does not wait."""
    return function(*args)


class Tracking(Protocol):
    """Where runs are kept."""

    def experiment(self, name: str) -> Experiment | None: ...

    def create_experiment(self, name: str, artifacts: str | None) -> None:
        """Create it, unless another process was faster. artifacts: folder of its runs' files."""
        ...

    def tag_experiment(self, experiment_id: str, name: str, value: str) -> None: ...

    def tasks(self, ask: Ask = directly) -> list[str]:
        """The experiments that hold runs of this package; each request by `ask`."""
        ...

    def rows(
        self,
        conditions: Conditions,
        keys: Collection[str] | None = None,
        params: Collection[str] | None = None,
        ask: Ask = directly,
    ) -> list[Row]:
        """The runs of this package that meet all conditions, newest first.

        keys: of the wanted runs, None for all. params: where these alone are needed, no others and
        no metrics need be read. ask: calls each request, so that one lost answer of several does
        not begin them all again.
        """
        ...

    def last_steps(self, run_id: str) -> dict[str, int]:
        """Metric -> step of its last point."""
        ...

    def numbers(self, run_id: str) -> dict[str, float]:
        """Metric -> its newest value at step 0, also of those that have later points."""
        ...

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start: int) -> str:
        """Start a run, RUNNING from then on, in milliseconds; its id."""
        ...

    def set_status(self, run_id: str, status: str, end: int | None) -> None:
        """end: in milliseconds; None leaves it."""
        ...

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Add points; those that are there already are not added again."""
        ...

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Add params that the run does not have."""
        ...

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None: ...

    def log_dataset(self, run_id: str, dataset: Dataset) -> None: ...

    def log_artifact(self, run_id: str, path: Path, folder: str) -> None:
        """Keep a copy of a file, or of what is in a folder."""
        ...

    def log_text(self, run_id: str, text: str, name: str) -> None: ...

    def artifacts(self, run_id: str) -> dict[str, int | None]:
        """The files and folders at the top: name -> bytes, None for a folder."""
        ...

    def download(self, run_id: str, name: str, folder: Path) -> Path:
        """Copy an artifact into a folder; where it is then."""
        ...

"""What MLflow knows of a run, as one plain value, and how to ask for it."""

import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Row:
    """A run as it stands in MLflow. `metrics` are the last values; `seconds` count until now while it is RUNNING."""

    run_id: str
    key: str
    name: str
    task: str
    status: str  # RUNNING, FINISHED, FAILED, KILLED
    start: datetime  # with time zone
    seconds: float
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]  # without MLflow's own
    parent: str | None
    is_parent: bool

    @property
    def diverged(self) -> bool:
        return self.tags.get("upgate.diverged") == "true"


def row_of(run: Any) -> Row:
    """From an `mlflow.entities.Run`."""
    info, tags = run.info, run.data.tags
    start = datetime.fromtimestamp(info.start_time / 1000, UTC)
    over = info.status != "RUNNING" and info.end_time
    end = datetime.fromtimestamp(info.end_time / 1000, UTC) if over else datetime.now(UTC)
    return Row(
        run_id=info.run_id,
        key=tags.get("upgate.key", ""),
        name=info.run_name,
        task=tags.get("upgate.task", ""),
        status=info.status,
        start=start,
        seconds=(end - start).total_seconds(),
        params=dict(run.data.params),
        metrics={name: infinite(value) for name, value in run.data.metrics.items()},
        tags={name: value for name, value in tags.items() if not name.startswith("mlflow.")},
        parent=tags.get(PARENT),
        is_parent=tags.get("upgate.kind") == "parent",
    )


def infinite(value: float) -> float:
    """MLflow keeps an infinity as the largest float."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


def where(**wanted: str | None) -> str:
    """An MLflow filter on runs of ours: `status` is an attribute, `parent` MLflow's tag, all else a tag; None is no condition."""
    names = {"status": "attributes.status", "parent": f"tags.`{PARENT}`"}
    given = {
        names.get(name, f"tags.`upgate.{name}`"): value
        for name, value in wanted.items()
        if value is not None
    }
    return " and ".join(
        [f"{name} = {quoted(value)}" for name, value in given.items()]
        or ["tags.`upgate.key` != ''"]
    )


def quoted(value: str) -> str:
    """MLflow's filters know two quotes and no escape."""
    quote = '"' if "'" in value else "'"
    return f"{quote}{value.replace(quote, '')}{quote}"

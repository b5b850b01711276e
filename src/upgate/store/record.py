"""A run as MLflow has it, and the filters that search for runs."""

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"
NOTE = "mlflow.note.content"  # MLflow's tag of a description, as Markdown
PARAMETERS = "upgate.parameters"  # tag: how many numbers of the network are trained
FILES = "upgate.files"  # tag: JSON, name -> sha256 of the configuration and the tables
Conditions = Mapping[str, str | None]  # of `build_filter`
FEW = 50  # keys that MLflow is asked one by one; more are found by reading all runs
# What names a file or folder of the store: nothing that could lead out of it.
KEY = re.compile(r"[0-9a-f]{64}")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
NUMBER = re.compile(r"\d{1,18}", re.ASCII)
NUMBER_TAGS = ("upgate.seed", "upgate.fold", "upgate.pid")
NAMING_TAGS = ("upgate.study", "upgate.tune", "upgate.experiment", "upgate.over", "upgate.twin_key")


@dataclass(frozen=True)
class Row:
    """A run in MLflow. `metrics`: last values; `seconds`: until now while the run is RUNNING."""

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

    def is_named(self, name: str) -> bool:
        """Whether this is the run's id, or the start of its key; 4 characters at least."""
        return self.run_id == name or (len(name) >= 4 and self.key.startswith(name))

    @property
    def diverged(self) -> bool:
        return self.tags.get("upgate.diverged") == "true"


def kept_hash(row: Row, name: str) -> str:
    """The sha256 of a file that the run kept; empty where an older version kept it."""
    if name == "best.ckpt":
        return row.tags.get("upgate.checkpoint", "")
    try:
        return str(json.loads(row.tags[FILES])[name])
    except (KeyError, TypeError, ValueError):  # a tag is what its writer wanted
        return ""


def to_row(run: Any) -> Row:
    """A row from an `mlflow.entities.Run`."""
    info, data = run.info, run.data
    times = info.start_time, info.end_time
    return make_row(
        info.run_id, info.run_name, info.status, *times, data.params, data.metrics, data.tags
    )


def make_row(
    run_id: str,
    name: str,
    status: str,
    start_time: int,
    end_time: int | None,
    params: Mapping[str, str],
    metrics: Mapping[str, float | None],
    tags: Mapping[str, str],
) -> Row:
    """A row of what MLflow has; times in milliseconds, None for a metric that is not a number."""
    start = datetime.fromtimestamp(start_time / 1000, UTC)
    running = status == "RUNNING" or not end_time
    end = datetime.now(UTC) if running else datetime.fromtimestamp((end_time or 0) / 1000, UTC)
    return Row(
        run_id=run_id,
        key=tags.get("upgate.key", ""),
        name=name,
        task=tags.get("upgate.task", ""),
        status=status,
        start=start,
        seconds=(end - start).total_seconds(),
        params=dict(params),
        metrics={name: restore_infinity(value) for name, value in metrics.items()},
        tags={name: value for name, value in tags.items() if not name.startswith("mlflow.")},
        parent=tags.get(PARENT),
        is_parent=tags.get("upgate.kind") == "parent",
    )


def is_own(row: Row) -> bool:
    """Whether a run's tags are such as Upgate writes; those that others wrote may not be.

    Its key and ids can name files, and what is read from its tags can be read.
    """
    tags = row.tags
    ids = [tags.get(name, "") for name in NAMING_TAGS]
    level = f"upgate.{tags.get('upgate.level')}"
    return (
        bool(KEY.fullmatch(row.key))
        and all(not one or ID.fullmatch(one) for one in ids)
        and all(NUMBER.fullmatch(tags.get(name, "0")) for name in NUMBER_TAGS)
        and _is_list(tags.get("upgate.changes", "[]"))
        and not (row.is_parent and level in NAMING_TAGS and not tags.get(level))
    )


def _is_list(text: str) -> bool:
    """Whether a text is JSON of a list of texts."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def restore_infinity(value: float | None) -> float:
    """MLflow keeps an infinity as the largest float, and its database a NaN as None here."""
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


def build_filter(**conditions: str | None) -> str:
    """An MLflow filter on this package's runs; None is no condition.

    `status` is an attribute, `parent` MLflow's own tag, every other name a tag of this package.
    """
    names = {"status": "attributes.status", "parent": f"tags.`{PARENT}`"}
    clauses = []
    for name, value in conditions.items():
        if value is not None:
            clauses.append(f"{names.get(name, f'tags.`upgate.{name}`')} = {quote(value)}")
    return " and ".join(clauses or ["tags.`upgate.key` != ''"])


def quote(value: str) -> str:
    """MLflow's filters know two quotes and no escape."""
    mark = '"' if "'" in value else "'"
    return f"{mark}{value.replace(mark, '')}{mark}"

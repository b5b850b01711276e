"""A run's result beside its twin's: plain values, made from what the store holds."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from upgate.config.values import Section
from upgate.files import write_text
from upgate.store.record import Row

LOSS_CURVES = ("val/loss", "val/score")  # points of a curve, not what the kept weights score


@dataclass(frozen=True)
class TwinResult:
    """What a result says of its twin."""

    key: str
    run_id: str
    metrics: dict[str, float]


@dataclass
class Result:
    """One finished, failed or diverged run."""

    key: str
    run_id: str
    name: str
    task: str
    recipe: str
    changes: list[str]
    seed: int
    fold: int
    status: str  # FINISHED, FAILED; a diverged run is FINISHED
    metrics: dict[str, float]
    folder: str
    error: str = ""
    diverged: bool = False
    weights: str = ""  # hash of the kept weights
    twin: TwinResult | None = None
    difference: dict[str, float] = field(default_factory=dict)  # run minus twin

    @classmethod
    def from_dict(cls, values: Section) -> Self:
        """The inverse of `dataclasses.asdict`."""
        twin = TwinResult(**values["twin"]) if values["twin"] else None
        return cls(**{**values, "twin": twin})

    def pair(self, twin: "Result") -> None:
        """Set the twin and the differences; a run that is its own twin differs by exactly 0."""
        self.twin = TwinResult(twin.key, twin.run_id, scores(twin.metrics))
        self.difference = score_differences(self.metrics, twin.metrics)

    def paired(self) -> dict[str, float]:
        """The twin's scores and the differences, under the names that the store gives them."""
        twin = self.twin.metrics if self.twin else {}
        scores_of_twin = {f"twin/{key}": value for key, value in twin.items()}
        differences = {f"difference/{key}": value for key, value in self.difference.items()}
        return scores_of_twin | differences

    def write(self) -> None:
        """Write `result.json` into the run's folder; null stands for numbers that are not finite.

        The file appears complete or not at all.
        """
        values = replace_non_finite(asdict(self))
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_text(Path(self.folder) / "result.json", text)


def run_folder(root: Path, key: str) -> Path:
    """The folder of a run's files in a store."""
    return root / key[:16]


def read_result(row: Row, root: Path) -> Result:
    """The result of a run that the store holds."""
    return Result(
        row.key,
        row.run_id,
        name=row.name,
        task=row.task,
        recipe=row.tags.get("upgate.recipe", ""),
        changes=json.loads(row.tags.get("upgate.changes", "[]")),
        seed=int(row.tags.get("upgate.seed", 0)),
        fold=int(row.tags.get("upgate.fold", 0)),
        status=row.status,
        metrics=own_metrics(row.metrics),
        folder=str(run_folder(root, row.key)),
        diverged=row.diverged,
        weights=row.tags.get("upgate.weights", ""),
    )


def scores(metrics: Mapping[str, float]) -> dict[str, float]:
    """The scores of the validation and test parts, without those of baselines."""
    return {key: value for key, value in metrics.items() if _is_score(key)}


@lru_cache(maxsize=4096)  # runs share their names
def _is_score(key: str) -> bool:
    part, *rest = key.split("/")
    return part in ("test", "val") and len(rest) == 1 and key not in LOSS_CURVES


def own_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """A stored run's own numbers: neither its twin's nor the last points of its curves."""
    others = ("twin/", "difference/", "train/")
    curves = (*LOSS_CURVES, "lr")
    return {
        key: value
        for key, value in metrics.items()
        if not key.startswith(others) and key not in curves
    }


def score_differences(run: Mapping[str, float], twin: Mapping[str, float]) -> dict[str, float]:
    """Run minus twin for every score that both have, where that is finite."""
    candidate, baseline = scores(run), scores(twin)
    differences = {
        key: value - baseline[key] for key, value in candidate.items() if key in baseline
    }
    return {key: value for key, value in differences.items() if math.isfinite(value)}


def replace_non_finite(value: Any) -> Any:
    """The same plain value with None for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: replace_non_finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [replace_non_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

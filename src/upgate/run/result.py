"""A run's result beside its twin's: plain values, made from what the store holds."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CURVES = ("val/loss", "val/score")  # points of a curve, not what the kept weights score


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
    twin: dict[str, Any] | None = None  # key, run_id and metrics
    difference: dict[str, float] = field(default_factory=dict)  # run minus twin

    def pair(self, twin: "Result") -> None:
        """Set the twin and the differences; a run that is its own twin differs by exactly 0."""
        self.twin = {"key": twin.key, "run_id": twin.run_id, "metrics": scores(twin.metrics)}
        self.difference = difference(self.metrics, twin.metrics)

    def paired(self) -> dict[str, float]:
        """The twin's scores and the differences, under the names that the store gives them."""
        theirs = self.twin["metrics"] if self.twin else {}
        return {f"twin/{k}": v for k, v in theirs.items()} | {
            f"difference/{k}": v for k, v in self.difference.items()
        }

    def write(self) -> None:
        """Write `result.json` into the run's folder, whole or not at all; what is not finite is null, as JSON has no word for it."""
        path = Path(self.folder) / "result.json"
        partial = path.with_suffix(".partial")
        partial.write_text(
            json.dumps(finite(asdict(self)), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        partial.replace(path)


def scores(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that say how good a run is: those of the validation and test parts that are not a reference's."""
    return {
        k: v
        for k, v in metrics.items()
        if k.count("/") == 1 and k.split("/")[0] in ("test", "val") and k not in CURVES
    }


def own(metrics: Mapping[str, float]) -> dict[str, float]:
    """A stored run's own numbers: neither its twin's nor the last points of its curves."""
    beside = ("twin/", "difference/", "train/")
    return {
        k: v for k, v in metrics.items() if not k.startswith(beside) and k not in (*CURVES, "lr")
    }


def difference(run: Mapping[str, float], twin: Mapping[str, float]) -> dict[str, float]:
    """Run minus twin for every score that both have."""
    ours, theirs = scores(run), scores(twin)
    return {
        k: ours[k] - theirs[k] for k in ours if k in theirs and math.isfinite(ours[k] - theirs[k])
    }


def finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

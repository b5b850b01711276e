"""What the referee says: verdicts, reliability, a sentence, a picture, a page."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from upgate.referee.question import Question
from upgate.referee.scores import Note
from upgate.stats.data_sets import Combined
from upgate.stats.estimate import Interval
from upgate.stats.reliability import Reliability
from upgate.stats.verdict import Verdict


@dataclass(frozen=True)
class Items:
    """The test items that every run was scored on, or dates; left_out: that a run lacks."""

    count: int
    left_out: int
    dates: bool


@dataclass(frozen=True)
class Judged:
    """One group against the baseline.

    mean, baseline_mean: over the rows that are compared; of the scores that did not diverge.
    differences: unit -> arm minus baseline, empty where nothing is paired. reliability: data set ->
    numbers, empty where nothing is paired. saved: the share of the interval's width that pairing by
    seed would save, None where it cannot be known. items: None where a row is a run.
    """

    name: str
    verdict: Verdict
    mean: float
    baseline_mean: float
    runs: tuple[int, int]
    differences: dict[str, float]
    reliability: dict[str, tuple[Reliability, str]]
    combined: Combined | None = None
    saved: float | None = None
    items: Items | None = None


@dataclass(frozen=True)
class Findings:
    """The answer to a question in numbers."""

    question: Question
    design: str  # paired, unpaired, folds or over
    smallest_effect: float
    arms: list[Judged]
    notes: list[Note]

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """A row per group: its verdict, effect (group minus baseline), interval, p-values."""
        rows = [
            {"group": arm.name, "verdict": arm.verdict.label}
            | {key: getattr(arm.verdict, key) for key in ("effect", "low", "high", "level")}
            | {
                key: getattr(arm.verdict, key)
                for key in ("p", "p_holm", "p_exact", "n", "diverged")
            }
            | {"more": arm.verdict.more_seeds, "more_data": arm.verdict.more_data}
            | {"interval_over": arm.verdict.over}
            | {"mean": arm.mean, "baseline_mean": arm.baseline_mean}
            for arm in self.arms
        ]
        return pd.DataFrame(rows)

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """A row per group (and data set): collapses, spread, the worst unit, P(better)."""
        columns = ["group", "dataset", "n", "collapsed", "collapse_low", "collapse_rate"]
        columns += ["collapse_high", "spread", "variance_ratio", "variance_p", "worst"]
        columns += ["worst_unit", "p_better_low", "p_better", "p_better_high"]
        rows = [
            [arm.name, dataset, *_reliability_cells(r, unit)]
            for arm in self.arms
            for dataset, (r, unit) in arm.reliability.items()
        ]
        return pd.DataFrame(rows, columns=columns)


def _reliability_cells(r: Reliability, unit: str) -> list[object]:
    cells: list[object] = [r.n, r.collapsed, *_bounds(r.rate), r.spread]
    return [*cells, r.variance_ratio, r.variance_p, r.worst, unit, *_bounds(r.better)]


def _bounds(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.effect, interval.high


def combined_dict(combined: Combined) -> dict[str, object]:
    """The answer over data sets with the names of its numbers."""
    each: dict[str, object] = {
        effect.dataset: effect.estimate._asdict() | {"error": effect.error}
        for effect in combined.effects
    }
    found: dict[str, object] = combined.random._asdict()
    return found | {"each": each, "new": combined.new._asdict()}


def json_records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Rows with plain Python values."""
    records: list[dict[str, object]] = []
    for row in frame.astype(object).to_dict("records"):
        records.append({str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()})
    return records

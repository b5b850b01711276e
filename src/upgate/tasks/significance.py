"""Tests beyond seeds: on the test dates or items of a study's runs, as its task computes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from upgate.config.values import Section
from upgate.stats.estimate import Floats, Interval

Cell = tuple[int, int]  # a run of an arm: its seed and fold


class Significance(NamedTuple):
    """A test on the test dates (Diebold-Mariano) or the test items (McNemar, item bootstrap)."""

    name: str
    effect: float  # mean loss difference over persistence's loss; difference of accuracy
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class StudyRuns:
    """The arms of which every run is finished, and the tables of these runs.

    table: of an arm, a cell and a name; None where the run diverged, which leaves no tables.
    """

    baseline: str
    cells: Mapping[str, Sequence[Cell]]  # arm -> its runs, seed by seed, in the order of folds
    folds: Sequence[int]
    alpha: float
    settings: Section  # the section `task` of all runs
    table: Callable[[str, Cell, str], pd.DataFrame | None]


@dataclass(frozen=True)
class UnitScores:
    """How much each unit of the test part, a date or an item, adds to a score.

    deviations: of an arm (seeds, units), of a reference (1, units): the score's change, in the
    study's scale, were all units like this one; the mean over units is 0. lags: of the units in
    their order, see `upgate.stats.two_way`.
    """

    deviations: dict[str, Floats] = field(default_factory=dict)
    lags: int = 0


@dataclass(frozen=True)
class BeyondSeeds:
    """The tests of a study; empty where the task has none. Field names are those of its JSON."""

    second: dict[str, list[Significance]] = field(default_factory=dict)  # by arm
    confidence_set: dict[str, float] = field(default_factory=dict)  # arm -> p-value
    tickers: dict[str, dict[str, float]] = field(default_factory=dict)  # arm -> item -> loss ratio
    ticker_interval: dict[str, Interval] = field(default_factory=dict)  # of all items together
    dates: list[str] = field(default_factory=list)  # test dates of all folds, in order
    losses: dict[str, list[float]] = field(default_factory=dict)  # arm, reference -> loss per date

"""A search and its result, as values that go to JSON and back.

search.json is frozen before the first run.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from upgate.serialization import stored_as, to_json
from upgate.tasks.blocks import Block
from upgate.tasks.facts import Metric
from upgate.tasks.names import get_facts
from upgate.tune.best_of_n import Curve
from upgate.tune.space import Dimension, Values
from upgate.tune.trial import DIVERGED, FAILED, PRUNED, Trial

UNTUNED, TUNED = "untuned", "tuned"


@dataclass(frozen=True)
class Tunable:
    """An arm: its overrides without the split, its axes, and its untuned values."""

    name: str
    overrides: list[str] = field(metadata=stored_as("words"))
    space: list[Dimension]
    baseline: Values


@dataclass(frozen=True)
class Search:
    """The question of a search. Nothing here is measured."""

    id: str  # such as stock-random-1a2b3c4d; the same question has the same one
    task: str
    overrides: list[str] = field(metadata=stored_as("words"))  # the user's, options too
    sampler: str
    trials: int  # of each arm, the baseline's among them
    per_axis: int
    seed: int
    generation: int
    startup: int
    top: int
    prune: str
    seeds: list[int]  # of the trainings: the trials' first, then those of the best
    test_seed: int  # of the last runs
    test: bool
    keys: list[str]  # axes of all arms together: the coordinates of the shared list
    arms: list[Tunable]
    blocks: list[Block]
    data: str  # content hash
    source: str
    split: dict[str, Any]  # whose test part is opened last
    frozen: dict[str, Any]
    commands: list[str] = field(default_factory=list)

    @property
    def score(self) -> Metric:
        return get_facts(self.task).metric

    @property
    def metric(self) -> str:
        return self.score.validation_key

    def metric_of(self, loss: float) -> float:
        """A loss in the metric's units."""
        return self.score.value(loss)

    def json(self) -> str:
        return to_json(self)


@dataclass(frozen=True)
class ArmResult:
    """One arm of one block.

    steps, overrides, keys, tests: of the last runs, by untuned and tuned; tests: by fold, the test
    metric.
    """

    name: str
    trials: list[Trial]
    chosen: int | None  # number of the trial; None where none is complete
    steps: dict[str, int]
    overrides: dict[str, list[str]] = field(metadata=stored_as("words"))
    keys: dict[str, list[str]]
    tests: dict[str, dict[str, float]]
    curve: Curve
    importance: dict[str, float]

    @property
    def best(self) -> Trial | None:
        return next((trial for trial in self.trials if trial.number == self.chosen), None)

    def count(self, state: str) -> int:
        return sum(trial.state == state for trial in self.trials)

    @property
    def notes(self) -> dict[str, int]:
        return {state: self.count(state) for state in (PRUNED, DIVERGED, FAILED)}


@dataclass(frozen=True)
class BlockResult:
    name: str
    arms: list[ArmResult]

    @property
    def label(self) -> str:
        """The end of an arm's name where there are several blocks."""
        return f", {self.name}" if self.name else ""

    def arm(self, name: str) -> ArmResult:
        return next(one for one in self.arms if one.name == name)


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    looks: runs of this store that were evaluated on the test part, whichever command trained them.
    """

    search: Search
    blocks: list[BlockResult]
    failed: list[str]  # names of the last runs that failed
    looks: int
    seconds: float

    def json(self) -> str:
        return to_json(self)

    @property
    def all_arms(self) -> list[ArmResult]:
        """Of all blocks."""
        return [arm for block in self.blocks for arm in block.arms]

    @property
    def complete(self) -> bool:
        return not self.failed and all(arm.chosen is not None for arm in self.all_arms)

    def test(self, arm: str, which: str) -> float:
        """An arm's test metric over all blocks and folds; nan of none.

        The mean of an accuracy, the geometric mean of a ratio.
        """
        values: list[float] = []
        for one in self.all_arms:
            if one.name == arm:
                values += one.tests.get(which, {}).values()
        return mean_metric(values, self.search.score)


def mean_metric(values: Iterable[float], score: Metric) -> float:
    """The mean on the metric's scale; nan of none."""
    losses = [score.loss(value) for value in values]
    return score.value(fmean(losses)) if losses else math.nan

"""A search and what came out of it, as plain values that go to JSON and back: search.json is frozen before the first run."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from upgate.study.result import to_json
from upgate.tasks.base import Metric
from upgate.tasks.registry import get_task
from upgate.tasks.search_blocks import Block
from upgate.tune.best_of_n import Curve
from upgate.tune.space import Dimension
from upgate.tune.trial import DIVERGED, FAILED, PRUNED, Trial

UNTUNED, TUNED = "untuned", "tuned"


@dataclass(frozen=True)
class Tunable:
    """An arm: its words as they were given, without the split; its axes; the values that it has untuned."""

    name: str
    words: list[str]
    space: list[Dimension]
    baseline: dict[str, Any]


@dataclass(frozen=True)
class Search:
    """What a search asks. Nothing here is measured."""

    id: str  # such as stock-random-1a2b3c4d; the same question has the same one
    task: str
    words: list[str]  # the user's, those of the search too
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
        return get_task(self.task).metric

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
    """One arm of one block. words: those of the last runs; tests: by fold, the test metric; both by untuned and tuned."""

    name: str
    trials: list[Trial]
    chosen: int | None  # number of the trial; None where none is complete
    steps: dict[str, int]
    words: dict[str, list[str]]
    keys: dict[str, list[str]]  # run keys of the last runs
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


@dataclass(frozen=True)
class SearchResult:
    """What the runs said. looks: runs of this store that were judged on the test part, whoever asked for them."""

    search: Search
    blocks: list[BlockResult]
    failed: list[str]  # names of the last runs that failed
    looks: int
    seconds: float

    def json(self) -> str:
        return to_json(self)

    @property
    def complete(self) -> bool:
        return not self.failed and all(
            arm.chosen is not None for block in self.blocks for arm in block.arms
        )

    def test(self, arm: str, which: str) -> float:
        """An arm's test metric over all blocks and folds: the mean of an accuracy, the geometric mean of a ratio; nan of none."""
        found = [
            one
            for block in self.blocks
            for it in block.arms
            if it.name == arm
            for one in it.tests.get(which, {}).values()
        ]
        return mean_metric(found, self.search.score)


def mean_metric(values: Iterable[float], score: Metric) -> float:
    losses = [score.loss(value) for value in values]
    return score.value(fmean(losses)) if losses else math.nan

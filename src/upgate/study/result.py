"""A study and its result, as values that go to JSON and back.

`Study` is what was planned and frozen: an artifact `study.json` of the study's parent run, and a
file in `<root>/studies/<id>/`. `StudyResult` follows from it and the store alone; `analyze.py`
makes it, as often as one likes.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from upgate.experiment.designs import Arm
from upgate.serialization import stored_as, to_json
from upgate.stats.attribution import Share
from upgate.stats.estimate import Estimate, Interval
from upgate.stats.looks import look_level, undeclared_level
from upgate.stats.reliability import Reliability
from upgate.tasks.significance import Significance
from upgate.tune.rates import FoundRate

LOG, PLAIN = "log", "plain"


@dataclass(frozen=True)
class Wall:
    """Equal wall time: epochs by arm that cost the same, measured before the first run.

    Controls have the baseline's. ratio: of a step's seconds to the baseline's. seconds: the
    expected time of all the baseline's steps, and so of every arm's.
    """

    epochs: dict[str, int]
    ratio: dict[str, float]
    seconds: float

    @property
    def equal(self) -> bool:
        return len(set(self.epochs.values())) < 2


@dataclass(frozen=True)
class Study:
    """The question of a study, frozen before its first run. Keys name the runs."""

    id: str  # such as stock-pair-1a2b3c4d; the same question has the same one
    task: str
    design: str  # pair, parts, factorial or arms
    overrides: list[str] = field(metadata=stored_as("words"))  # the user's, options too
    arms: list[Arm]  # the baseline first
    parts: list[str]  # ingredients of parts and factorial, else empty
    seeds: list[int]
    folds: list[int]
    keys: dict[str, dict[str, str]]  # arm (controls too) -> "seed/fold" -> run key
    aa: Arm | None  # the baseline under a second name
    aa_seeds: list[int]  # its seeds, none of them in `seeds`, in their order
    zero: Arm | None  # updates that must change nothing; one run, on the first seed and fold
    metric: str  # test/mse_ratio, test/accuracy
    higher_is_better: bool
    scale: str  # log: effects are logs of ratios of the metric; plain: its differences
    smallest_effect: float  # of interest: relative for log (0.01 is 1%), else in metric's units
    alpha: float
    data: str  # content hash
    source: str  # where the data came from, a phrase
    # task, split, model, budget, batch_size, precision, threads: equal in every arm
    frozen: dict[str, Any]
    commands: list[str]  # how to repeat and to report it
    wall: Wall | None = None  # equal wall time; None: equal steps
    looks: list[int] = field(default_factory=list)  # declared numbers of seeds; empty: one look
    rates: dict[str, FoundRate] = field(default_factory=dict)  # arm -> its rate, if searched
    # of the parts, each twice, forwards and backwards, for sampled Shapley values; else empty
    orders: list[list[str]] = field(default_factory=list)
    primary: str = ""  # the arm of the primary question; empty: the rule of `primary_arm`
    # numbers of seeds at which the store's earlier studies looked, outside this study's plan
    undeclared: list[int] = field(default_factory=list)

    @property
    def primary_arm(self) -> str:
        """The arm of the one question that is judged at the full level.

        As named; else the recipe with all parts on, the upgraded recipe, or the second arm.
        """
        if self.primary:
            return self.primary
        if self.parts:
            return max(self.arms, key=lambda arm: len(arm.on)).name
        others = [arm.name for arm in self.arms[1:]]
        return next((name for name in others if name == "upgraded"), (others or [""])[0])

    @property
    def part_orders(self) -> list[tuple[int, ...]]:
        """`orders` by the parts' positions."""
        return [tuple(map(self.parts.index, order)) for order in self.orders]

    @property
    def look(self) -> int:
        """The number of this look, from 1 on."""
        return self.looks.index(len(self.seeds)) + 1 if self.looks else 1

    @property
    def level(self) -> float:
        """The level at which this look may reject."""
        if self.undeclared:
            return undeclared_level(len(self.seeds), self.alpha)
        return look_level(tuple(self.looks), self.alpha) if self.looks else self.alpha

    @property
    def baseline(self) -> str:
        return self.arms[0].name

    @property
    def better(self) -> str:
        return "higher" if self.higher_is_better else "lower"

    @property
    def margin(self) -> float:
        """The smallest effect of interest in the scale of effects."""
        return math.log1p(self.smallest_effect) if self.scale == LOG else self.smallest_effect

    def shown(self, effect: float) -> float:
        """An effect for people: percent of the baseline's metric (log), or points (plain).

        A point is .01 of accuracy.
        """
        if self.scale == PLAIN or effect == math.inf:
            return 100 * effect
        return 100 * math.expm1(effect)

    @property
    def unit(self) -> str:
        return "%" if self.scale == LOG else "points"

    def scaled(self, value: float) -> float:
        """A metric's value in the scale in which effects add up; -inf for a ratio of 0."""
        if self.scale != LOG:
            return value
        return math.log(value) if value > 0 else -math.inf

    def unscaled(self, scaled: float) -> float:
        """The inverse of `scaled`."""
        return math.exp(scaled) if self.scale == LOG else scaled

    def json(self) -> str:
        return to_json(self)


@dataclass(frozen=True)
class ArmVerdict:
    """An arm against the baseline.

    effect, low, high: arm minus baseline in the study's scale; `Study.shown` makes percent or
    points. p: of the test; p_holm: adjusted over all arms of the study; p_exact: of the sign-flip
    permutation.
    """

    arm: str
    # helps, hurts, equivalent, undecided; empty where the arm is shown and not judged
    verdict: str = field(metadata=stored_as("word"))
    effect: float
    low: float
    high: float
    p: float
    p_exact: float
    p_holm: float
    n: int  # seeds that count: those of which every fold is finished
    more_seeds: int | None  # for an undecided one; None: more than 10,000
    diverged: int  # seeds whose difference is infinite
    score: float  # the mean of the arm's metric over its seeds, geometric in the log scale
    more_data: float | None = None  # where seeds alone would not decide: times the test data
    collapsed: int = 0  # seeds that the comparison of means leaves out
    level: float = 0.05  # of the interval and the test
    over: str = "seeds"  # what the interval is about: seeds, seeds and units, or data sets
    error: float = math.nan  # standard error of the effect; nan where the test ranks


@dataclass(frozen=True)
class Control:
    """A check of the study itself. difference: the largest one seen; None before its run."""

    name: str
    overrides: list[str] = field(metadata=stored_as("words"))
    expected: str
    difference: float | None
    holds: bool | None


@dataclass(frozen=True)
class Interaction:
    """Interactions of two parts, +-1 coded.

    Several pairs where the design confounds them: the effect is their sum.
    """

    pairs: list[list[str]]
    effect: Estimate


@dataclass(frozen=True)
class Attributed:
    """How much of the full difference each part brings, in the study's scale.

    The shares and the remainder add up to the full difference. exact: the shares assume nothing.
    small_remainder: it is equivalent to nothing, so that the shares may be believed. method: how
    the shares were obtained: exact or sampled Shapley values, or main effects.
    """

    full: Estimate = field(metadata=stored_as("whole"))
    shares: dict[str, Share]
    remainder: Estimate
    interactions: list[Interaction]
    diverged: int
    exact: bool
    small_remainder: bool
    seconds: dict[str, Estimate]  # part -> log of the ratio of seconds with it to those without
    method: str = "main"  # exact, sampled, main


class Cost(NamedTuple):
    """Means over an arm's runs. ratio: of seconds to the baseline's."""

    seconds: float
    ratio: float
    seconds_per_step: float
    steps: float
    epochs: float


@dataclass(frozen=True)
class StudyResult:
    """What the store says of a study. Mappings are by arm, the baseline's where that makes sense.

    The fields from `significance` to `losses` are those of `BeyondSeeds`.
    """

    study: Study
    sentence: str
    # of all arms but the baseline; the primary one at the study's level. The others are one family
    # where they are named recipes, and have no label where they serve the attribution.
    verdicts: list[ArmVerdict]
    # parts and factorial: each part's share of the full difference, judged as one family. arm is
    # the part's name, score nan.
    parts: list[ArmVerdict]
    aa: ArmVerdict | None  # the first row of every table: the noise floor
    controls: list[Control]
    attribution: Attributed | None
    baseline_score: float
    against_references: dict[str, ArmVerdict]  # the primary arm against each, at the study's level
    reliability: dict[str, Reliability]  # arm (A/A too), beside the baseline on the same seeds
    references: dict[str, float]  # persistence, linear, ...: pooled as the arms' scores are
    scores: dict[str, dict[str, float]]  # arm (A/A too) -> seed -> metric pooled over folds
    differences: dict[str, dict[str, float]]  # arm -> seed -> arm minus baseline, scaled
    folds: dict[str, dict[str, float]]  # arm -> fold -> mean difference over seeds, scaled
    significance: dict[str, list[Significance]] = field(metadata=stored_as("second"))
    confidence_set: dict[str, float]
    tickers: dict[str, dict[str, float]]
    ticker_interval: dict[str, Interval]
    dates: list[str]
    losses: dict[str, list[float]]
    engagement: dict[str, dict[str, float]]  # arm -> what its parts did, means over its runs
    cost: dict[str, Cost]
    diverged: dict[str, int]  # runs
    missing: dict[str, list[str]]  # arm -> "seed/fold" that the store does not have
    looks: int  # runs of this store that were evaluated on this test part, whichever command's
    seconds: float  # of training, all runs of the study together

    def json(self) -> str:
        return to_json(self)

    @property
    def complete(self) -> bool:
        return not any(self.missing.values())

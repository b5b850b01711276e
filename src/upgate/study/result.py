"""A study and what came out of it, as plain values that go to JSON and back.

`Study` is what was asked and frozen: an artifact `study.json` of the study's parent run, and a file in `<root>/studies/<id>/`.
`StudyResult` is made from it and the store alone, by `judge.py`, as often as one likes.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from types import UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from upgate.stats.attribution import Share
from upgate.stats.paired import Estimate, Interval
from upgate.tasks.significance import Significance

T = TypeVar("T")
LOG, PLAIN = "log", "plain"


@dataclass(frozen=True)
class Arm:
    """A recipe in a study. words: every override but seed and fold, to be typed again; on: the parts at the upgraded choice."""

    name: str
    words: list[str]
    on: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wall:
    """Epochs by arm that cost the same time, measured before the first run. Controls have the baseline's.

    ratio: of a step's seconds to the baseline's; seconds: what all the baseline's steps were expected to take, and so every arm's.
    """

    epochs: dict[str, int]
    ratio: dict[str, float]
    seconds: float

    @property
    def equal(self) -> bool:
        return len(set(self.epochs.values())) < 2


@dataclass(frozen=True)
class Study:
    """What a study asks, frozen before its first run. Keys name the runs; nothing here is measured."""

    id: str  # such as stock-pair-1a2b3c4d; the same question has the same one
    task: str
    design: str  # pair, parts, factorial or arms
    words: list[str]  # the user's, those of study. too
    arms: list[Arm]  # the baseline first
    parts: list[str]  # ingredients of parts and factorial, else empty
    seeds: list[int]
    folds: list[int]
    keys: dict[str, dict[str, str]]  # arm (controls too) -> "seed/fold" -> run key
    aa: Arm | None  # the baseline under a second name
    aa_seeds: list[int]  # its seeds, none of them in `seeds`, in their order
    zero: (
        Arm | None
    )  # updates by groups that must change nothing; one run, on the first seed and fold
    metric: str  # test/mse_ratio, test/accuracy
    higher_is_better: bool
    scale: str  # log: effects are logs of ratios of the metric; plain: its differences
    smallest_effect: float  # of interest: relative for log (0.01 is 1%), else in the metric's units
    alpha: float
    data: str  # content hash
    source: str  # where the data came from, a phrase
    frozen: dict[
        str, Any
    ]  # task, split, model, budget, batch_size, precision, threads: alike in every arm
    commands: list[str]  # how to do it again
    wall: Wall | None = None  # equal wall time; None: equal steps

    @property
    def baseline(self) -> str:
        return self.arms[0].name

    @property
    def margin(self) -> float:
        """The smallest effect of interest in the scale of effects."""
        return math.log1p(self.smallest_effect) if self.scale == LOG else self.smallest_effect

    def shown(self, effect: float) -> float:
        """An effect for people: percent of the baseline's metric (log), or points (plain: accuracy .01 is a point)."""
        if self.scale == PLAIN or effect == math.inf:
            return 100 * effect
        return 100 * math.expm1(effect)

    @property
    def unit(self) -> str:
        return "%" if self.scale == LOG else "points"

    def json(self) -> str:
        return to_json(self)


@dataclass(frozen=True)
class ArmVerdict:
    """An arm against the baseline. effect, low, high are in the study's scale, arm minus baseline; `Study.shown` makes percent or points.

    p is the one test's, p_holm adjusted over all arms of the study, p_exact the sign-flip permutation's.
    """

    arm: str
    word: str  # helps, hurts, equivalent, undecided
    effect: float
    low: float
    high: float
    p: float
    p_exact: float
    p_holm: float
    n: int  # seeds that count: those of which every fold is there
    more_seeds: int | None  # for an undecided one; None: more than 10,000
    diverged: int  # seeds whose difference is infinite
    score: float  # the arm's metric, the mean over its seeds in the study's scale, back in the metric's units


@dataclass(frozen=True)
class Control:
    """A check of the study itself. difference: the largest one seen; None while it has not run."""

    name: str
    words: list[str]
    expected: str
    difference: float | None
    holds: bool | None


@dataclass(frozen=True)
class Interaction:
    """Two-part interactions, +-1 coded; several pairs where the design cannot tell them apart: theirs is a sum."""

    pairs: list[list[str]]
    effect: Estimate


@dataclass(frozen=True)
class Attributed:
    """How much of the whole difference each part brings, in the study's scale; the shares add up to the whole."""

    whole: Estimate
    shares: dict[str, Share]
    remainder: Estimate
    interactions: list[Interaction]
    diverged: int
    seconds: dict[str, Estimate]  # part -> log of the ratio of seconds with it to seconds without


class Cost(NamedTuple):
    """Means over an arm's runs. ratio: of seconds to the baseline's."""

    seconds: float
    ratio: float
    seconds_per_step: float
    steps: float
    epochs: float


@dataclass(frozen=True)
class StudyResult:
    """What the store says of a study. Every mapping is by arm unless said otherwise, the baseline's where that makes sense."""

    study: Study
    sentence: str
    verdicts: list[
        ArmVerdict
    ]  # the arms but the baseline, in the study's order; Holm over all of them
    parts: list[
        ArmVerdict
    ]  # parts and factorial: each part's share of the whole, judged; arm is the part's name, score nan; Holm over them
    aa: ArmVerdict | None  # the first row of every table: the noise floor
    controls: list[Control]
    attribution: Attributed | None
    baseline_score: float
    references: dict[
        str, float
    ]  # persistence, har, linear, ...: the metric, pooled as the arms' scores are
    scores: dict[
        str, dict[str, float]
    ]  # arm (A/A too) -> seed -> metric pooled over folds, in the metric's units
    differences: dict[
        str, dict[str, float]
    ]  # arm -> seed -> arm minus baseline in the study's scale
    folds: dict[
        str, dict[str, float]
    ]  # arm -> fold -> mean difference over seeds, in the study's scale
    second: dict[str, list[Significance]]
    confidence_set: dict[str, float]  # stock: p-values of the model confidence set
    tickers: dict[
        str, dict[str, float]
    ]  # stock: arm -> ticker -> MSE over the baseline's, geometric mean over seeds and folds
    ticker_interval: dict[str, Interval]  # stock: all tickers and seeds resampled
    dates: list[str]  # stock: test dates of all folds, in order
    losses: dict[
        str, list[float]
    ]  # stock: arm or reference -> loss per date over persistence's mean: averaged over seeds, then tickers
    engagement: dict[str, dict[str, float]]  # arm -> what its parts did, means over its runs
    cost: dict[str, Cost]
    diverged: dict[str, int]  # runs
    missing: dict[str, list[str]]  # arm -> "seed/fold" that the store does not have
    looks: int  # runs of this store that were judged on this test part, whoever asked for them
    seconds: float  # of training, all runs of the study together

    def json(self) -> str:
        return to_json(self)

    @property
    def complete(self) -> bool:
        return not any(self.missing.values())


def to_json(value: Any) -> str:
    """JSON in which infinities and nan are texts, for JSON has no word for them; nothing else is lost."""
    return json.dumps(plain(asdict(value)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return repr(float(value)) if isinstance(value, float) and not math.isfinite(value) else value


def from_json(kind: type[T], text: str) -> T:
    """A dataclass from `to_json`'s text; a file that is not one raises TypeError or KeyError."""
    found: T = read(kind, json.loads(text))
    return found


def read(hint: Any, value: Any) -> Any:
    """A plain value in the type that the annotation says."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return (
            None
            if value is None
            else read(next(one for one in args if one is not type(None)), value)
        )
    if origin is list:
        return [read(args[0], one) for one in value]
    if origin is dict:
        return {key: read(args[1], one) for key, one in value.items()}
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{key: read(hints[key], one) for key, one in value.items()})  # type: ignore[operator]
    if isinstance(hint, type) and issubclass(hint, tuple):
        hints = get_type_hints(hint)
        return hint(*(read(one, item) for one, item in zip(hints.values(), value, strict=True)))
    return float(value) if hint is float else value

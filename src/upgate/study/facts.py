"""The article's claim held against what studies found: confirmed, refuted or not shown, by the interval and the size that was claimed.

Gains are percent (of MSE) or points (of accuracy), positive in the claim's direction. Confirmed: the whole interval reaches the claimed
size; refuted: all of it stays below; else not shown, and always so with fewer than 6 seeds. Pure: results in, facts out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from upgate.stats.paired import Floats, differences, paired, ranked, ratio_of_means
from upgate.stats.verdict import FEWEST
from upgate.study.result import PLAIN, StudyResult
from upgate.study.text import whole

CLAIMED = {"stock": 0.20, "sentiment": 0.05}  # lower MSE; more of the reviews right
YARDSTICK = {
    "level": "persistence",
    "return": "persistence",
    "volatility": "har",
    "reviews": "linear",
}  # what costs nothing
ARTICLE, HONEST = "article", "honest"
ROLE = {"level": ARTICLE, "return": HONEST, "volatility": HONEST, "reviews": ARTICLE}
LESS, EXCESS, LINEAR, BEYOND = "less", "excess", "linear", "beyond"
CLAIMS = (LESS, EXCESS, LINEAR, BEYOND)


@dataclass(frozen=True)
class Fact:
    """One claim in one study. gain is nan where there is nothing to speak of, such as an excess error that the baseline does not have.

    less: against the traditional recipe, as claimed; excess: the same as a share of the baseline's error beyond the yardstick's; linear: as
    claimed, with the yardstick as the baseline; beyond: better than the yardstick at all, which every use of a forecast takes for granted.
    """

    claim: str
    setting: str  # level, return, volatility, reviews
    role: str  # article, honest
    word: str
    gain: float
    low: float
    high: float
    claimed: float
    against: str
    n: int


def facts(found: Mapping[str, StudyResult]) -> list[Fact]:
    """Every claim in every setting that has been measured, claim by claim. Results by setting."""
    every = [
        fact
        for name, result in found.items()
        if whole(result) is not None
        for fact in of_study(name, result)
    ]
    return sorted(every, key=lambda fact: CLAIMS.index(fact.claim))


def of_study(setting: str, result: StudyResult) -> list[Fact]:
    one = whole(result)
    assert one is not None
    study, role, claimed = result.study, ROLE[setting], 100 * CLAIMED[result.study.task]
    name, yardstick = YARDSTICK[setting], result.references.get(YARDSTICK[setting], math.nan)
    told = [
        Fact(
            LESS,
            setting,
            role,
            *decided(gains(result, (one.effect, one.low, one.high)), claimed, one.n),
            study.baseline,
            one.n,
        )
    ]
    own, base = paired_scores(result, one.arm)
    if math.isnan(yardstick) or len(own) < 2:
        return told
    scores = (own, np.full_like(own, yardstick))
    scaled = differences(*(scores if study.scale == PLAIN else np.log(scores)))
    found = (paired if np.isfinite(scaled).all() else ranked)(scaled, study.alpha)
    beyond = gains(result, (found.effect, found.low, found.high))
    if study.scale == PLAIN:
        told.append(
            Fact(LINEAR, setting, HONEST, *decided(beyond, claimed, found.n), name, found.n)
        )
    else:
        share, size = excess(own, base, yardstick, study.alpha)
        told.append(Fact(EXCESS, setting, role, *decided(share, size, found.n), name, found.n))
    told.append(
        Fact(
            BEYOND,
            setting,
            HONEST if study.scale == PLAIN else role,
            *decided(beyond, 0.0, found.n),
            name,
            found.n,
        )
    )
    return told


def gains(result: StudyResult, effect: tuple[float, float, float]) -> tuple[float, float, float]:
    """Effect, low and high in the study's scale as percent or points of gain."""
    middle, low, high = (result.study.shown(x) for x in effect)
    return (middle, low, high) if result.study.higher_is_better else (-middle, -high, -low)


def decided(
    gain: tuple[float, float, float], claimed: float, n: int
) -> tuple[str, float, float, float, float]:
    """The word, the gain with its interval, and the size that was claimed."""
    _, low, high = gain
    word = (
        "confirmed"
        if low >= claimed and low > 0
        else "refuted"
        if high < claimed or high <= 0
        else "not shown"
    )
    return (word if n >= FEWEST else "not shown", *gain, claimed)


def paired_scores(result: StudyResult, arm: str) -> tuple[Floats, Floats]:
    """The arm's and the baseline's scores on the seeds that both have."""
    own, base = result.scores.get(arm, {}), result.scores.get(result.study.baseline, {})
    seeds = [seed for seed in base if seed in own]
    return np.array([own[seed] for seed in seeds]), np.array([base[seed] for seed in seeds])


def excess(
    own: Floats, base: Floats, yardstick: float, alpha: float
) -> tuple[tuple[float, float, float], float]:
    """Percent of the baseline's excess over the yardstick that is removed, with Fieller's interval; and what the claim would remove.

    nan where the baseline is not surely worse than the yardstick: then there is no excess, or none that one could divide by.
    """
    nothing = (math.nan, math.nan, math.nan), math.nan
    if not np.isfinite([own, base]).all():
        return nothing
    share = ratio_of_means(base - own, base - yardstick, alpha)
    if math.isnan(share[0]):
        return nothing
    return (100 * share[0], 100 * share[1], 100 * share[2]), 100 * CLAIMED["stock"] * fmean(
        base
    ) / fmean(base - yardstick)


def by_claim(found: Sequence[Fact]) -> dict[str, list[Fact]]:
    return {
        claim: those
        for claim in CLAIMS
        if (those := [fact for fact in found if fact.claim == claim])
    }

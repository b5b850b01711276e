"""The article's claim held against what studies found: confirmed, refuted or not shown, by the interval and the size that was claimed.

Gains are percent (of MSE) or points (of accuracy), positive in the claim's direction. Confirmed: the whole interval reaches the claimed
size; refuted: all of it stays below; else not shown, and always so with fewer than 6 seeds. Pure: results in, facts out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from upgate.errors import UserError
from upgate.stats.paired import Floats, differences, paired, ranked, ratio_of_means
from upgate.stats.verdict import FEWEST
from upgate.study.result import PLAIN, StudyResult
from upgate.study.text import whole
from upgate.tasks.article import BEYOND, EXCESS, HONEST, LESS, LINEAR, ArticleClaim
from upgate.tasks.registry import get_task

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
    scale: str  # the study's: gains in percent (log) or in points (plain)


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
    study, claim = result.study, article_claim(result.study.task)
    role, claimed = claim.setting(setting).role, 100 * claim.size
    name = claim.setting(setting).yardstick
    yardstick = result.references.get(name, math.nan)
    told = [
        Fact(
            LESS,
            setting,
            role,
            *decided(gains(result, (one.effect, one.low, one.high)), claimed, one.n),
            study.baseline,
            one.n,
            study.scale,
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
            Fact(
                LINEAR,
                setting,
                HONEST,
                *decided(beyond, claimed, found.n),
                name,
                found.n,
                study.scale,
            )
        )
    else:
        share, size = excess(own, base, yardstick, study.alpha, claim.size)
        told.append(
            Fact(EXCESS, setting, role, *decided(share, size, found.n), name, found.n, study.scale)
        )
    told.append(
        Fact(
            BEYOND,
            setting,
            HONEST if study.scale == PLAIN else role,
            *decided(beyond, 0.0, found.n),
            name,
            found.n,
            study.scale,
        )
    )
    return told


def article_claim(task: str) -> ArticleClaim:
    """What the article claims of a task. Raises UserError where it claims nothing."""
    claim = get_task(task).article
    if claim is None:
        raise UserError(f"the article claims nothing of task={task}; run study=pair instead")
    return claim


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
    own: Floats, base: Floats, yardstick: float, alpha: float, claimed: float
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
    return (100 * share[0], 100 * share[1], 100 * share[2]), 100 * claimed * fmean(base) / fmean(
        base - yardstick
    )


def by_claim(found: Sequence[Fact]) -> dict[str, list[Fact]]:
    return {
        claim: those
        for claim in CLAIMS
        if (those := [fact for fact in found if fact.claim == claim])
    }

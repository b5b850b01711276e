"""The article's claim, checked against studies: confirmed, refuted or not shown.

By the interval and the claimed size. Gains are percent (of MSE) or points (of accuracy), positive
in the claim's direction. Confirmed: all of the interval reaches the claimed size; refuted: all of
it stays below; else not shown, and always so with fewer than 6 seeds. Pure: results in, facts out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from upgate.errors import UserError
from upgate.stats.estimate import Floats, Interval
from upgate.stats.paired import ratio_of_means
from upgate.stats.verdict import FEWEST
from upgate.study.result import PLAIN, StudyResult
from upgate.study.text import main_verdict
from upgate.study.texts import say
from upgate.tasks.article import BEYOND, EXCESS, HONEST, LESS, LINEAR, ArticleClaim
from upgate.tasks.names import get_facts

CLAIMS = (LESS, EXCESS, LINEAR, BEYOND)
UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Fact:
    """One claim in one study.

    less: against the traditional recipe, as claimed. excess: the same as a share of the baseline's
    error beyond the yardstick's. linear: as claimed, with the yardstick as the baseline. beyond:
    better than the yardstick at all, which every use of a forecast presupposes. gain is nan where
    it is not defined, such as for an excess error that the baseline does not have.
    """

    claim: str
    setting: str  # level, return, volatility, reviews
    role: str  # article, honest
    verdict: str  # confirmed, refuted, not shown
    gain: float
    low: float
    high: float
    claimed: float
    against: str
    n: int
    scale: str  # the study's: gains in percent (log) or in points (plain)


def check_claims(results: Mapping[str, StudyResult]) -> list[Fact]:
    """Every claim in every setting that was measured, claim by claim. Results by setting."""
    facts = []
    for setting, result in results.items():
        facts += check_study(setting, result)
    return sorted(facts, key=lambda fact: CLAIMS.index(fact.claim))


def check_study(setting: str, result: StudyResult) -> list[Fact]:
    """The claims in one setting; none before the study has a verdict on the upgraded recipe."""
    main = main_verdict(result)
    if main is None:
        return []
    study, claim = result.study, article_claim(result.study.task)
    claimed, role = 100 * claim.size, claim.setting(setting).role
    name = claim.setting(setting).yardstick

    def fact(kind: str, role: str, gain: Interval, claimed: float, against: str, n: int) -> Fact:
        return make_fact(kind, setting, role, gain, claimed, against, n, study.scale)

    gain = signed_gain(result, Interval(main.effect, main.low, main.high))
    facts = [fact(LESS, role, gain, claimed, study.baseline, main.n)]
    own, base = common_scores(result, main.arm)
    yardstick = result.references.get(name, math.nan)
    if math.isnan(yardstick) or len(own) < 2:
        return facts
    tested = result.against_references[name]
    beyond, n = signed_gain(result, Interval(tested.effect, tested.low, tested.high)), tested.n
    if study.scale == PLAIN:
        facts.append(fact(LINEAR, HONEST, beyond, claimed, name, n))
        facts.append(fact(BEYOND, HONEST, beyond, 0.0, name, n))
    else:
        share, size = excess(own, base, yardstick, study.alpha, claim.size)
        facts.append(fact(EXCESS, role, share, size, name, n))
        facts.append(fact(BEYOND, role, beyond, 0.0, name, n))
    return facts


def article_claim(task: str) -> ArticleClaim:
    """What the article claims of a task. Raises UserError where it claims nothing."""
    claim = get_facts(task).article
    if claim is None:
        raise UserError(say("no_claim", task=task))
    return claim


def make_fact(
    claim: str,
    setting: str,
    role: str,
    gain: Interval,
    claimed: float,
    against: str,
    n: int,
    scale: str,
) -> Fact:
    return Fact(
        claim=claim,
        setting=setting,
        role=role,
        verdict=judge_claim(gain, claimed, n),
        gain=gain.effect,
        low=gain.low,
        high=gain.high,
        claimed=claimed,
        against=against,
        n=n,
        scale=scale,
    )


def judge_claim(gain: Interval, claimed: float, n: int) -> str:
    """confirmed, refuted or not shown. n: seeds."""
    if n < FEWEST:
        return "not shown"
    if gain.low >= claimed and gain.low > 0:
        return "confirmed"
    return "refuted" if gain.high < claimed or gain.high <= 0 else "not shown"


def signed_gain(result: StudyResult, effect: Interval) -> Interval:
    """An effect in the study's scale as percent or points of gain."""
    middle, low, high = (result.study.shown(x) for x in effect)
    if result.study.higher_is_better:
        return Interval(middle, low, high)
    return Interval(-middle, -high, -low)


def common_scores(result: StudyResult, arm: str) -> tuple[Floats, Floats]:
    """The arm's and the baseline's scores on the seeds that both have."""
    own, base = result.scores.get(arm, {}), result.scores.get(result.study.baseline, {})
    seeds = [seed for seed in base if seed in own]
    return np.array([own[seed] for seed in seeds]), np.array([base[seed] for seed in seeds])


def excess(
    own: Floats, base: Floats, yardstick: float, alpha: float, size: float
) -> tuple[Interval, float]:
    """Percent of the baseline's excess over the yardstick that is removed; and the claimed one.

    size: the claimed share of the baseline's full error. With Fieller's interval; nan where the
    baseline is not significantly worse than the yardstick: then there is no excess, or none that
    one could divide by.
    """
    if not np.isfinite([own, base]).all():
        return UNKNOWN, math.nan
    share = ratio_of_means(base - own, base - yardstick, alpha)
    if math.isnan(share.effect):
        return UNKNOWN, math.nan
    claimed = 100 * size * fmean(base) / fmean(base - yardstick)
    return Interval(*(100 * x for x in share)), claimed


def by_claim(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """The facts of each claim that has any, in the order of CLAIMS."""
    groups: dict[str, list[Fact]] = {}
    for fact in sorted(facts, key=lambda fact: CLAIMS.index(fact.claim)):
        groups.setdefault(fact.claim, []).append(fact)
    return groups

"""One label over data sets, from the effect on each and its standard error; by random effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from upgate.stats.estimate import Estimate, Floats
from upgate.stats.power import holm
from upgate.stats.random_effects import Outlook, RandomEffects, outlook, random_effects
from upgate.stats.two_way import equivalence_p
from upgate.stats.verdict import BETTER, Verdict

FEWEST_SETS = 3  # data sets: with two, nothing is known about how much they differ
OVER_SETS = "data sets"  # what the interval of such a verdict is about


@dataclass(frozen=True)
class Terms:
    """margin: the smallest effect of interest. family: arms that are judged together.

    Equivalence is claimed at alpha / family.
    """

    margin: float
    alpha: float
    better: str
    family: int


@dataclass(frozen=True)
class Effect:
    """The effect on one data set: arm minus baseline, its interval, its standard error."""

    dataset: str
    estimate: Estimate
    error: float
    diverged: int
    collapsed: int = 0  # runs that the estimate leaves out


@dataclass(frozen=True)
class Combined:
    """The answer over data sets."""

    effects: Sequence[Effect]
    random: RandomEffects
    new: Outlook


def combine(
    effects: Sequence[Effect], terms: Terms, correlations: Floats | None = None
) -> tuple[Verdict, Combined | None]:
    """One verdict over data sets. correlations: of the effects' errors, as `random_effects` says.

    Undecided, and not combined, where a run diverged, for fewer than two data sets, and where an
    error is not known. Fewer than three are undecided; where runs collapsed, the label is never
    equivalent.
    """
    diverged = sum(effect.diverged for effect in effects)
    y = np.array([effect.estimate.effect for effect in effects])
    v = np.array([effect.error for effect in effects]) ** 2
    if diverged or len(effects) < 2 or not np.isfinite([y, v]).all():
        nothing = Estimate(float("nan"), -np.inf, np.inf, 1.0, len(effects))
        one = to_verdict("undecided", nothing, None, 1.0, diverged, terms.alpha)
        return replace(one, over=OVER_SETS), None
    found = random_effects(y, v, terms.alpha, correlations)
    estimate = Estimate(found.effect, found.low, found.high, found.p, found.n)
    collapsed = sum(effect.collapsed for effect in effects)
    equal = not collapsed and is_equal(found.effect, found.error, found.n - 1, terms)
    label = to_label(estimate, equal, found.n >= FEWEST_SETS, terms)
    more = 0 if label != "undecided" else None
    one = to_verdict(label, estimate, more, found.p, 0, terms.alpha)
    one = replace(one, over=OVER_SETS, collapsed=collapsed, error=found.error)
    return one, Combined(effects, found, outlook(found, terms.margin, terms.better))


def as_family(verdicts: Mapping[str, Verdict], alpha: float) -> dict[str, Verdict]:
    """helps and hurts that survive Holm's adjustment over all arms; the others are undecided."""
    adjusted = holm([one.p for one in verdicts.values()]).tolist()
    judged = {}
    for (name, one), p in zip(verdicts.items(), adjusted, strict=True):
        if one.label in ("helps", "hurts") and p > alpha:
            one = replace(one, label="undecided", more_seeds=None)
        judged[name] = replace(one, p_holm=p)
    return judged


def is_equal(effect: float, error: float, df: int, terms: Terms) -> bool:
    """Whether two one-sided tests show the effect within the smallest effect of interest."""
    return equivalence_p(effect, error, df, terms.margin) <= terms.alpha / terms.family


def to_label(estimate: Estimate, equal: bool, enough: bool, terms: Terms) -> str:
    """equal: shown to be within the smallest effect. enough: runs for a word at all."""
    if not enough:
        return "undecided"
    if equal:
        return "equivalent"
    if not estimate.p <= terms.alpha:
        return "undecided"
    return "helps" if estimate.effect * BETTER[terms.better] > 0 else "hurts"


def to_verdict(
    label: str, estimate: Estimate, more: int | None, exact: float, diverged: int, level: float
) -> Verdict:
    """A verdict of an estimate that was judged alone. exact: the p-value beside the test's own."""
    return Verdict(
        label=label,
        effect=estimate.effect,
        low=estimate.low,
        high=estimate.high,
        p=estimate.p,
        n=estimate.n,
        more_seeds=more,
        p_exact=exact,
        p_holm=estimate.p,
        diverged=diverged,
        level=level,
    )

"""One arm against the baseline: an effect, its tests, and the label that follows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from upgate.errors import UserError
from upgate.referee.scores import Pairs
from upgate.stats import folds, unpaired
from upgate.stats.paired import Estimate, Floats, differences, paired
from upgate.stats.power import holm
from upgate.stats.random_effects import Outlook, RandomEffects, outlook, random_effects
from upgate.stats.two_way import equivalence_p, two_way
from upgate.stats.verdict import BETTER, Verdict

FEWEST_EQUIVALENT = 12  # runs of a group, or data sets
FEWEST_SETS = 3  # data sets: with two, nothing is known about how much they differ


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


@dataclass(frozen=True)
class Combined:
    """The answer over data sets."""

    effects: list[Effect]
    random: RandomEffects
    new: Outlook


def unpaired_verdict(arm: Floats, base: Floats, terms: Terms) -> Verdict:
    """Welch's test; Mann-Whitney's where a run diverged, which is never equivalent."""
    alpha = terms.alpha
    diverged = int(np.isinf(arm).sum() + np.isinf(base).sum())
    estimate = unpaired.ranked(arm, base) if diverged else unpaired.welch(arm, base, alpha)
    fewest = min(len(arm), len(base))
    equal = diverged == 0 and fewest >= FEWEST_EQUIVALENT
    equal = equal and unpaired.equivalence(arm, base, terms.margin) <= alpha / terms.family
    enough = unpaired.smallest_p(len(arm), len(base)) <= alpha and fewest >= 2
    label = _label(estimate, equal, enough, terms)
    more: int | None = 0
    if label == "undecided":
        needed = None if diverged or fewest < 2 else unpaired.runs_needed(arm, base, alpha)
        more = None if needed is None else max(needed - fewest, 1)
    exact = estimate.p if diverged else unpaired.permutation(arm, base)
    return _verdict(label, estimate, more, exact, diverged, alpha)


def fold_verdict(pairs: Pairs, test_share: float | None, terms: Terms) -> Verdict:
    """Folds of one data set: the corrected variance, or undecided where it cannot be known."""
    d = pair_differences(pairs)
    diverged = int(np.isinf(d).sum())
    if test_share is None or diverged:
        mean = float(d.mean()) if not diverged else float("nan")
        estimate = Estimate(mean, -np.inf, np.inf, 1.0, len(d))
        return _verdict("undecided", estimate, None, 1.0, diverged, terms.alpha)
    estimate = folds.corrected(d, test_share, terms.alpha)
    equal = len(d) > 1 and _equal(
        estimate.effect, folds.corrected_error(d, test_share), len(d) - 1, terms
    )
    label = _label(estimate, equal, len(d) > 1, terms)
    return _verdict(
        label, estimate, 0 if label != "undecided" else None, estimate.p, 0, terms.alpha
    )


def combine(effects: list[Effect], terms: Terms) -> tuple[Verdict, Combined | None]:
    """One verdict over data sets, by random effects; undecided where a run diverged."""
    diverged = sum(effect.diverged for effect in effects)
    if diverged or len(effects) < 2:
        nothing = Estimate(float("nan"), -np.inf, np.inf, 1.0, len(effects))
        return _verdict("undecided", nothing, None, 1.0, diverged, terms.alpha), None
    y = np.array([effect.estimate.effect for effect in effects])
    v = np.array([effect.error for effect in effects]) ** 2
    if not np.isfinite(v).all():
        raise UserError(
            "over needs at least two pairs in each data set to know its variance; "
            "with one run per data set, pair by the data set instead"
        )
    found = random_effects(y, v, terms.alpha)
    estimate = Estimate(found.effect, found.low, found.high, found.p, found.n)
    equal = _equal(found.effect, found.error, found.n - 1, terms)
    label = _label(estimate, equal, found.n >= FEWEST_SETS, terms)
    more = 0 if label != "undecided" else None
    verdict = _verdict(label, estimate, more, found.p, 0, terms.alpha)
    return verdict, Combined(effects, found, outlook(found, terms.margin, terms.better))


def paired_effect(dataset: str, pairs: Pairs, alpha: float) -> Effect:
    """The mean difference of one data set, over its items too where it has them."""
    d = pair_differences(pairs)
    diverged = int(np.isinf(d).sum())
    if diverged:
        nothing = Estimate(float("nan"), -np.inf, np.inf, 1.0, len(d))
        return Effect(dataset, nothing, float("inf"), diverged)
    if pairs.items is not None and len(d) > 1:
        both = two_way(d[:, None] + pairs.items.deviations, pairs.items.lags, alpha)
        return Effect(dataset, Estimate(*both[:5]), both.error, 0)
    error = float(np.std(d, ddof=1) / np.sqrt(len(d))) if len(d) > 1 else float("inf")
    return Effect(dataset, paired(d, alpha), error, 0)


def unpaired_effect(dataset: str, arm: Floats, base: Floats, alpha: float) -> Effect:
    """The difference of the means of one data set."""
    diverged = int(np.isinf(arm).sum() + np.isinf(base).sum())
    if diverged:
        nothing = Estimate(float("nan"), -np.inf, np.inf, 1.0, len(arm) + len(base))
        return Effect(dataset, nothing, float("inf"), diverged)
    error = unpaired.standard_error(arm, base)
    return Effect(dataset, unpaired.welch(arm, base, alpha), error, 0)


def pair_differences(pairs: Pairs) -> Floats:
    """Arm minus baseline; two diverged runs differ by 0."""
    return differences(pairs.arm, pairs.base)


def as_family(verdicts: Mapping[str, Verdict], alpha: float) -> dict[str, Verdict]:
    """helps and hurts that survive Holm's adjustment over all arms; the others are undecided."""
    adjusted = holm([one.p for one in verdicts.values()]).tolist()
    judged = {}
    for (name, one), p in zip(verdicts.items(), adjusted, strict=True):
        if one.label in ("helps", "hurts") and p > alpha:
            one = replace(one, label="undecided", more_seeds=None)
        judged[name] = replace(one, p_holm=p)
    return judged


def _equal(effect: float, error: float, df: int, terms: Terms) -> bool:
    return equivalence_p(effect, error, df, terms.margin) <= terms.alpha / terms.family


def _label(estimate: Estimate, equal: bool, enough: bool, terms: Terms) -> str:
    """equal: shown to be within the smallest effect. enough: runs for a word at all."""
    if not enough:
        return "undecided"
    if equal:
        return "equivalent"
    if not estimate.p <= terms.alpha:
        return "undecided"
    return "helps" if estimate.effect * BETTER[terms.better] > 0 else "hurts"


def _verdict(
    label: str, estimate: Estimate, more: int | None, exact: float, diverged: int, level: float
) -> Verdict:
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

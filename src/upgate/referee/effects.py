"""One arm against the baseline: an effect, its tests, and the label that follows."""

import numpy as np

from upgate.errors import UserError
from upgate.referee.scores import Pairs
from upgate.referee.texts import say
from upgate.stats import data_sets, folds, unpaired
from upgate.stats.data_sets import Combined, Effect, Terms, is_equal, to_label, to_verdict
from upgate.stats.estimate import Estimate, Floats
from upgate.stats.paired import differences, paired
from upgate.stats.two_way import two_way
from upgate.stats.verdict import Verdict

FEWEST_EQUIVALENT = 12  # runs of a group, or data sets


def unpaired_verdict(arm: Floats, base: Floats, terms: Terms) -> Verdict:
    """Welch's test; Mann-Whitney's where a run diverged, which is never equivalent."""
    alpha = terms.alpha
    diverged = int(np.isinf(arm).sum() + np.isinf(base).sum())
    estimate = unpaired.ranked_groups(arm, base) if diverged else unpaired.welch(arm, base, alpha)
    fewest = min(len(arm), len(base))
    equal = diverged == 0 and fewest >= FEWEST_EQUIVALENT
    equal = equal and unpaired.equivalence(arm, base, terms.margin) <= alpha / terms.family
    enough = unpaired.smallest_p(len(arm), len(base)) <= alpha and fewest >= 2
    label = to_label(estimate, equal, enough, terms)
    more: int | None = 0
    if label == "undecided":
        needed = None if diverged or fewest < 2 else unpaired.runs_needed(arm, base, alpha)
        more = None if needed is None else max(needed - fewest, 1)
    exact = estimate.p if diverged else unpaired.permutation(arm, base)
    return to_verdict(label, estimate, more, exact, diverged, alpha)


def fold_verdict(pairs: Pairs, test_share: float | None, terms: Terms) -> Verdict:
    """Folds of one data set: the corrected variance, or undecided where it cannot be known."""
    d = pair_differences(pairs)
    diverged = int(np.isinf(d).sum())
    if test_share is None or diverged:
        mean = float(d.mean()) if not diverged else float("nan")
        estimate = Estimate(mean, -np.inf, np.inf, 1.0, len(d))
        return to_verdict("undecided", estimate, None, 1.0, diverged, terms.alpha)
    estimate = folds.corrected(d, test_share, terms.alpha)
    equal = len(d) > 1 and is_equal(
        estimate.effect, folds.corrected_error(d, test_share), len(d) - 1, terms
    )
    label = to_label(estimate, equal, len(d) > 1, terms)
    return to_verdict(
        label, estimate, 0 if label != "undecided" else None, estimate.p, 0, terms.alpha
    )


def combine_sets(effects: list[Effect], terms: Terms) -> tuple[Verdict, Combined | None]:
    """One verdict over data sets, by random effects; undecided where a run diverged.

    Raises UserError for a data set whose variance cannot be known.
    """
    known = all(np.isfinite(effect.error) for effect in effects)
    if len(effects) > 1 and not known and not any(effect.diverged for effect in effects):
        raise UserError(say("over_needs_pairs"))
    return data_sets.combine(effects, terms)


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

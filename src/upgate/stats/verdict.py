"""One label for an arm: helps, hurts, equivalent or undecided.

The label follows from one difference per seed (arm minus baseline, averaged over folds and tickers
first) and, where the losses per test date or item are known, from what these say of other dates or
items: see `two_way`. Without them it is about new seeds on these test data only.
- fewer than 6 seeds: undecided, whatever the differences, for an exact test could not reject;
- two one-sided tests show the mean within the smallest effect of interest: equivalent, even where
  the mean is significantly not 0: too small to matter. Only from 12 seeds on, for 6 that did not
  fail still allow a failure in 39% of seeds; runs that are equal to the last bit need no more;
- else the test rejects no effect: helps or hurts, by the sign;
- else undecided, and it says how many more seeds or how much more test data would decide.
A diverged run makes its difference infinite. Then all differences are ranked, the infinite last,
and Wilcoxon's signed-rank test and the Hodges-Lehmann difference replace the t-test and the mean.
Where a finite score collapsed the mean is not believed either: the comparison of the other seeds
and the ranks of all must both reject, and the interval covers both. Such a label is never
equivalent, for an arm that sometimes fails is not.
`verdicts` judges a family of arms by Holm's steps; every interval and every number of seeds is at
the level at which its arm was tested, so that intervals and labels agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upgate.errors import UserError
from upgate.stats.estimate import Floats
from upgate.stats.paired import paired, ranked, sign_flip
from upgate.stats.power import equivalence_seeds, fewest, holm, power, seeds_needed, tost_power
from upgate.stats.shapley import Sampling
from upgate.stats.two_way import equivalence_p, satterthwaite, t_test, two_way

FEWEST = 6  # seeds: with 5 the two-sided p of an exact test cannot fall below .0625
FEWEST_EQUIVALENT = 12  # seeds: fewer say too little about how often an arm fails
BETTER = {"lower": -1, "higher": 1}
NO_WORD = ""  # the label of an arm that is shown and not judged
MOST_DATA = 1000.0  # times the test data; more is not practical


class Units(NamedTuple):
    """What the test part's units, dates or items, say of an arm.

    deviations: (seeds, units); how much of a seed's difference stems from each unit, as the
    difference there minus the seed's. lags: see `two_way`.
    """

    deviations: Floats
    lags: int


class Fit(NamedTuple):
    """An effect with the errors from which its interval and tests follow.

    df: of Student's t; nan where the test ranks. spread: of one seed's difference. unit_error:
    standard error that more seeds do not reduce.
    """

    effect: float
    low: float
    high: float
    p: float
    error: float
    df: float
    spread: float
    unit_error: float


@dataclass(frozen=True)
class Verdict:
    """The label of one arm, with the effect and the tests behind it.

    effect, low, high: arm minus baseline, in the differences' units and sign, with the 1 - level
    interval. p: of the test that gave the label; p_exact: of the sign-flip permutation over seeds
    beside it; p_holm: p adjusted for the other questions of `verdicts`. more_seeds: 0 for a decided
    one; None where no number up to 10,000 would do. more_data: where seeds alone would not decide,
    how many times the test data would, with more_seeds beside it if that is needed too; None
    elsewhere. Both take effect and spread to be as
    observed: with fewer than 6 seeds they are rough. diverged: seeds whose difference is infinite.
    collapsed: seeds that the comparison of means leaves out. over: what the interval is about.
    error: the standard error of the effect; nan where the test ranks.
    """

    label: str
    effect: float
    low: float
    high: float
    p: float
    n: int
    more_seeds: int | None
    p_exact: float
    p_holm: float
    diverged: int
    level: float
    more_data: float | None = None
    collapsed: int = 0
    over: str = "seeds"
    error: float = np.nan


def verdict(
    differences: ArrayLike,
    smallest_effect: float,
    alpha: float = 0.05,
    better: str = "lower",
    units: Units | None = None,
    collapsed: NDArray[np.bool_] | None = None,
    sampled: Sampling | None = None,
    equivalence_alpha: float | None = None,
) -> Verdict:
    """Judge one arm.

    differences: (seeds,), as `paired.differences` makes them. smallest_effect: in their units,
    above 0. collapsed: (seeds,), where either arm's run failed. sampled: what a choice of orders
    adds to the variance of a part's share. equivalence_alpha: the level of the tests for
    equivalence, where it is not alpha. Raises UserError for an empty array, nan, or a wrong
    `better`.
    """
    d = _check_differences(differences, smallest_effect, better)
    infinite = np.isinf(d)
    failed = np.zeros(len(d), bool) if collapsed is None else collapsed & ~infinite
    both_ways = units is not None and not infinite.any() and len(d) > 1
    fit = _estimate(d, units if both_ways else None, failed, alpha)
    if sampled is not None:
        fit = _widen(fit, sampled, alpha)
    trusted = not failed.any()
    small = trusted and _small(fit, smallest_effect, equivalence_alpha or alpha)
    label = _label(d, fit, small, alpha, better)
    more = _more(d, fit, smallest_effect, alpha) if label == "undecided" else (0, None)
    exact = fit.p if infinite.any() else sign_flip(d)
    over = "seeds and units" if both_ways else "seeds"
    counts = int(infinite.sum()), int(failed.sum())
    return _to_verdict(label, fit, len(d), more, exact, counts, alpha, over)


def _to_verdict(
    label: str,
    fit: Fit,
    n: int,
    more: tuple[int | None, float | None],
    exact: float,
    counts: tuple[int, int],
    alpha: float,
    over: str,
) -> Verdict:
    """more: seeds, and times the data; counts: seeds that diverged, and that collapsed."""
    return Verdict(
        label=label,
        effect=fit.effect,
        low=fit.low,
        high=fit.high,
        p=fit.p,
        n=n,
        more_seeds=more[0],
        more_data=more[1],
        p_exact=exact,
        p_holm=fit.p,
        diverged=counts[0],
        collapsed=counts[1],
        level=alpha,
        over=over,
        error=fit.error,
    )


def verdicts(
    differences: Mapping[str, ArrayLike],
    smallest_effect: float,
    alpha: float = 0.05,
    better: str = "lower",
    units: Mapping[str, Units] | None = None,
    collapsed: Mapping[str, NDArray[np.bool_]] | None = None,
    sampled: Mapping[str, Sampling] | None = None,
) -> dict[str, Verdict]:
    """Judge several arms as one family.

    helps or hurts by Holm's steps: the smallest p is tested at alpha/m, the next at alpha/(m - 1),
    until one fails; equivalent at alpha/m. An arm's interval is at the level of its step, or of
    the step that failed.
    """
    units, collapsed, sampled = units or {}, collapsed or {}, sampled or {}

    def judge(name: str, level: float) -> Verdict:
        d, own = differences[name], collapsed.get(name)
        extra = sampled.get(name)
        return verdict(d, smallest_effect, level, better, units.get(name), own, extra, lowest)

    lowest = alpha / max(1, len(differences))
    alone = {name: judge(name, lowest) for name in differences}
    if len(alone) < 2:
        return alone
    adjusted = holm([one.p for one in alone.values()]).tolist()
    levels = holm_levels([one.p for one in alone.values()], alpha)
    judged = {}
    for name, p, level in zip(alone, adjusted, levels, strict=True):
        one = alone[name] if alone[name].label == "equivalent" else judge(name, level)
        judged[name] = replace(one, p_holm=p)
    return judged


def holm_levels(p: list[float], alpha: float) -> list[float]:
    """The level at which Holm's procedure tested each of these, or of the step that failed."""
    levels, level, failed = [alpha] * len(p), alpha, False
    for step, i in enumerate(np.argsort(p, kind="stable").tolist()):
        if not failed:
            level = alpha / (len(p) - step)
        failed = failed or p[i] > level
        levels[i] = level
    return levels


def without_word(one: Verdict) -> Verdict:
    """The same numbers, without a label: the question before it has no answer."""
    return replace(one, label=NO_WORD, more_seeds=0, more_data=None)


def _estimate(d: Floats, units: Units | None, failed: NDArray[np.bool_], alpha: float) -> Fit:
    """The estimate of the comparison that the differences allow."""
    if np.isinf(d).any():
        estimate = ranked(d, alpha)
        return Fit(*estimate[:4], np.nan, np.nan, np.nan, 0.0)
    if not failed.any():
        return _means(d, units, alpha)
    by_rank, kept = ranked(d, alpha), ~failed
    if kept.sum() < 2:
        return Fit(*by_rank[:4], np.nan, np.nan, np.nan, 0.0)
    trimmed = _means(d[kept], units and Units(units.deviations[kept], units.lags), alpha)
    return trimmed._replace(
        low=min(trimmed.low, by_rank.low),
        high=max(trimmed.high, by_rank.high),
        p=max(trimmed.p, by_rank.p),
    )


def _means(d: Floats, units: Units | None, alpha: float) -> Fit:
    spread = float(np.std(d, ddof=1)) if len(d) > 1 else np.nan
    if units is None:
        effect, low, high, p, n = paired(d, alpha)
        return Fit(effect, low, high, p, spread / np.sqrt(n), n - 1.0, spread, 0.0)
    both = two_way(d[:, None] + units.deviations, units.lags, alpha)
    rest = float(np.sqrt(max(0.0, both.error**2 - both.seed_error**2)))
    return Fit(both.effect, both.low, both.high, both.p, both.error, both.df, spread, rest)


def _widen(fit: Fit, sampled: Sampling, alpha: float) -> Fit:
    """The fit with the error of sampled orders added, which more seeds do not reduce."""
    own = fit.error**2
    total = own + sampled.variance
    if sampled.variance == 0 or np.isnan(total):
        return fit
    error = float(np.sqrt(total))
    df = satterthwaite(total, [(fit.df, own), (sampled.df, sampled.variance)])
    low, high, p = t_test(fit.effect, error, df, alpha)
    rest = float(np.hypot(fit.unit_error, np.sqrt(sampled.variance)))
    return fit._replace(low=low, high=high, p=p, error=error, df=df, unit_error=rest)


def _check_differences(differences: ArrayLike, smallest_effect: float, better: str) -> Floats:
    d = np.atleast_1d(np.asarray(differences, float))
    if d.ndim > 1 or not len(d) or np.isnan(d).any():
        raise UserError(
            "a verdict needs one difference per seed, none of them nan;"
            " a diverged run's score is inf"
        )
    if not smallest_effect > 0:
        raise UserError(
            f"the smallest effect of interest is {smallest_effect}; give one above 0,"
            " in the metric's units"
        )
    if better not in BETTER:
        raise UserError(f"better={better} is not a direction; give lower or higher")
    return d


def _label(d: Floats, fit: Fit, small: bool, alpha: float, better: str) -> str:
    if len(d) < FEWEST:
        return "undecided"
    if small:
        enough = len(d) >= FEWEST_EQUIVALENT or not d.any()
        return "equivalent" if enough else "undecided"
    if fit.p > alpha:
        return "undecided"
    return "helps" if fit.effect * BETTER[better] > 0 else "hurts"


def _small(fit: Fit, margin: float, alpha: float) -> bool:
    """Whether two one-sided tests show the effect within the margin; ranks show nothing of it."""
    if np.isnan(fit.df):
        return False
    return bool(equivalence_p(fit.effect, fit.error, fit.df, margin) <= alpha)


def _more(d: Floats, fit: Fit, margin: float, alpha: float) -> tuple[int | None, float | None]:
    """Seeds to add, or times the test data, for a decision with 80% power.

    If effect and spread are as observed; the sooner of difference and equivalence.
    """
    n = len(d)
    if n == 1:
        return FEWEST - 1, None
    if FEWEST <= n < FEWEST_EQUIVALENT and _small(fit, margin, alpha):
        return FEWEST_EQUIVALENT - n, None
    if np.isnan(fit.df):
        totals = _ranked_seeds(d, alpha)
    elif fit.unit_error == 0:
        totals = _paired_seeds(fit, margin, alpha)
    else:
        totals = [n for n in [fewest(partial(_decides, fit, margin, alpha, 1.0))] if n]
    if totals:
        return max(FEWEST, min(totals), n + 1) - n, None
    return _more_data(fit, n, margin, alpha)


def _more_data(fit: Fit, n: int, margin: float, alpha: float) -> tuple[int | None, float | None]:
    """How many times the test data would decide with these seeds; where none would, the seeds to
    add and the times the data whose product is least; None, None where those would not either.
    """
    if fit.unit_error == 0 or np.isnan(fit.df):
        return None, None
    grid = np.geomspace(1.25, MOST_DATA, 60).tolist()
    for times in grid:
        if _decides(fit, margin, alpha, times, max(n, FEWEST)):
            return None, times
    least, found = np.inf, None
    for times in grid:
        if times * (n + 1) >= least:
            break  # no number of seeds to add makes the product less
        total = fewest(partial(_decides, fit, margin, alpha, times))
        if total and total * times < least:
            least, found = total * times, (total - n, times)
    return found or (None, None)


def _decides(fit: Fit, margin: float, alpha: float, times: float, n: int) -> bool:
    """Whether n seeds on `times` the test data find the effect, or its absence, with 80% power."""
    spread = np.sqrt(n * fit.unit_error**2 / times + fit.spread**2)
    if power(fit.effect / spread, n, alpha) >= 0.8:
        return True
    enough = n >= FEWEST_EQUIVALENT and abs(fit.effect) < margin
    return bool(enough and tost_power(abs(fit.effect) / spread, margin / spread, n, alpha) >= 0.8)


def _paired_seeds(fit: Fit, margin: float, alpha: float) -> list[int]:
    if fit.spread == 0:
        certain = fit.effect == 0 or abs(fit.effect) > margin
        return [FEWEST if certain else FEWEST_EQUIVALENT]
    size = abs(fit.effect) / fit.spread
    equal = equivalence_seeds(size, margin / fit.spread, alpha=alpha)
    totals = (seeds_needed(size, alpha=alpha), equal and max(equal, FEWEST_EQUIVALENT))
    return [n for n in totals if n]


def _ranked_seeds(d: Floats, alpha: float) -> list[int]:
    """Noether 1987: the power of the signed-rank test.

    It is that of a paired t-test of effect sqrt(3) (P(average of two > 0) - 1/2).
    """
    first, second = np.triu_indices(len(d), 1)
    with np.errstate(invalid="ignore"):
        share = float(np.mean((np.sign(np.nan_to_num(d[first] + d[second], nan=0.0)) + 1) / 2))
    n = seeds_needed(np.sqrt(3) * (share - 0.5), alpha=alpha)
    return [n] if n else []

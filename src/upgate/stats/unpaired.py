"""Two groups of runs that share nothing: Welch's interval, permutation, ranks where a run diverged.

Pure: scores in, numbers out. arm and base are (runs,) arrays, of any two lengths.
"""

from math import comb

import numpy as np
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from upgate.stats.estimate import Estimate, Floats
from upgate.stats.paired import EXACT, MANY, differences
from upgate.stats.students_t import t_isf, t_sf

FEW = 999  # draws for thousands of runs
MOST = 10_000  # runs of a group; more are not practical


def standard_error(arm: Floats, base: Floats) -> float:
    """Of the difference of the means, the variances not taken as equal; inf for a single run."""
    if min(len(arm), len(base)) < 2:
        return float("inf")
    return float(np.sqrt(arm.var(ddof=1) / len(arm) + base.var(ddof=1) / len(base)))


def welch_df(arm: Floats, base: Floats) -> float:
    """Degrees of freedom (Welch 1947); those of equal variances where nothing varies."""
    parts = [(x.var(ddof=1) / len(x), len(x) - 1) for x in (arm, base)]
    spread = sum(v**2 / df for v, df in parts)
    return float(sum(v for v, _ in parts) ** 2 / spread) if spread > 0 else len(arm) + len(base) - 2


def welch(arm: Floats, base: Floats, alpha: float = 0.05) -> Estimate:
    """Difference of the means, arm minus base, with Welch's interval and p-value.

    (-inf, inf) and p = 1 where a group has a single run. n: runs of both groups.
    """
    n, mean = len(arm) + len(base), float(arm.mean() - base.mean())
    error = standard_error(arm, base)
    if np.isinf(error):
        return Estimate(mean, -np.inf, np.inf, 1.0, n)
    if error == 0:
        return Estimate(mean, mean, mean, float(mean == 0), n)
    df = welch_df(arm, base)
    half = t_isf(alpha / 2, df) * error
    p = float(2 * t_sf(abs(mean) / error, df))
    return Estimate(mean, mean - half, mean + half, p, n)


def permutation(arm: Floats, base: Floats) -> float:
    """Two-sided p-value of the difference of the means when the groups' names are exchangeable.

    Exact up to 65,536 ways to name the runs, as many draws above (fewer for thousands of runs).
    """
    if smallest_p(len(arm), len(base)) == 1:
        return 1.0
    runs = len(arm) + len(base)
    test = stats.permutation_test(
        (arm, base),
        lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis),
        vectorized=True,
        n_resamples=EXACT if runs <= MANY else FEW,
        batch=max(1, 2**22 // runs),
        rng=0,
    )
    return float(test.pvalue)


def smallest_p(arm: int, base: int) -> float:
    """The smallest two-sided p-value that a permutation of so many runs can have."""
    ways = comb(arm + base, arm)
    return min(1.0, 2 / ways) if ways < EXACT else 1 / EXACT


def ranked_groups(arm: Floats, base: Floats) -> Estimate:
    """Mann-Whitney's p-value beside the Hodges-Lehmann shift, for scores of which some are inf.

    The shift is the median of all differences between two runs. It has no interval here.
    """
    p = float(stats.mannwhitneyu(arm, base).pvalue)
    a, b = (_thinned(x) for x in (arm, base))
    shifts = np.sort(differences(a[:, None], b).ravel())
    middle = shifts[(len(shifts) - 1) // 2], shifts[len(shifts) // 2]
    shift = middle[0] if np.isinf(middle[0]) else float(np.mean(middle))
    return Estimate(float(shift), -np.inf, np.inf, p, len(arm) + len(base))


def _thinned(x: Floats) -> Floats:
    """At most 1,000 evenly spaced order statistics: all differences of more would fill memory."""
    ordered = np.sort(x)
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), 1000)).round().astype(int))
    return np.asarray(ordered[kept])


def equivalence(arm: Floats, base: Floats, margin: float) -> float:
    """p-value of "the means differ by more than margin": two one-sided tests of Welch's kind."""
    error, mean = standard_error(arm, base), float(arm.mean() - base.mean())
    if np.isinf(error):
        return 1.0
    if error == 0:
        return float(abs(mean) >= margin)
    return float(t_sf((margin - abs(mean)) / error, welch_df(arm, base)))


def runs_needed(arm: Floats, base: Floats, alpha: float = 0.05, wanted: float = 0.8) -> int | None:
    """Fewest runs per group that find the observed difference with the wanted power.

    By the t-test of two equal groups of the pooled spread; None above 10,000.
    """
    spread = float(np.sqrt((arm.var(ddof=1) + base.var(ddof=1)) / 2))
    size = abs(float(arm.mean() - base.mean())) / spread if spread > 0 else np.inf
    if np.isinf(size) or size > 10:
        return 2
    enough = [n for n in _steps() if TTestIndPower().power(size, n, alpha) >= wanted]
    return enough[0] if enough else None


def _steps() -> list[int]:
    """Numbers of runs to try: each up to 100, then in steps of 5%."""
    large = np.geomspace(100, MOST, 95).round().astype(int)
    return [*range(2, 100), *large.tolist()]

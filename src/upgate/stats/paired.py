"""One difference per seed, arm minus baseline on the same seed: mean and interval, exact permutation, ranks where a run diverged.

Pure: arrays in, numbers out. Differences are (n,) float64; nowhere is a seed dropped. Wrong shapes raise ValueError.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
EXACT = 2**16  # sign patterns that are counted out; above 16 seeds as many are drawn


class Estimate(NamedTuple):
    """An effect with its two-sided interval and p-value against no effect; a single number has no interval: (-inf, inf), p = 1."""

    effect: float
    low: float
    high: float
    p: float
    n: int


class Interval(NamedTuple):
    effect: float
    low: float
    high: float


def differences(arm: ArrayLike, base: ArrayLike) -> Floats:
    """Return arm - base; a diverged run's score is inf (-inf where higher is better), and two diverged runs differ by 0: both are last."""
    a, b = np.asarray(arm, float), np.asarray(base, float)
    same = a == b
    return np.subtract(a, b, where=~same, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)))


def paired(d: Floats, alpha: float = 0.05) -> Estimate:
    """Mean difference with Student's t interval and p-value; n - 1 degrees of freedom."""
    return _student(d, 1 / len(d), alpha)


def nadeau_bengio(d: Floats, test_share: float, alpha: float = 0.05) -> Estimate:
    """Mean difference over n folds or resamples whose training rows overlap: variance s^2 (1/n + test rows / training rows).

    Source: Nadeau & Bengio 2003, Machine Learning 52, the corrected resampled t. `test_share` is the ratio of one fold's rows.
    """
    return _student(d, 1 / len(d) + test_share, alpha)


def _student(d: Floats, scale: float, alpha: float) -> Estimate:
    """A t interval whose squared standard error is s^2 `scale`."""
    n, mean = len(d), float(np.mean(d))
    if n < 2:
        return Estimate(mean, -np.inf, np.inf, 1.0, n)
    error = float(np.std(d, ddof=1) * np.sqrt(scale))
    half = float(stats.t.isf(alpha / 2, n - 1)) * error
    if error == 0:  # parts that never engage give equal runs
        return Estimate(mean, mean, mean, float(mean == 0), n)
    return Estimate(
        mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, n - 1)), n
    )


def sign_flip(d: Floats) -> float:
    """Two-sided p-value of the mean when every difference may as well have had the other sign: exact up to 16 seeds, 65,536 draws above.

    Never below 2^(1 - n): .0625 for 5 seeds, .031 for 6. Assumes symmetry under the null, no distribution. Fisher 1935.
    """
    if len(d) < 2:
        return 1.0
    test = stats.permutation_test(
        (d,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=EXACT,
        batch=4096,
        rng=0,
    )
    return float(test.pvalue)


def signed_ranks(d: Floats) -> Floats:
    """Ranks of |d| with d's signs: an infinite difference ranks last, equal ones share a rank, 0 counts as neither sign."""
    return np.sign(d) * stats.rankdata(np.abs(d))


def ranked(d: Floats, alpha: float = 0.05) -> Estimate:
    """Hodges-Lehmann difference with its exact interval, and the sign-flip p-value of the signed ranks (Wilcoxon's test).

    For differences of which some are infinite: the median of all pairwise averages, which stays finite while fewer than about 30% of the
    runs diverged. A pair of opposite infinities averages 0, as their tied ranks do. The interval inverts Wilcoxon's test: its bounds are
    the k-th averages from either end, infinite where n is too small for the level (below 6 at 5%). Hollander & Wolfe 1999, section 3.3.
    """
    n = len(d)
    first, second = np.triu_indices(n)
    with np.errstate(invalid="ignore"):
        averages = np.sort(_not_nan((d[first] + d[second]) / 2))
        effect = float(
            _not_nan(averages[(len(averages) - 1) // 2] / 2 + averages[len(averages) // 2] / 2)
        )
    k = int(np.searchsorted(_wilcoxon(n), alpha / 2, side="right"))
    low, high = (float(averages[k - 1]), float(averages[-k])) if k else (-np.inf, np.inf)
    return Estimate(effect, low, high, sign_flip(signed_ranks(d)), n)


def _not_nan(x: Floats) -> Floats:
    """inf - inf, opposite divergences, as 0."""
    return np.where(np.isnan(x), 0.0, x)


def _wilcoxon(n: int) -> Floats:
    """P(W <= w) for w = 0, 1, ...: the sum of the positive ranks of n differences without an effect."""
    counts = np.ones(1)
    for rank in range(1, n + 1):
        counts = np.pad(counts, (0, rank)) / 2 + np.pad(counts, (rank, 0)) / 2
    return np.cumsum(counts)

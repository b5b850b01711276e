"""How many seeds a study needs and what they detect; several questions at once; equivalence.

Effects are in standard deviations of one seed's difference: d = mean / sd.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats
from statsmodels.stats.weightstats import ttost_paired

from upgate.stats.estimate import Floats
from upgate.stats.students_t import t_isf

MOST = 10_000  # seeds; more are not practical
LARGE = 30.0  # the power of larger effects is taken as that of this one


def power(d: float, n: int, alpha: float = 0.05) -> float:
    """Probability that the paired two-sided t-test finds an effect d with n seeds.

    Two tails of the noncentral t. statsmodels' TTestPower gives the same where it gives a number:
    the far tail, 0 there, is nan for some large effects. `scipy.special` is 30 times as fast as
    `scipy.stats`, and every undecided verdict asks 14 times.
    """
    if n < 2:
        return 0.0
    center, critical = min(abs(d), LARGE) * np.sqrt(n), special.stdtrit(n - 1, 1 - alpha / 2)
    missed, far = special.nctdtr(n - 1, center, critical), special.nctdtr(n - 1, center, -critical)
    return float(min(1.0, 1 - missed + (0.0 if np.isnan(far) else far)))


def seeds_needed(d: float, wanted: float = 0.8, alpha: float = 0.05) -> int | None:
    """Fewest seeds with which the paired t-test finds an effect d with the wanted power.

    None above 10,000.
    """
    return fewest(lambda n: power(d, n, alpha) >= wanted)


def detectable(n: int, wanted: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest effect that n seeds find with the wanted power; inf for one seed."""
    if power(LARGE, n, alpha) < wanted:
        return np.inf
    return float(optimize.brentq(lambda d: power(d, n, alpha) - wanted, 0, LARGE))


def tost(d: Floats, margin: float) -> float:
    """p-value of "the mean difference is outside -margin..margin".

    Two one-sided t-tests (Schuirmann 1987): a small p shows equivalence.
    """
    if len(d) < 2:
        return 1.0
    if np.ptp(d) == 0:
        return float(abs(d[0]) >= margin)
    return float(ttost_paired(d, np.zeros_like(d), -margin, margin)[0])


def tost_power(d: float, margin: float, n: int, alpha: float = 0.05) -> float:
    """Probability that `tost` rejects at `alpha` when the true effect is d.

    d and margin are in standard deviations. Given the sample's sd s, the mean must fall within
    margin - t s / sqrt(n) on both sides; averaged over 200 quantiles of s.
    """
    if n < 2:
        return 0.0
    s = np.sqrt(_chi_squares(n - 1) / (n - 1))
    room = np.sqrt(n) * margin - t_isf(alpha, n - 1) * s
    inside = special.ndtr(room - np.sqrt(n) * d) - special.ndtr(-room - np.sqrt(n) * d)
    return float(np.maximum(inside, 0).mean())


@lru_cache(maxsize=1024)
def _chi_squares(df: int) -> Floats:
    return np.asarray(stats.chi2.ppf((np.arange(200) + 0.5) / 200, df))


def equivalence_seeds(
    d: float, margin: float, wanted: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Fewest seeds with which `tost` shows that a true effect d is within the margin.

    None above 10,000, or where d is not within the margin.
    """
    if abs(d) >= margin:
        return None
    return fewest(lambda n: tost_power(abs(d), margin, n, alpha) >= wanted)


def holm(p: ArrayLike) -> Floats:
    """Adjusted p-values (Holm 1979).

    Rejecting those at most alpha keeps the chance of any false rejection below alpha. As
    statsmodels' `multipletests(method="holm")`, which collects all garbage at each call: 80 ms
    beside torch.
    """
    raw = np.asarray(p, float)
    order = np.argsort(raw)
    stepped = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    return np.asarray(np.minimum(stepped, 1)[np.argsort(order)])


def fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest n in 2..MOST that is enough, by bisection: power grows with n."""
    if not enough(MOST):
        return None
    low, high = 1, MOST  # not enough, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

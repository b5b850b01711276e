"""The second verdict: not how good an arm is on average, but how surely.

A recipe that fails in one seed of ten is another thing than one that is a little worse. Pure:
scores in, numbers out.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from upgate.errors import UserError
from upgate.stats.estimate import Floats, Interval
from upgate.stats.students_t import t_sf

COLLAPSE = 5.0  # robust standard deviations: six normal scores have one there in .4% of arms
FEWEST = 5  # finite scores: of fewer nothing can be said to lie apart


@dataclass(frozen=True)
class Reliability:
    """How surely an arm works, beside the baseline on the same seeds.

    collapsed: seeds that diverged, or lie COLLAPSE robust standard deviations on the worse side of
    the arm's median. rate: their share with the exact binomial interval. spread: sample standard
    deviation of the scores that did not diverge; variance_ratio: the baseline's variance over the
    arm's; variance_p: of the test that both are equal. worst: the arm's worst score, and its
    seed's position. better: probability that the arm beats the baseline on one new seed, with its
    interval; ties count half.
    """

    n: int
    collapsed: int
    rate: Interval
    spread: float
    variance_ratio: float
    variance_p: float
    worst: float
    worst_at: int
    better: Interval


def reliability(
    arm: ArrayLike,
    base: ArrayLike,
    better: str = "lower",
    alpha: float = 0.05,
    margin: float = 0.0,
) -> Reliability:
    """arm, base: (seeds,) scores paired by seed; a diverged run's is inf, or -inf where higher is
    better. margin: see `collapsed`. Raises UserError for nan or no seed."""
    a, b = np.asarray(arm, float), np.asarray(base, float)
    if a.shape != b.shape or not len(a) or np.isnan([a, b]).any():
        raise UserError("reliability needs the scores of both arms on the same seeds, none nan")
    sign = -1.0 if better == "higher" else 1.0
    failed = collapsed(a * sign, b * sign, margin)
    finite = np.isfinite(a) & np.isfinite(b)
    ratio, p = pitman_morgan(a[finite], b[finite])
    own = a[np.isfinite(a)]
    worst_at = int(np.argmax(a * sign))
    return Reliability(
        n=len(a),
        collapsed=int(failed.sum()),
        rate=binomial_interval(int(failed.sum()), len(a), alpha),
        spread=float(own.std(ddof=1)) if len(own) > 1 else float("nan"),
        variance_ratio=ratio,
        variance_p=p,
        worst=float(a[worst_at]),
        worst_at=worst_at,
        better=beats(a * sign, b * sign, alpha),
    )


def collapsed(arm: Floats, base: Floats, margin: float = 0.0) -> NDArray[np.bool_]:
    """Which seeds of an arm collapsed, (seeds,) bool; lower scores are better.

    Infinite scores did, and those that lie COLLAPSE robust standard deviations, and more than the
    smallest effect of interest, `margin`, above the arm's own median: an arm that is worse on every
    seed does not collapse, and a seed that is as good for any use does not either. The spread is
    the larger of both arms' median absolute deviations times 1.4826, which one collapsed seed in
    three hardly moves.
    """
    failed = np.isinf(arm)
    own, other = (x[np.isfinite(x)] for x in (arm, base))
    if len(own) < FEWEST:
        return np.asarray(failed)
    spread = max(_robust_spread(own), _robust_spread(other) if len(other) else 0.0)
    limit = float(np.median(own)) + max(COLLAPSE * spread, margin)
    return np.asarray(failed | ((arm > limit) & (spread > 0)))


def either_collapsed(
    arm: Floats, base: Floats, better: str, margin: float = 0.0
) -> NDArray[np.bool_]:
    """(seeds,): where the arm's or the baseline's run failed; scores as `reliability` has them."""
    sign = -1.0 if better == "higher" else 1.0
    a, b = sign * np.asarray(arm, float), sign * np.asarray(base, float)
    return np.asarray(collapsed(a, b, margin) | collapsed(b, a, margin))


def _robust_spread(x: Floats) -> float:
    return 1.4826 * float(np.median(np.abs(x - np.median(x))))


@lru_cache(maxsize=4096)
def binomial_interval(count: int, n: int, alpha: float = 0.05) -> Interval:
    """A share with its exact interval (Clopper & Pearson 1934).

    One-sided where nothing, or everything, was counted: 0 of 6 still allows 39%.
    """
    if count in (0, n):
        bound = float(alpha ** (1 / n))
        return Interval(0.0, 0.0, 1 - bound) if count == 0 else Interval(1.0, bound, 1.0)
    test = stats.binomtest(count, n).proportion_ci(1 - alpha, method="exact")
    return Interval(count / n, float(test.low), float(test.high))


def pitman_morgan(a: Floats, b: Floats) -> tuple[float, float]:
    """var(b)/var(a) of paired scores, and the p-value that both variances are equal.

    The correlation of sums and differences is 0 where they are (Pitman 1939; Morgan 1939). nan for
    fewer than three pairs.
    """
    if len(a) < 3:
        return float("nan"), float("nan")
    own, other, n = float(a.var(ddof=1)), float(b.var(ddof=1)), len(a)
    if own == 0 or other == 0:
        equal = own == other
        return (1.0 if equal else (np.inf if own == 0 else 0.0)), float(equal)
    covariance = float(np.cov(a, b)[0, 1])
    free = (own + other) ** 2 / 4 - covariance**2  # var(a + b) var(a - b) / 4
    if free <= 1e-12 * own * other:  # one is the other, shifted
        return other / own, 1.0
    r = (own - other) / (2 * np.sqrt(free))
    t = abs(r) * np.sqrt((n - 2) / max(1 - r * r, 1e-15))
    return other / own, float(2 * t_sf(t, n - 2))


def beats(arm: Floats, base: Floats, alpha: float = 0.05) -> Interval:
    """P(the arm beats the baseline on a new seed); lower scores are better, ties count half.

    The share of seeds with its exact interval, the count rounded outwards where a tie halves it.
    """
    n = len(arm)
    wins = float((arm < base).sum() + (arm == base).sum() / 2)
    low = binomial_interval(int(np.floor(wins)), n, alpha).low
    high = binomial_interval(int(np.ceil(wins)), n, alpha).high
    return Interval(wins / n, low, high)

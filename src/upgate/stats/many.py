"""One number over many tickers or data sets, and its interval by resampling tickers and seeds."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from upgate.stats.paired import Floats, Interval

Statistic = Callable[[Floats], Floats]  # (..., n) -> (...)
DRAWS = 10_000
CHUNK = 4_000_000  # numbers resampled at once: 32 MB


def mean(values: Floats) -> Floats:
    return values.mean(axis=-1)


def iqm(values: Floats) -> Floats:
    """Interquartile mean over the last axis: the lowest and highest quarter are left out, int(n/4) each (Agarwal et al. 2021)."""
    n = values.shape[-1]
    cut = n // 4
    return np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1)


def log_ratio(arm: ArrayLike, base: ArrayLike) -> Floats:
    """log(arm / base) of errors; inf for a diverged arm, -inf for a diverged base, 0 for both."""
    a, b = np.broadcast_arrays(np.asarray(arm, float), np.asarray(base, float))
    return np.subtract(np.log(a), np.log(b), where=a != b, out=np.zeros(a.shape))


def geometric_mean_ratio(
    arm: ArrayLike,
    base: ArrayLike,
    statistic: Statistic = mean,
    shared: bool = True,
    alpha: float = 0.05,
    seed: int = 0,
) -> Interval:
    """exp of the mean (or `iqm`) of log error ratios (tickers, seeds), with its cluster-bootstrap interval: below 1 the arm is better."""
    found = cluster_bootstrap(log_ratio(arm, base), statistic, shared, alpha, seed)
    return Interval(*(float(np.exp(x)) for x in found))


def cluster_bootstrap(
    values: Floats,
    statistic: Statistic = mean,
    shared: bool = True,
    alpha: float = 0.05,
    seed: int = 0,
    draws: int = DRAWS,
) -> Interval:
    """Resample tickers, then seeds, of values (tickers, seeds), and return the statistic of all with its percentile interval.

    shared: a seed is one model over all tickers, so a draw takes the same seeds for each; else every ticker has seeds of its own.
    A single ticker or seed is taken as fixed: nothing can be said about others. The percentiles are widened for the fewer of the two
    (Hesterberg 2015, The American Statistician 69, "expanded percentile"). With 8 tickers and 6 seeds plain ones miss an effect that
    varies along one axis 11% of the time; widened they miss 4%, and 1% where both axes vary, for resampling both overstates (Owen 2007).
    """
    tickers, seeds = values.shape
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // values.size)
    drawn: list[Floats] = []
    with np.errstate(invalid="ignore"):  # inf - inf: opposite divergences
        for start in range(0, draws, at_once):
            m = min(at_once, draws - start)
            row = rng.integers(tickers, size=(m, tickers, 1))
            column = rng.integers(seeds, size=(m, 1 if shared else tickers, seeds))
            drawn.append(statistic(values[row, column].reshape(m, -1)))
        effect = float(statistic(values.reshape(-1)))
    low, high = percentiles(
        np.concatenate(drawn), alpha, min((n for n in values.shape if n > 1), default=1)
    )
    return Interval(effect, low, high)


def percentiles(drawn: Floats, alpha: float, n: int) -> tuple[float, float]:
    """The central 1 - alpha of bootstrap draws, widened as the t interval of n is over the normal one without n - 1; n < 2: everything.

    Draws that are nan could be anything: one bound each.
    """
    if n < 2:
        return -np.inf, np.inf
    tail = float(stats.norm.sf(np.sqrt(n / (n - 1)) * stats.t.isf(alpha / 2, n - 1)))
    low = np.quantile(np.where(np.isnan(drawn), -np.inf, drawn), tail, method="inverted_cdf")
    high = np.quantile(np.where(np.isnan(drawn), np.inf, drawn), 1 - tail, method="inverted_cdf")
    return float(low), float(high)

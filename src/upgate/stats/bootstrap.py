"""Percentile intervals by resampling: one number over many tickers (or data sets) and seeds."""

import numpy as np
from scipy import stats

from upgate.stats.paired import Floats, Interval

DRAWS = 10_000
CHUNK = 4_000_000  # numbers resampled at once: 32 MB


def geometric_mean_ratio(logs: Floats) -> Interval:
    """exp of the mean log ratio of errors, (tickers, seeds), with its cluster-bootstrap interval.

    Below 1 the arm is better. A diverged arm's log ratio is inf, a diverged baseline's -inf.
    """
    return Interval(*np.exp(cluster_bootstrap(logs)).tolist())


def cluster_bootstrap(
    values: Floats, shared: bool = True, alpha: float = 0.05, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Resample tickers, then seeds, of values (tickers, seeds); the mean and its interval.

    shared: a seed is one model over all tickers, so a draw takes the same seeds for each ticker;
    otherwise every ticker has seeds of its own. A single ticker or seed is taken as fixed: the data
    say nothing about others. The percentiles are widened for the fewer of the two (Hesterberg 2015,
    The American Statistician 69, "expanded percentile"). With 8 tickers and 6 seeds plain ones miss
    an effect that varies along one axis 11% of the time; widened they miss 4%, and 1% where both
    axes vary, for resampling both overstates (Owen 2007).
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
            drawn.append(values[row, column].reshape(m, -1).mean(axis=-1))
        effect = float(values.reshape(-1).mean(axis=-1))
    fewer = min((n for n in values.shape if n > 1), default=1)
    low, high = percentiles(np.concatenate(drawn), alpha, fewer)
    return Interval(effect, low, high)


def percentiles(drawn: Floats, alpha: float, n: int) -> tuple[float, float]:
    """The central 1 - alpha of bootstrap draws, widened for a sample of n; n < 2: (-inf, inf).

    The widening is that of the t interval over the normal one without n - 1. A draw that is nan
    could be anything, so it counts as -inf for the lower bound and as inf for the upper one.
    """
    if n < 2:
        return -np.inf, np.inf
    tail = float(stats.norm.sf(np.sqrt(n / (n - 1)) * stats.t.isf(alpha / 2, n - 1)))
    low = np.quantile(np.where(np.isnan(drawn), -np.inf, drawn), tail, method="inverted_cdf")
    high = np.quantile(np.where(np.isnan(drawn), np.inf, drawn), 1 - tail, method="inverted_cdf")
    return float(low), float(high)

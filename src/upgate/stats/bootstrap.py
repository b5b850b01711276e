"""Percentile intervals of bootstrap draws."""

import numpy as np
from scipy import stats

from upgate.stats.estimate import Floats
from upgate.stats.students_t import t_isf

DRAWS = 10_000


def percentiles(drawn: Floats, alpha: float, n: int) -> tuple[float, float]:
    """The central 1 - alpha of bootstrap draws, widened for a sample of n; n < 2: (-inf, inf).

    The widening is that of the t interval over the normal one without n - 1. A draw that is nan
    could be anything, so it counts as -inf for the lower bound and as inf for the upper one.
    """
    if n < 2:
        return -np.inf, np.inf
    tail = float(stats.norm.sf(np.sqrt(n / (n - 1)) * t_isf(alpha / 2, n - 1)))
    low = np.quantile(np.where(np.isnan(drawn), -np.inf, drawn), tail, method="inverted_cdf")
    high = np.quantile(np.where(np.isnan(drawn), np.inf, drawn), 1 - tail, method="inverted_cdf")
    return float(low), float(high)

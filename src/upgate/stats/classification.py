"""Two classifiers on the same test items: do they differ on other items too?"""

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from upgate.stats.bootstrap import DRAWS, percentiles
from upgate.stats.estimate import Floats, Interval


def mcnemar(arm: NDArray[np.bool_], base: NDArray[np.bool_]) -> float:
    """Exact two-sided p-value for one model of each recipe; (n,) right or wrong.

    Only items that exactly one of the two models gets right count.
    """
    arm, base = np.asarray(arm, bool), np.asarray(base, bool)
    table = [[np.sum(arm & base), np.sum(arm & ~base)], [np.sum(~arm & base), np.sum(~arm & ~base)]]
    if table[0][1] + table[1][0] == 0:
        return 1.0
    return float(min(statsmodels_mcnemar(table, exact=True).pvalue, 1.0))


def item_bootstrap(
    arm: Floats, base: Floats, alpha: float = 0.05, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Difference of accuracy, arm - base, with its interval over other test items.

    (n,) or (seeds, n) right or wrong, paired by item, averaged over seeds first. The differences
    take few values, so a draw is one multinomial over these: the same distribution as resampling
    items, thousands of times faster. Items are assumed independent (not several reviews by one
    author).
    """
    d = np.mean(np.atleast_2d(np.asarray(arm, float)), axis=0) - np.mean(
        np.atleast_2d(np.asarray(base, float)), axis=0
    )
    n = len(d)
    # rounded, for sums in another order are not other values
    values, counts = np.unique(np.round(d, 12), return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ values / n
    return Interval(float(d.mean()), *percentiles(drawn, alpha, n))

"""Several arms over several data sets by rank, and by how near each comes to the best.

Friedman's test with the critical difference of Nemenyi and Holm's Wilcoxon tests after it: Demsar
2006. Performance profiles: Dolan & More 2002. Ranks ignore by how much an arm is better.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from upgate.errors import UserError
from upgate.stats.estimate import Floats
from upgate.stats.paired import differences
from upgate.stats.power import holm


class Ranks(NamedTuple):
    """Mean ranks, (arms,), 1 for the best; ties share their ranks.

    statistic, p: Friedman's test that all arms are alike, corrected for ties. difference: of two
    mean ranks, from which on they differ by Nemenyi's test. pairs: (arms, arms), Wilcoxon's p of
    each two arms, adjusted by Holm over all pairs; 1 on the diagonal.
    """

    mean: Floats
    statistic: float
    p: float
    difference: float
    pairs: Floats


def rank_arms(losses: Floats, alpha: float = 0.05) -> Ranks:
    """Rank arms, lower losses first. losses: (data sets, arms), inf for a diverged one.

    Raises UserError for fewer than two data sets or three arms, and for nan.
    """
    values = np.asarray(losses, float)
    if values.ndim != 2 or len(values) < 2 or values.shape[1] < 3 or np.isnan(values).any():
        raise UserError("ranks need a loss of at least three arms on each of two data sets or more")
    n, k = values.shape
    ranks = stats.rankdata(values, axis=1)
    alike = bool((ranks == ranks[:, :1]).all())  # every data set a tie: nothing to test
    found = (0.0, 1.0) if alike else stats.friedmanchisquare(*ranks.T)
    quantile = float(stats.studentized_range.isf(alpha, k, np.inf)) / np.sqrt(2)
    return Ranks(
        mean=ranks.mean(axis=0),
        statistic=float(found[0]),
        p=float(found[1]),
        difference=float(quantile * np.sqrt(k * (k + 1) / (6 * n))),
        pairs=pairwise(values),
    )


def pairwise(values: Floats) -> Floats:
    """(arms, arms): Wilcoxon's signed-rank p of each two arms, by Holm over all pairs."""
    k = values.shape[1]
    pairs = list(combinations(range(k), 2))
    p = []
    for i, j in pairs:
        d = differences(values[:, i], values[:, j])
        p.append(float(stats.wilcoxon(d).pvalue) if d.any() else 1.0)
    table = np.ones((k, k))
    for (i, j), adjusted in zip(pairs, holm(p).tolist(), strict=True):
        table[i, j] = table[j, i] = adjusted
    return table


class Profile(NamedTuple):
    """factors: (points,) from 1 on, growing. shares: (arms, points); of the data sets on which an
    arm's cost is at most so many times the best arm's.
    """

    factors: Floats
    shares: Floats


def performance_profile(costs: Floats) -> Profile:
    """The profile of arms. costs: (data sets, arms), above 0, lower is better; inf never counts.

    The shares change at the factors and nowhere between. Raises UserError for other costs.
    """
    values = np.asarray(costs, float)
    if values.ndim != 2 or not values.size or not (values > 0).all():
        raise UserError("a performance profile needs costs above 0, of each arm on each data set")
    best = values.min(axis=1, keepdims=True)
    ratios = np.where(np.isfinite(values), values, np.inf) / np.where(np.isfinite(best), best, 1.0)
    factors = np.unique(np.append(ratios[np.isfinite(ratios)], 1.0))
    shares = (ratios[:, :, None] <= factors).mean(axis=0)
    return Profile(factors, shares)

"""Forecasts against each other and against persistence on the same dates: tests on loss series.

A series is (T,) in the order of time, or (seeds, T), averaged over seeds first. Several tickers on
the same dates are averaged per date by the caller, as they move together.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from arch.bootstrap import MCS
from scipy import stats

from upgate.stats.estimate import Floats
from upgate.stats.students_t import t_sf


class LossTest(NamedTuple):
    """A test's statistic and p-value. Both are nan where a run diverged: it has no loss series."""

    statistic: float
    p: float


UNDEFINED = LossTest(float("nan"), float("nan"))


def over_seeds(series: Floats) -> Floats:
    """(seeds, T) or (T,) -> (T,)."""
    return np.asarray(np.atleast_2d(np.asarray(series, float)).mean(axis=0))


def diebold_mariano(arm: Floats, base: Floats, horizon: int = 1) -> LossTest:
    """Two-sided test of equal mean loss (1995), corrected for small samples.

    A negative statistic: the arm's losses are lower. The t distribution and the factor are those of
    Harvey, Leybourne & Newbold 1997. For horizon 1 it is the paired t-test over dates, and
    statsmodels' `diebold_mariano_test(lags=0)`. It judges these trained models on other dates, not
    models of other seeds, however many are averaged: in simulations it called two draws of one
    recipe different 35% of the time, with six seeds each 52%. See `seeds_and_dates`.
    """
    a, b = over_seeds(arm), over_seeds(base)
    if not np.isfinite([a, b]).all():
        return UNDEFINED
    T, h = len(a), horizon
    t = t_of_mean(a - b, h) * np.sqrt((T + 1 - 2 * h + h * (h - 1) / T) / T)
    return LossTest(float(t), float(2 * t_sf(abs(t), T - 1)))


def seeds_and_dates(arm: Floats, base: Floats, horizon: int = 1) -> LossTest:
    """Two-sided test of equal mean loss on other dates and with other seeds.

    arm, base: (seeds, T), paired by seed; nan for one seed each. The variance is clustered both
    ways, dates + seeds - cells, at least each alone (Cameron, Gelbach & Miller 2011); t with
    seeds - 1 degrees of freedom. The t-test over seeds alone conditions on these dates; this one is
    the stricter, and rejects a true null less often than it may (1 to 2% at 5% with six seeds).
    """
    if not np.isfinite([arm, base]).all():
        return UNDEFINED
    d = np.atleast_2d(np.asarray(arm, float) - np.asarray(base, float))
    seeds, T = d.shape
    if seeds < 2:
        return UNDEFINED
    per_date, per_seed, mean = d.mean(axis=0), d.mean(axis=1), d.mean()
    cells = d - per_date - per_seed[:, None] + mean
    v_dates, v_seeds = variance_of_mean(per_date, horizon), per_seed.var(ddof=1) / seeds
    both = v_dates + v_seeds - (cells**2).sum() / ((seeds - 1) * (T - 1) * seeds * T)
    t = _ratio(float(mean), max(both, v_dates, v_seeds))
    return LossTest(t, float(2 * t_sf(abs(t), min(seeds, T) - 1)))


def clark_west_gain(truth: Floats, small: Floats, large: Floats) -> Floats:
    """The gain of a large model over the small one nested in it, adjusted for estimation noise.

    (y - small)^2 - (y - large)^2 + (small - large)^2, elementwise; its mean is 0 where the large
    model adds nothing. Source: Clark & West 2007, Journal of Econometrics 138.
    """
    return (small - truth) ** 2 - (large - truth) ** 2 + (small - large) ** 2


def clark_west(gain: Floats, horizon: int = 1) -> LossTest:
    """One-sided test that a large model beats the small one nested in it (persistence).

    gain: `clark_west_gain` in the order of time, (T,) or (seeds, T); positive: the large model has
    skill. Normal critical values, as Clark & West 2007 have them.
    """
    series = over_seeds(gain)
    if not np.isfinite(series).all():
        return UNDEFINED
    t = t_of_mean(series, horizon)
    return LossTest(t, float(stats.norm.sf(t)))


def t_of_mean(d: Floats, horizon: int) -> float:
    """Mean over standard error; 0 for no difference at all."""
    return _ratio(float(d.mean()), variance_of_mean(d, horizon))


def variance_of_mean(d: Floats, horizon: int) -> float:
    """Variance of the mean of a series whose neighbours up to horizon - 1 apart are correlated.

    Equal weights on these lags, as Diebold & Mariano have it. Newey-West's falling weights
    (statsmodels) reject a true null 9% of the time for horizon 5, however long the series; they are
    used where equal weights give no positive variance. T should be 25 horizons or more.
    """
    if np.ptp(d) == 0:
        return 0.0
    T, u = len(d), d - d.mean()
    autocovariance = np.array([u[lag:] @ u[: T - lag] for lag in range(horizon)]) / T
    equal = 2 * autocovariance.sum() - autocovariance[0]
    falling = 2 * (autocovariance @ (1 - np.arange(horizon) / horizon)) - autocovariance[0]
    return float((equal if equal > 0 else falling) / T)


def _ratio(mean: float, variance: float) -> float:
    if variance > 0:
        return mean / float(np.sqrt(variance))
    return float(np.copysign(np.inf, mean)) if mean else 0.0


def confidence_set(
    losses: Mapping[str, Floats], block: int | None = None, draws: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Model confidence set: each arm's p-value.

    The arms with p above alpha are a set that holds the best arm with probability 1 - alpha.
    losses: name -> (T,) or (seeds, T). block: mean length of the stationary bootstrap's blocks,
    sqrt(T) unless given. A diverged arm has p = 0; arms with equal losses share one p. Source:
    Hansen, Lunde & Nason 2011, Econometrica 79, range statistic.
    """
    means = {name: over_seeds(series) for name, series in losses.items()}
    finite = {name: series for name, series in means.items() if np.isfinite(series).all()}
    p = dict.fromkeys(means, 0.0)
    if not finite:
        return p
    stacked = np.stack(list(finite.values()), axis=1)
    # equal columns have no variance between them
    table, column = np.unique(stacked, axis=1, return_inverse=True)
    values = _mcs(table, block, draws, seed) if table.shape[1] > 1 else np.ones(1)
    return p | dict(zip(finite, values[column].tolist(), strict=True))


def _mcs(table: Floats, block: int | None, draws: int, seed: int) -> Floats:
    test: Any = MCS(table, size=0.05, reps=draws, block_size=block, seed=seed)
    test.compute()
    p = np.empty(table.shape[1])
    for models, value in test.pvalues["Pvalue"].items():
        p[models] = value  # models that tie as the worst leave together, as one array
    return p

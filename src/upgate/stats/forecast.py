"""Forecasts against each other and against persistence, on the same dates: tests on loss series and measures of skill.

A series is (T,) in the order of time, or (seeds, T), averaged over seeds first. Several tickers on the same dates are averaged per date by
the caller, as they move together.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from arch.bootstrap import MCS
from scipy import stats
from statsmodels.stats.diagnostic import pesaran_timmermann as statsmodels_pesaran_timmermann

from upgate.stats.paired import Floats


class Outcome(NamedTuple):
    """A diverged run has no loss series: statistic and p are nan."""

    statistic: float
    p: float


UNDEFINED = Outcome(float("nan"), float("nan"))


def over_seeds(series: Floats) -> Floats:
    """(seeds, T) or (T,) -> (T,)."""
    return np.atleast_2d(np.asarray(series, float)).mean(axis=0)


def diebold_mariano(arm: Floats, base: Floats, horizon: int = 1) -> Outcome:
    """Two-sided test of equal mean loss (1995), corrected for small samples; negative: the arm's losses are lower.

    t distribution and factor of Harvey, Leybourne & Newbold 1997. For horizon 1 it is the paired t-test over dates, and statsmodels'
    `diebold_mariano_test(lags=0)`. It judges these trained models on other dates: models of other seeds it does not, however many are
    averaged, and in simulations called two draws of one recipe different 35% of the time, with six seeds each 52%. See `seeds_and_dates`.
    """
    a, b = over_seeds(arm), over_seeds(base)
    if not np.isfinite([a, b]).all():
        return UNDEFINED
    T, h = len(a), horizon
    t = t_of_mean(a - b, h) * np.sqrt((T + 1 - 2 * h + h * (h - 1) / T) / T)
    return Outcome(float(t), float(2 * stats.t.sf(abs(t), T - 1)))


def seeds_and_dates(arm: Floats, base: Floats, horizon: int = 1) -> Outcome:
    """Two-sided test of equal mean loss on other dates and with other seeds; (seeds, T) each, paired by seed. One seed each: nan.

    Variance clustered both ways, dates + seeds - cells, at least each alone (Cameron, Gelbach & Miller 2011), t with seeds - 1 degrees of
    freedom. The t-test over seeds alone takes these dates for the only ones; this one is the stricter, and rejects a true null less than
    it may (1 to 2% at 5% with six seeds).
    """
    d = (
        np.atleast_2d(np.asarray(arm, float) - np.asarray(base, float))
        if np.isfinite([arm, base]).all()
        else np.zeros((1, 1))
    )
    seeds, T = d.shape
    if seeds < 2:
        return UNDEFINED
    per_date, per_seed, mean = d.mean(axis=0), d.mean(axis=1), d.mean()
    cells = d - per_date - per_seed[:, None] + mean
    v_dates, v_seeds = variance_of_mean(per_date, horizon), per_seed.var(ddof=1) / seeds
    both = v_dates + v_seeds - (cells**2).sum() / ((seeds - 1) * (T - 1) * seeds * T)
    t = _ratio(float(mean), max(both, v_dates, v_seeds))
    return Outcome(t, float(2 * stats.t.sf(abs(t), min(seeds, T) - 1)))


def clark_west(truth: Floats, small: Floats, large: Floats, horizon: int = 1) -> Outcome:
    """One-sided test that a large model beats the small one nested in it (persistence), in spite of its estimation noise.

    f = (y - small)^2 - (y - large)^2 + (small - large)^2 has mean 0 under the null; positive: the large model has skill.
    `large` may be (seeds, T). Source: Clark & West 2007, Journal of Econometrics 138, normal critical values.
    """
    y, large = np.asarray(truth, float), np.atleast_2d(np.asarray(large, float))
    if not np.isfinite(large).all():
        return UNDEFINED
    t = t_of_mean(over_seeds((y - small) ** 2 - (y - large) ** 2 + (small - large) ** 2), horizon)
    return Outcome(t, float(stats.norm.sf(t)))


def t_of_mean(d: Floats, horizon: int) -> float:
    """Mean over standard error; 0 for no difference at all."""
    return _ratio(float(d.mean()), variance_of_mean(d, horizon))


def variance_of_mean(d: Floats, horizon: int) -> float:
    """Variance of the mean of a series whose neighbours up to horizon - 1 apart are correlated.

    Equal weights on these lags, as Diebold & Mariano have it. Newey-West's falling weights (statsmodels) reject a true null 9% of the time
    for horizon 5, however long the series; they stand in where equal weights give no positive variance. Wants T of 25 horizons or more.
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


def pesaran_timmermann(truth: Floats, forecast: Floats) -> Outcome:
    """One-sided test that the forecast's signs know the truth's: (T,) changes. Always up knows nothing: statistic 0, p = 1.

    Assumes independent dates: for horizon h give every h-th. Source: Pesaran & Timmermann 1992.
    """
    if not np.isfinite(forecast).all():
        return UNDEFINED
    if any(len(np.unique(np.asarray(series) > 0)) == 1 for series in (truth, forecast)):
        return Outcome(0.0, 1.0)
    found = statsmodels_pesaran_timmermann(truth, forecast, alternative="larger")
    return Outcome(float(found.statistic), float(found.pvalue))


def r2_out_of_sample(truth: Floats, forecast: Floats, reference: Floats) -> float:
    """1 - SSE / the reference's SSE: above 0 beats it. Campbell & Thompson 2008."""
    return float(1 - np.sum((truth - forecast) ** 2) / np.sum((truth - reference) ** 2))


def theil_u2(truth: Floats, forecast: Floats, previous: Floats) -> float:
    """Root mean squared relative error over persistence's: below 1 beats it. `previous`: the price at the origin. Theil 1966."""
    return float(
        np.sqrt(
            np.sum(((forecast - truth) / previous) ** 2)
            / np.sum(((truth - previous) / previous) ** 2)
        )
    )


def confidence_set(
    losses: Mapping[str, Floats], block: int | None = None, draws: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Model confidence set: each arm's p-value; those above alpha are in the set that holds the best arm with probability 1 - alpha.

    `losses`: name -> (T,) or (seeds, T). block: mean length of the stationary bootstrap's blocks, sqrt(T) unless given. A diverged arm
    has p = 0; arms with equal losses share one. Source: Hansen, Lunde & Nason 2011, Econometrica 79, range statistic.
    """
    means = {name: over_seeds(series) for name, series in losses.items()}
    finite = {name: series for name, series in means.items() if np.isfinite(series).all()}
    p = dict.fromkeys(means, 0.0)
    if not finite:
        return p
    table, column = np.unique(
        np.stack(list(finite.values()), axis=1), axis=1, return_inverse=True
    )  # equal columns have no variance
    values = _mcs(table, block, draws, seed) if table.shape[1] > 1 else np.ones(1)
    return p | dict(zip(finite, values[column].tolist(), strict=True))


def _mcs(table: Floats, block: int | None, draws: int, seed: int) -> Floats:
    test: Any = MCS(table, size=0.05, reps=draws, block_size=block, seed=seed)
    test.compute()
    p = np.empty(table.shape[1])
    for models, value in test.pvalues["Pvalue"].items():
        p[models] = value  # models that tie as the worst go at once, as one array
    return p

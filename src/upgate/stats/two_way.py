"""An effect about new seeds and new data together: crossed random effects.

Seeds are one way, the units of the test part (dates or items) the other. Source: Cameron, Gelbach
& Miller 2011, Journal of Business & Economic Statistics 29; the lags of Newey & West 1987; the
degrees of freedom of Satterthwaite 1946.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from upgate.stats.estimate import Floats
from upgate.stats.students_t import t_isf, t_sf

DATE_LAGS = 12  # of daily losses: at autocorrelation .4 fewer reject a true null too often


class TwoWay(NamedTuple):
    """An effect with its interval over new seeds and new units, and what the interval consists of.

    p: two-sided, against no effect. n: seeds. error: standard error; df: its degrees of freedom.
    seed_error, unit_error: the standard errors of either way alone. All but effect and n are nan
    for a single seed or unit.
    """

    effect: float
    low: float
    high: float
    p: float
    n: int
    error: float
    df: float
    seed_error: float
    unit_error: float


class Variances(NamedTuple):
    """Of a mean: by unit, by seed, and what both count, the cells."""

    units: float
    seeds: float
    cells: float


def date_lags(dates: int, horizon: int = 1) -> int:
    """Lags for the losses of so many dates: 12, or horizon - 1; at most a quarter of the dates."""
    return max(0, min(max(DATE_LAGS, horizon - 1), dates // 4))


def two_way(d: Floats, lags: int, alpha: float = 0.05) -> TwoWay:
    """The mean of d, (seeds, units) differences paired by both, with its two-way interval.

    The variance is units + seeds - cells, at least either alone. lags: between neighbouring units
    whose differences are correlated, for dates in the order of time; 0 for items. The units' part
    has 1.5 T/(lags + 1) degrees of freedom (Bartlett's window), the seeds' part seeds - 1.
    """
    seeds, units = d.shape
    mean, nan = float(d.mean()), float("nan")
    if seeds < 2 or units < 2:
        return TwoWay(mean, nan, nan, nan, seeds, nan, nan, nan, nan)
    per_unit, per_seed = d.mean(axis=0), d.mean(axis=1)
    v_units = newey_west(per_unit, lags)
    v_seeds = float(per_seed.var(ddof=1)) / seeds
    v_cells = cell_variance(d)
    return from_variances(mean, seeds, Variances(v_units, v_seeds, v_cells), units, lags, alpha)


def from_variances(
    effect: float, seeds: int, ways: Variances, units: int, lags: int, alpha: float
) -> TwoWay:
    """The interval of an effect whose variances by seed and by unit are known."""
    variance = max(ways.units + ways.seeds - ways.cells, ways.units, ways.seeds)
    unit_df = 1.5 * units / (lags + 1) if lags else units - 1.0
    df = satterthwaite(variance, [(seeds - 1.0, ways.seeds), (unit_df, ways.units)])
    error = float(np.sqrt(variance))
    low, high, p = t_test(effect, error, df, alpha)
    errors = float(np.sqrt(ways.seeds)), float(np.sqrt(ways.units))
    return TwoWay(effect, low, high, p, seeds, error, df, *errors)


def cell_variance(d: Floats) -> float:
    """The variance that stems from single cells of (seeds, units), and that both ways count."""
    seeds, units = d.shape
    cells = d - d.mean(axis=0) - d.mean(axis=1)[:, None] + d.mean()
    return float((cells**2).sum() / ((seeds - 1) * (units - 1) * seeds * units))


def newey_west(d: Floats, lags: int) -> float:
    """Variance of the mean of a series, (T,), whose neighbours up to `lags` apart are correlated.

    Bartlett's falling weights, times T/(T - 1): for lags = 0 the variance of a mean.
    """
    if np.ptp(d) == 0:  # the mean of equal numbers may differ from them in the last bit
        return 0.0
    T, u = len(d), d - d.mean()
    weights = 1 - np.arange(1, lags + 1) / (lags + 1)
    products = np.array([u[lag:] @ u[: T - lag] for lag in range(1, lags + 1)])
    total = float(u @ u + 2 * (weights @ products))
    return max(total, 0.0) / (T * (T - 1))


def t_test(effect: float, error: float, df: float, alpha: float) -> tuple[float, float, float]:
    """Interval and two-sided p-value of an effect with a standard error; no error: certainty."""
    if error == 0:
        return effect, effect, float(effect == 0)
    half = t_isf(alpha / 2, df) * error
    return effect - half, effect + half, float(2 * t_sf(abs(effect) / error, df))


def equivalence_p(effect: float, error: float, df: float, margin: float) -> float:
    """p-value of "the effect is outside -margin..margin": two one-sided tests (Schuirmann 1987)."""
    if error == 0:
        return float(abs(effect) >= margin)
    return float(t_sf((margin - abs(effect)) / error, df))


def satterthwaite(variance: float, parts: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances; parts: degrees of freedom and variance of each."""
    spread = sum(part**2 / df for df, part in parts)
    if spread == 0:
        return max(df for df, _ in parts)
    return float(min(variance**2 / spread, sum(df for df, _ in parts)))

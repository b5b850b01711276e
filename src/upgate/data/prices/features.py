"""Prices to features and targets by row.

Each formula looks at one ticker only, and h counts that ticker's own rows.

A feature of row t depends on rows up to t, a target of row t on rows t+1..t+h, and on no others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from upgate.data.texts import say
from upgate.errors import UserError, did_you_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Variance added under a logarithm: a daily volatility of 0.01%, below any real bar and above a flat
# one.
FLOOR = 1e-8


@dataclass(frozen=True)
class Panel:
    """All tickers' rows in (ticker, date) order; N rows, T tickers, D distinct dates."""

    tickers: list[str]  # T, sorted
    ticker: Ints  # (N,) index into tickers
    first: Ints  # (T + 1,) first row of each ticker, and N
    dates: NDArray[np.datetime64]  # (D,) sorted, distinct over all tickers
    date: Ints  # (N,) index into dates
    open: Floats  # (N,), and so on; prices are positive, volume may be NaN
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @staticmethod
    def of(table: pd.DataFrame) -> "Panel":
        """Read a canonical price table: sorted by (ticker, date), unique, no price missing."""
        ticker, tickers = pd.factorize(table["ticker"])
        date, dates = pd.factorize(table["date"], sort=True)
        first = np.searchsorted(ticker, np.arange(len(tickers) + 1))
        columns = [
            table[name].to_numpy(dtype=np.float64)
            for name in ("open", "high", "low", "close", "volume")
        ]
        names = [str(name) for name in tickers]
        return Panel(names, ticker, first, dates.to_numpy(), date, *columns)

    def past(self, values: Floats, k: int = 1) -> Floats:
        """values[t - k] of the same ticker, NaN where there is none, (N,)."""
        return self._shift(values, k, np.arange(len(values)) - k >= self.first[self.ticker])

    def ahead(self, values: Floats, k: int) -> Floats:
        """values[t + k] of the same ticker, NaN where there is none, (N,)."""
        return self._shift(values, -k, np.arange(len(values)) + k < self.first[self.ticker + 1])

    @staticmethod
    def _shift(values: Floats, k: int, exists: NDArray[np.bool_]) -> Floats:
        return np.where(exists, np.roll(values, k), np.nan)


def parkinson(p: Panel) -> Floats:
    """ln(H/L)^2 / (4 ln 2), (N,): a day's variance estimated from its range (Parkinson 1980)."""
    return np.log(p.high / p.low) ** 2 / (4 * np.log(2))


def open_return(p: Panel) -> Floats:  # log(O_t / C_{t-1})
    return np.log(p.open / p.past(p.close))


def high_return(p: Panel) -> Floats:  # log(H_t / C_{t-1})
    return np.log(p.high / p.past(p.close))


def low_return(p: Panel) -> Floats:  # log(L_t / C_{t-1})
    return np.log(p.low / p.past(p.close))


def close_return(p: Panel) -> Floats:  # log(C_t / C_{t-1})
    return np.log(p.close / p.past(p.close))


def range_volatility(p: Panel) -> Floats:  # 0.5 log(parkinson_t + floor)
    return 0.5 * np.log(parkinson(p) + FLOOR)


def volume_change(p: Panel) -> Floats:
    """log(V_t / V_{t-1}); 0 where either is missing or not positive.

    Indices and currencies have no volume at all, or none before some year.
    """
    volume = np.where(p.volume > 0, p.volume, np.nan)
    change = np.nan_to_num(np.log(volume / p.past(volume)))
    change[p.first[:-1]] = np.nan
    return change


def averages(values: Floats, p: Panel, days: int) -> Floats:
    """The mean of the last `days` rows of the ticker, (N,); of fewer at its start, NaN of none.

    A row without a value takes no part. Sums, not a running mean: that would carry what later or
    other tickers' rows left in its last digits.
    """
    total, count = np.zeros_like(values), np.zeros_like(values)
    for k in range(days):
        past = p.past(values, k)
        known = np.isfinite(past)
        total[known] += past[known]
        count += known
    return np.divide(total, count, out=np.full_like(values, np.nan), where=count > 0)


def market(values: Floats, p: Panel) -> Floats:
    """The mean over the tickers that have a value on the row's date, (N,).

    It looks at that date alone: a ticker whose row is missing takes no part, and no later row does.
    """
    known = np.isfinite(values)
    days = len(p.dates)
    total = np.bincount(p.date[known], weights=values[known], minlength=days)
    count = np.bincount(p.date[known], minlength=days)
    mean = np.divide(total, count, out=np.full(days, np.nan), where=count > 0)
    return np.asarray(mean[p.date], np.float64)


def lagged(feature: Callable[[Panel], Floats], days: int) -> Callable[[Panel], Floats]:
    """A feature's mean over the last days of its ticker."""
    return lambda p: averages(feature(p), p, days)


def of_market(feature: Callable[[Panel], Floats], days: int) -> Callable[[Panel], Floats]:
    """A feature's mean over the panel, averaged over the last days on which its ticker traded."""
    return lambda p: averages(market(feature(p), p), p, days)


LAGS = (1, 5, 22)  # a day, a week, a month of trading days, as in HAR (Corsi 2009)
FEATURES: dict[str, Callable[[Panel], Floats]] = {
    "open_return": open_return,
    "high_return": high_return,
    "low_return": low_return,
    "close_return": close_return,
    "range_volatility": range_volatility,
    "volume_change": volume_change,
    "open": lambda p: p.open,
    "high": lambda p: p.high,
    "low": lambda p: p.low,
    "close": lambda p: p.close,
    "volume": lambda p: np.nan_to_num(p.volume),
    **{f"range_volatility_{days}": lagged(range_volatility, days) for days in LAGS[1:]},
    **{f"close_return_{days}": lagged(close_return, days) for days in LAGS[1:]},
    **{f"market_volatility_{days}": of_market(range_volatility, days) for days in LAGS},
    **{f"market_return_{days}": of_market(close_return, days) for days in LAGS},
}
_CHANGES = [
    "open_return",
    "high_return",
    "low_return",
    "close_return",
    "range_volatility",
    "volume_change",
]
DEFAULT_FEATURES = {
    "return": _CHANGES,
    "volatility": _CHANGES,
    "level": ["open", "high", "low", "close", "volume"],
}
MARKET = ["market_volatility_1", "market_return_1"]  # of several tickers: docs/results/skip.md


def future_return(p: Panel, h: int) -> Floats:  # log(C_{t+h} / C_t)
    return np.log(p.ahead(p.close, h) / p.close)


def future_level(p: Panel, h: int) -> Floats:  # C_{t+h}
    return p.ahead(p.close, h)


def future_volatility(p: Panel, h: int) -> Floats:
    """0.5 log(mean_{i=1..h} parkinson_{t+i}); NaN if all h bars are flat."""
    variance = parkinson(p)
    mean = sum((p.ahead(variance, i) for i in range(1, h + 1)), np.zeros_like(variance)) / h
    return 0.5 * np.log(mean, where=mean > 0, out=np.full_like(mean, np.nan))


TARGETS: dict[str, Callable[[Panel, int], Floats]] = {
    "return": future_return,
    "level": future_level,
    "volatility": future_volatility,
}


def inputs(p: Panel, names: list[str]) -> Floats:
    """The named features by row, (N, F).

    NaN in a ticker's first row where the formula needs the day before.
    """
    for name in names:
        if name not in FEATURES:
            raise UserError(say("not_a_feature", name=name, hint=did_you_mean(name, FEATURES)))
    return np.stack([FEATURES[name](p) for name in names], axis=1)


def labels(p: Panel, target: str, horizon: int) -> Floats:
    """The label of each origin row in target units, (N,).

    NaN where the ticker ends before the horizon, or all its bars are flat.
    """
    if target not in TARGETS:
        raise UserError(say("not_a_target", name=target, hint=did_you_mean(target, TARGETS)))
    return TARGETS[target](p, horizon)

"""The forecasts that cost nothing, in target units, at the network's own origins.

Every result is measured against them. They are fitted for each ticker on its training samples,
which are the network's; a ticker with too few takes the fit of all tickers.
"""

import numpy as np
import pandas as pd

from upgate.data.prices.features import (
    FLOOR,
    Floats,
    Ints,
    Panel,
    averages,
    close_return,
    labels,
    parkinson,
)
from upgate.data.prices.ridge import ridge_forecasts
from upgate.data.prices.windows import ENOUGH, StockTensors

MONTH = 22  # trading days
HAR_ENOUGH = 3 * MONTH  # training samples from which a ticker has HAR coefficients of its own
DECAY = 0.94  # RiskMetrics' for daily data (J.P. Morgan 1996, Technical Document, 4th edition)


def references(panel: Panel, tensors: StockTensors) -> dict[str, Floats]:
    """Each reference's forecast from every row, (N,) float64 in target units.

    `har`, `har_leverage` and `ewma` for volatility only. All are finite wherever there is a price:
    at a ticker's start, averages run over the available rows. But `ridge` is NaN for tickers that
    are left out, for they have no scale.
    """
    close, drift = panel.close, drifts(panel, tensors)[panel.ticker]
    autoregression = ar1_forecasts(panel, tensors)
    ridge = ridge_forecasts(panel, tensors)
    if tensors.scaling["target"] == "return":
        flat = np.zeros_like(close)
        return {"persistence": flat, "drift": drift, "ar1": autoregression, "ridge": ridge}
    if tensors.scaling["target"] == "level":
        drift, autoregression = close * np.exp(drift), close * np.exp(autoregression)
        return {"persistence": close, "drift": drift, "ar1": autoregression, "ridge": ridge}
    leverage, fitted = har_leverage_inputs(panel), har_leverage_coefficients(panel, tensors)
    return {
        "persistence": log_volatility(panel, tensors.scaling["horizon"]),
        "drift": drift,
        "ar1": autoregression,
        "ridge": ridge,
        "har": (har_inputs(panel) * har_coefficients(panel, tensors)[panel.ticker]).sum(axis=1),
        "har_leverage": (leverage * fitted[panel.ticker]).sum(axis=1),
        "ewma": ewma_volatility(panel),
    }


def drifts(panel: Panel, tensors: StockTensors) -> Floats:
    """The mean training label of each ticker, (T,): for `level`, that of its h-day log return."""
    label = _change_labels(panel, tensors)
    own = [
        label[row].mean() if len(row) >= ENOUGH else np.nan
        for row in _training_rows(panel, tensors)
    ]
    return np.where(np.isnan(own), label[tensors.origin["train"].numpy()].mean(), own)


def log_volatility(panel: Panel, days: int) -> Floats:
    """0.5 log(mean parkinson of the last `days` rows + FLOOR), (N,); fewer at a ticker's start."""
    variance = parkinson(panel)
    total = np.zeros_like(variance)
    for i in range(days):
        total = total + np.nan_to_num(panel.past(variance, i))
    rows = np.minimum(np.arange(len(variance)) - panel.first[panel.ticker] + 1, days)
    return 0.5 * np.log(total / rows + FLOOR)


def har_inputs(panel: Panel) -> Floats:
    """The regressors 1, day, week, month of Corsi (2009) in logs, (N, 4)."""
    averages = [log_volatility(panel, days) for days in (1, 5, MONTH)]
    return np.stack([np.ones_like(panel.close), *averages], axis=1)


def har_coefficients(panel: Panel, tensors: StockTensors) -> Floats:
    """Intercept, day, week, month by least squares on each ticker's training samples, (T, 4)."""
    return _least_squares(har_inputs(panel), tensors.target, panel, tensors, HAR_ENOUGH)


def har_leverage_inputs(panel: Panel) -> Floats:
    """The regressors of HAR and the falls of day, week and month: min(mean log return, 0), (N, 7).

    The leverage effect: volatility rises after a fall (Corsi and Reno 2012).
    """
    daily = close_return(panel)
    falls = [
        np.minimum(np.nan_to_num(averages(daily, panel, days)), 0)  # a first day has no return
        for days in (1, 5, MONTH)
    ]
    return np.hstack([har_inputs(panel), np.stack(falls, axis=1)])


def har_leverage_coefficients(panel: Panel, tensors: StockTensors) -> Floats:
    """Those of `har_coefficients`, then of the falls of day, week and month, (T, 7)."""
    return _least_squares(har_leverage_inputs(panel), tensors.target, panel, tensors, HAR_ENOUGH)


def ar1_inputs(panel: Panel, tensors: StockTensors) -> Floats:
    """The regressors 1 and the last value: the day's log return, or the last log volatility."""
    if tensors.scaling["target"] == "volatility":
        last = log_volatility(panel, tensors.scaling["horizon"])
    else:
        last = np.nan_to_num(close_return(panel))  # a ticker's first day has none
    return np.stack([np.ones_like(panel.close), last], axis=1)


def ar1_coefficients(panel: Panel, tensors: StockTensors) -> Floats:
    """Intercept and phi by least squares on each ticker's training samples, (T, 2).

    For `return` and `level` the label is the h-day log return, regressed on the last day's.
    """
    label = _change_labels(panel, tensors)
    return _least_squares(ar1_inputs(panel, tensors), label, panel, tensors, ENOUGH)


def ar1_forecasts(panel: Panel, tensors: StockTensors) -> Floats:
    """The next log return, or log volatility, from every row, (N,)."""
    return (ar1_inputs(panel, tensors) * ar1_coefficients(panel, tensors)[panel.ticker]).sum(axis=1)


def ewma_volatility(panel: Panel) -> Floats:
    """0.5 log(weighted mean of the daily parkinson variances so far + FLOOR), (N,).

    The weight of a day k rows ago is DECAY^k: v_t = DECAY v_{t-1} + (1 - DECAY) parkinson_t, the
    recursion of RiskMetrics, divided by the sum of the weights, which matters at a ticker's start.
    """
    days = pd.Series(parkinson(panel)).groupby(panel.ticker)
    return 0.5 * np.log(days.ewm(alpha=1 - DECAY, adjust=True).mean().to_numpy() + FLOOR)


def _change_labels(panel: Panel, tensors: StockTensors) -> Floats:
    """The target by origin row, (N,); for `level` the log return: a price level has no mean."""
    name = {"level": "return"}.get(tensors.scaling["target"], tensors.scaling["target"])
    return labels(panel, name, tensors.scaling["horizon"])


def _least_squares(
    x: Floats, y: Floats, panel: Panel, tensors: StockTensors, enough: int
) -> Floats:
    """Coefficients of each ticker, (T, K): of all together where it has fewer samples."""
    everyone = tensors.origin["train"].numpy()
    rows = [row if len(row) >= enough else everyone for row in _training_rows(panel, tensors)]
    return np.stack([np.linalg.lstsq(x[row], y[row])[0] for row in rows])


def _training_rows(panel: Panel, tensors: StockTensors) -> list[Ints]:
    """The training origins of each ticker, T arrays of rows."""
    row = np.sort(tensors.origin["train"].numpy())
    return np.split(row, np.searchsorted(row, panel.first[1:-1]))

"""The forecasts that cost nothing, in target units, at the network's own origins.

Every result is measured against them. They are fitted for each ticker on its training samples,
which are the network's; a ticker with too few takes the fit of all tickers.
"""

import numpy as np

from upgate.data.prices.features import FLOOR, Floats, Ints, Panel, labels, parkinson
from upgate.data.prices.windows import ENOUGH, StockTensors

MONTH = 22  # trading days
HAR_ENOUGH = 3 * MONTH  # training samples from which a ticker has HAR coefficients of its own


def references(panel: Panel, tensors: StockTensors) -> dict[str, Floats]:
    """Each reference's forecast from every row, (N,) float64 in target units.

    `har` for volatility only. All are finite wherever there is a price: at a ticker's start,
    averages run over the available rows.
    """
    drift = drifts(panel, tensors)[panel.ticker]
    if tensors.scaling["target"] == "return":
        return {"persistence": np.zeros_like(panel.close), "drift": drift}
    if tensors.scaling["target"] == "level":
        return {"persistence": panel.close, "drift": panel.close * np.exp(drift)}
    return {
        "persistence": log_volatility(panel, tensors.scaling["horizon"]),
        "drift": drift,
        "har": (har_inputs(panel) * har_coefficients(panel, tensors)[panel.ticker]).sum(axis=1),
    }


def drifts(panel: Panel, tensors: StockTensors) -> Floats:
    """The mean training label of each ticker, (T,): for `level`, that of its h-day log return."""
    name = {"level": "return"}.get(tensors.scaling["target"], tensors.scaling["target"])
    label = labels(panel, name, tensors.scaling["horizon"])
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
    x, y = har_inputs(panel), tensors.target
    everyone = tensors.origin["train"].numpy()
    rows = [row if len(row) >= HAR_ENOUGH else everyone for row in _training_rows(panel, tensors)]
    return np.stack([np.linalg.lstsq(x[row], y[row])[0] for row in rows])


def _training_rows(panel: Panel, tensors: StockTensors) -> list[Ints]:
    """The training origins of each ticker, T arrays of rows."""
    row = np.sort(tensors.origin["train"].numpy())
    return np.split(row, np.searchsorted(row, panel.first[1:-1]))

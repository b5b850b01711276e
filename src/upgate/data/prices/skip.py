"""The forecast from which a network with `model.skip=reference` starts; it learns the rest.

That of `return` is the drift, of `level` the last close, and of `volatility` HAR (Corsi 2009). Each
is a weighted sum of a few numbers of the origin's row, its weights fitted by ticker on the training
samples as in `baselines`. They are kept as plain values, so that a checkpoint needs nothing else.
"""

from typing import TypedDict

import numpy as np
from torch import Tensor

from upgate.data.prices.baselines import drifts, har_coefficients, har_inputs
from upgate.data.prices.features import Floats, Panel
from upgate.data.prices.windows import Scaling, StockTensors, scale_labels


class Skip(TypedDict):
    """The weights of each ticker, and the mean over them for a ticker that is new."""

    tickers: dict[str, list[float]]
    pooled: list[float]


def fit_skip(tensors: StockTensors) -> Skip:
    """The reference of the target; of a fold's training samples alone."""
    panel, target = tensors.panel, tensors.scaling["target"]
    if target == "volatility":
        weights = har_coefficients(panel, tensors)
    elif target == "return":
        weights = drifts(panel, tensors)[:, None]
    else:
        weights = np.ones((len(panel.tickers), 1))
    rows = dict(zip(panel.tickers, weights.tolist(), strict=True))
    return {"tickers": rows, "pooled": weights.mean(axis=0).tolist()}


def skip_forecasts(panel: Panel, skip: Skip, scaling: Scaling) -> Tensor:
    """The reference's forecast from every row, (N,) float32 in the network's scaled units."""
    weights = np.array([skip["tickers"].get(name, skip["pooled"]) for name in panel.tickers])
    forecast = (_inputs(panel, scaling["target"]) * weights[panel.ticker]).sum(axis=1)
    return scale_labels(panel, forecast, scaling)


def _inputs(panel: Panel, target: str) -> Floats:
    if target == "volatility":
        return har_inputs(panel)
    return (np.ones_like(panel.close) if target == "return" else panel.close)[:, None]

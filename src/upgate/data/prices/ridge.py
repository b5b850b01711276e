"""Ridge regression on the very windows that the network sees: what a linear model gets from them.

Coefficients and intercept are fitted on the training samples of all tickers together, as the
network's weights are; the penalty is the one with the smallest error on the validation samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from upgate.data.prices.features import Floats, Panel
from upgate.data.prices.windows import StockTensors, unscale, window_batches

# Of the mean squared input, so that 1 halves the coefficient of a standardised lone one; the last
# is all but the mean, where daily returns often end.
PENALTIES = tuple(10.0**k for k in range(-6, 3))
CHUNK = 4096  # windows that are flattened at a time: 12 MB of them at 60 days of 6 features


@dataclass(frozen=True)
class Moments:
    """Means and centred second moments of n flattened windows, K numbers each, and labels."""

    x: Floats  # (K,)
    y: float
    xx: Floats  # (K, K)
    xy: Floats  # (K,)


def ridge_forecasts(panel: Panel, tensors: StockTensors) -> Floats:
    """The forecast from every row, (N,) in target units.

    At a ticker's start, where a window is not whole, the days that are missing count as 0, which is
    each input's training mean (for `level`: its minimum). NaN for a ticker that is left out,
    for it has no scale.
    """
    moments = window_moments(tensors)
    fits = [fit_ridge(moments, penalty) for penalty in PENALTIES]
    slopes, intercept = fits[int(np.argmin(validation_errors(tensors, fits)))]
    scaled = _apply(panel, tensors, slopes) + intercept
    return unscale(scaled, np.arange(len(scaled)), panel, tensors.scaling)


def window_moments(tensors: StockTensors) -> Moments:
    """Of the training samples."""
    width = tensors.window * tensors.x.shape[1]
    total, n = np.zeros((width + 2, width + 2)), len(tensors.origin["train"])
    for x, y in _flat_windows(tensors, "train"):
        columns = np.column_stack([x, y, np.ones_like(y)])
        total += columns.T @ columns
    mean = total[-1, :-1] / n
    centred = total[:-1, :-1] / n - np.outer(mean, mean)
    return Moments(mean[:-1], float(mean[-1]), centred[:-1, :-1], centred[:-1, -1])


def fit_ridge(moments: Moments, penalty: float) -> tuple[Floats, float]:
    """Slopes (K,) and intercept, which is not penalised; `penalty` is per mean squared input."""
    size = np.trace(moments.xx) / len(moments.x) or 1.0
    normal = moments.xx + penalty * size * np.eye(len(moments.x))
    slopes = np.linalg.solve(normal, moments.xy)
    return slopes.astype(np.float64), float(moments.y - moments.x @ slopes)


def validation_errors(tensors: StockTensors, fits: list[tuple[Floats, float]]) -> Floats:
    """The sum of squares of each fit on the validation samples, in scaled units; 0 without any."""
    slopes = np.stack([slope for slope, _ in fits], axis=1)  # (K, fits)
    intercepts = np.array([intercept for _, intercept in fits])
    errors = np.zeros(len(fits))
    for x, y in _flat_windows(tensors, "validation"):
        errors += ((x @ slopes + intercepts - y[:, None]) ** 2).sum(axis=0)
    return errors


def _flat_windows(tensors: StockTensors, part: str) -> Iterator[tuple[Floats, Floats]]:
    """Windows (B, W x F) and labels (B,) of a part, chunk by chunk.

    In float64: price levels of 60 days are so alike that float32 would decide small penalties.
    """
    batch = window_batches(tensors.x, tensors.y, tensors.window)
    for origin in torch.split(tensors.origin[part], CHUNK):
        made = batch(origin)
        yield made["x"].flatten(1).double().numpy(), made["y"].double().numpy()


def _apply(panel: Panel, tensors: StockTensors, slopes: Floats) -> Floats:
    """The sum of slopes x inputs of every row's window, (N,), without flattening windows."""
    by_day = slopes.reshape(tensors.window, -1)  # (W, F), the oldest day first
    inputs = tensors.x.numpy().astype(np.float64)
    age = np.arange(len(inputs)) - panel.first[panel.ticker]
    total = inputs @ by_day[-1]
    for lag in range(1, min(tensors.window, len(inputs))):
        own = age[lag:] >= lag
        total[lag:] += np.where(own, inputs[:-lag] @ by_day[-1 - lag], 0.0)
    return total

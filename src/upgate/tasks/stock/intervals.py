"""Intervals around a run's forecasts, by the errors of its kept weights on the validation part."""

from torch import Tensor

from upgate.data.prices.features import Floats, Ints, Panel
from upgate.data.prices.windows import Scaling, StockTensors, unscale
from upgate.stats.conformal import conformal_radii


def fit_radii(tensors: StockTensors, validation: Tensor) -> dict[str, float]:
    """Level -> radius in scaled units, from scaled forecasts (n,) of the validation part.

    One radius serves all tickers: scaled errors are in units of each ticker's own training part,
    which the errors they are compared with have not seen.
    """
    truth = tensors.y[tensors.origin["validation"]].double()
    return conformal_radii((truth - validation.double().cpu()).numpy())


def bounds(
    scaled: Floats, radius: float, row: Ints, panel: Panel, scaling: Scaling
) -> tuple[Floats, Floats]:
    """Low and high in target units, (n,) each, around scaled forecasts at these origin rows."""
    low, high = (unscale(scaled + side, row, panel, scaling) for side in (-radius, radius))
    return low, high


def measure_intervals(
    tensors: StockTensors, part: str, scaled: Tensor, radii: dict[str, float]
) -> dict[str, float]:
    """`coverage_<level>`: the share of a part's truths within; `width_<level>`: the mean width.

    The width is in target units: log return, price, or log volatility.
    """
    row = tensors.origin[part].numpy()
    truth, forecast = tensors.target[row], scaled.double().cpu().numpy()
    metrics: dict[str, float] = {}
    for level, radius in radii.items():
        low, high = bounds(forecast, radius, row, tensors.panel, tensors.scaling)
        metrics[f"coverage_{level}"] = float(((low <= truth) & (truth <= high)).mean())
        metrics[f"width_{level}"] = float((high - low).mean())
    return metrics

"""The errors of a forecast in target and price units, beside the references' on the same dates."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error
from torchmetrics.functional.classification import binary_accuracy

from upgate.data.prices.features import Floats
from upgate.data.prices.reference_names import REFERENCES
from upgate.data.prices.windows import ENOUGH, StockTensors, to_price, unscale
from upgate.tasks.base import Evaluation


def evaluate_forecasts(
    tensors: StockTensors, references: Mapping[str, Floats], part: str, scaled: Tensor
) -> Evaluation:
    """Evaluate scaled forecasts (n,) of a part, in the order of its origins.

    references: each one's forecast from every row, (N,), of `baselines.references`.

    `mse_ratio` is MSE over persistence's, the geometric mean over tickers that move (the plain
    ratio for one): below 1 beats persistence. `mse_ratio_har` is the same over HAR's. `r2_oos` is
    against the training mean (drift), `mase` against persistence in training, ticker by ticker.
    Tables: forecasts, a row per sample; tickers, a row per ticker.
    """
    forecasts = forecast_table(tensors, references, part, scaled.double().cpu().numpy())
    available = [name for name in REFERENCES if name in forecasts]
    tickers = by_ticker(forecasts, available)
    metrics = {
        "samples": float(len(forecasts)),
        "always_up": float((forecasts["truth"] > forecasts["persistence"]).mean()),
    }
    for name in ("forecast", *available):
        errors = pooled(forecasts, name)
        errors["mse_ratio"] = mean_ratio(tickers, name, "persistence")
        prefix = "" if name == "forecast" else f"{name}/"
        metrics |= {f"{prefix}{key}": value for key, value in errors.items()}
    if "har" in available:
        metrics["mse_ratio_har"] = mean_ratio(tickers, "forecast", "har")
    metrics["mase"] = mean_scaled_error(forecasts, tensors, references["persistence"])
    return Evaluation(metrics, {"forecasts": forecasts, "tickers": tickers})


def forecast_table(
    tensors: StockTensors, references: Mapping[str, Floats], part: str, scaled: Floats
) -> pd.DataFrame:
    """A row per sample: truth, forecast and references, in target units.

    And in price where the target means one. Columns: ticker, date (of the origin), label_date,
    truth, forecast, the references, price_<forecast>.
    """
    panel, row = tensors.panel, tensors.origin[part].numpy()
    end = panel.date[row + tensors.scaling["horizon"]]
    frame = pd.DataFrame(
        {
            "ticker": np.array(panel.tickers, dtype=object)[panel.ticker[row]],
            "date": panel.dates[panel.date[row]],
            "label_date": panel.dates[end],
            "truth": tensors.target[row],
            "forecast": unscale(scaled, row, panel, tensors.scaling),
            **{name: values[row] for name, values in references.items()},
        }
    )
    for name in ("truth", "forecast", *REFERENCES):
        if name not in frame:
            continue
        price = to_price(frame[name].to_numpy(), row, panel, tensors.scaling)
        if price is not None:
            frame[f"price_{name}"] = price
    return frame


def pooled(frame: pd.DataFrame, name: str) -> dict[str, float]:
    """Metrics of one forecaster over all samples together."""
    truth, forecast, base, drift = (
        _tensor(frame[c]) for c in ("truth", name, "persistence", "drift")
    )
    mse = mean_squared_error(forecast, truth)
    metrics = {
        "mse": float(mse),
        "mae": float(mean_absolute_error(forecast, truth)),
        "r2_oos": 1 - float(mse / mean_squared_error(drift, truth)),
        "direction": float(binary_accuracy((forecast > base).int(), (truth > base).int())),
    }
    if "price_truth" in frame:
        price, guess = _tensor(frame["price_truth"]), _tensor(frame[f"price_{name}"])
        metrics |= {
            "price_mse": float(mean_squared_error(guess, price)),
            "price_mae": float(mean_absolute_error(guess, price)),
        }
    return metrics


def by_ticker(frame: pd.DataFrame, references: list[str]) -> pd.DataFrame:
    """The MSE of the forecast and of each reference, a row per ticker."""
    errors = pd.DataFrame(
        {name: (frame[name] - frame["truth"]) ** 2 for name in ("forecast", *references)}
    )
    groups = errors.groupby(frame["ticker"], sort=True)
    means = groups.mean()
    means.insert(0, "samples", groups.size())
    return means.reset_index()


def mean_scaled_error(frame: pd.DataFrame, tensors: StockTensors, persistence: Floats) -> float:
    """MASE (Hyndman & Koehler 2006): per ticker MAE over `naive_errors`, the mean over tickers.

    So a ticker of prices in the thousands weighs as much as one of cents.
    """
    mae = (frame["forecast"] - frame["truth"]).abs().groupby(frame["ticker"]).mean()
    unit = pd.Series(naive_errors(tensors, persistence), index=tensors.panel.tickers)
    return float((mae / unit[mae.index]).mean())


def naive_errors(tensors: StockTensors, persistence: Floats) -> Floats:
    """Persistence's MAE over each ticker's training samples, (T,): the units of MASE.

    That of all tickers together for one with fewer than ENOUGH samples, or with no error at all.
    """
    row = tensors.origin["train"].numpy()
    error = np.abs(tensors.target[row] - persistence[row])
    ticker, count = tensors.panel.ticker[row], len(tensors.panel.tickers)
    samples = np.bincount(ticker, minlength=count)
    own = np.bincount(ticker, error, count) / np.maximum(samples, 1)
    return np.where((samples >= ENOUGH) & (own > 0), own, error.mean())


def mean_ratio(tickers: pd.DataFrame, name: str, reference: str) -> float:
    """The geometric mean over tickers of one MSE over the reference's.

    A ticker whose price never moves is forecast without error by persistence: no ratio is defined,
    and it is left out.
    """
    moving = tickers[tickers[reference] > 0]
    return geometric_mean(moving[name] / moving[reference]) if len(moving) else float("inf")


def geometric_mean(ratios: pd.Series) -> float:
    """The mean in which twice as good and half as good cancel.

    0 where a ratio is 0, inf where one is not finite.
    """
    values = ratios.to_numpy(dtype=float)
    if not np.isfinite(values).all():
        return float("inf")
    # log 0 is -inf, and its mean's exponential the 0 that is meant.
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(values).mean()))


def _tensor(values: pd.Series) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))

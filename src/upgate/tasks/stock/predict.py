"""The next forecast of prices from a stored run, preprocessing included."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from upgate.config import compose as config
from upgate.config.values import Section
from upgate.data.prices.features import Panel
from upgate.data.prices.skip import skip_forecasts
from upgate.data.prices.sources import load_prices
from upgate.data.prices.windows import apply_scaling, to_price, unscale, window_batches
from upgate.tasks.base import Fetch
from upgate.tasks.stock.module import StockModule


def predict_prices(overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
    """Forecast from the last day of the prices that the overrides name, else of the run's own."""
    return forecast_next(checkpoint, load_prices(source(overrides, fetch)).table)


def source(overrides: Sequence[str], fetch: Fetch) -> dict[str, Any]:
    """The section `data`; `data.path` alone means price files, no override the run's own data."""
    if not overrides:
        stored = yaml.safe_load(fetch("config.yaml").read_text(encoding="utf-8"))
        return dict(stored["data"])
    chosen = any(word.startswith("data=") for word in overrides)
    return config.compose([*overrides] if chosen else ["data=prices", *overrides])["data"]


def forecast_next(checkpoint: Section, table: pd.DataFrame) -> pd.DataFrame:
    """Forecast from each ticker's last day: a row per ticker.

    In target units and, where the target means a price, in price.
    """
    hyperparameters = checkpoint["hyper_parameters"]
    spec, scaling = hyperparameters["spec"], hyperparameters["scaling"]
    task = spec["task"]
    fitted = hyperparameters.get("skip")
    module = StockModule(spec, scaling, fitted)
    module.load_state_dict(checkpoint["state_dict"])
    panel = Panel.of(table)
    x, origin = apply_scaling(panel, scaling, task["window"])
    skip = None if fitted is None else skip_forecasts(panel, fitted, scaling)
    batch = window_batches(x, torch.zeros(len(x)), task["window"], skip)(origin)
    with torch.inference_mode():
        scaled = module.eval().net(batch)
    row = origin.numpy()
    value = unscale(scaled.double().numpy(), row, panel, scaling)
    frame = pd.DataFrame(
        {
            "ticker": panel.tickers,
            "last_day": panel.dates[panel.date[row]],
            "days_ahead": task["horizon"],
            "last_close": panel.close[row],
            task["target"]: value,
        }
    )
    price = to_price(value, row, panel, scaling)
    if price is None:
        return frame.assign(daily_volatility_percent=100 * np.exp(value))
    change = 100 * (price / frame["last_close"] - 1)
    return frame.assign(price=price, change_percent=change)

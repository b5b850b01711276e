"""The next forecast of prices from a stored run, preprocessing included."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from upgate.config import compose as config
from upgate.data.prices.features import Panel
from upgate.data.prices.sources import load_prices
from upgate.data.prices.windows import apply_scaling, take, to_price, unscale
from upgate.tasks.stock.module import StockModule

KEYS = ("data",)  # and all below it


def predict(
    words: Sequence[str], kept: dict[str, Any], fetch: Callable[[str], Path]
) -> pd.DataFrame:
    """Forecast from the last day of the prices that the words name; without words, of those that the run was trained on."""
    return forecast(kept, load_prices(source(words, fetch)).table)


def source(words: Sequence[str], fetch: Callable[[str], Path]) -> dict[str, Any]:
    """The data that the words ask for; `data.path` alone means price files; nothing means the run's own."""
    if not words:
        return yaml.safe_load(fetch("config.yaml").read_text(encoding="utf-8"))["data"]
    chosen = any(word.startswith("data=") for word in words)
    return config.compose([*words] if chosen else ["data=prices", *words])["data"]


def forecast(kept: dict[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Forecast from each ticker's last day: a row per ticker, in target units and, where the target means one, in price."""
    spec, scaling = kept["hyper_parameters"]["spec"], kept["hyper_parameters"]["scaling"]
    learner = StockModule(spec, scaling)
    learner.load_state_dict(kept["state_dict"])
    panel = Panel.of(table)
    x, origin = apply_scaling(panel, scaling, spec["task"]["window"])
    with torch.inference_mode():
        scaled = learner.eval().net(take(x, torch.zeros(len(x)), spec["task"]["window"])(origin))
    row = origin.numpy()
    value = unscale(scaled.double().numpy(), row, panel, scaling)
    frame = pd.DataFrame(
        {
            "ticker": panel.tickers,
            "last_day": panel.dates[panel.date[row]],
            "days_ahead": spec["task"]["horizon"],
            "last_close": panel.close[row],
            spec["task"]["target"]: value,
        }
    )
    price = to_price(value, row, panel, scaling)
    if price is None:
        frame["daily_volatility_percent"] = 100 * np.exp(value)
    else:
        frame["price"] = price
        frame["change_percent"] = 100 * (price / frame["last_close"] - 1)
    return frame

"""The next forecast of prices from a stored run, preprocessing included."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from upgate.config import compose as config
from upgate.config.values import Section
from upgate.data.prices.features import Floats, Ints, Panel
from upgate.data.prices.skip import skip_forecasts
from upgate.data.prices.sources import load_prices, to_prices
from upgate.data.prices.windows import apply_scaling, to_price, unscale, window_batches
from upgate.errors import UserError
from upgate.messages import shown
from upgate.stats.conformal import LEVELS
from upgate.tasks.base import Fetch
from upgate.tasks.stock.intervals import bounds
from upgate.tasks.stock.module import StockModule
from upgate.tasks.stock.texts import say

INTERVAL = 0.9  # level of the interval, where nothing is said
MORE = 25  # days of an example beside its window: what the longest feature needs


def predict_prices(overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
    """Forecast from the last day of the prices that the overrides name, else of the run's own."""
    level, table = read_prices(overrides, fetch)
    return forecast_next(checkpoint, table, level)


def read_prices(overrides: Sequence[str], fetch: Fetch) -> tuple[str, pd.DataFrame]:
    """The interval's level and the prices that the overrides name, else the run's own."""
    options = [word for word in overrides if word.startswith("interval=")]
    level = parse_level(options[0].partition("=")[2] if options else str(INTERVAL))
    data = [word for word in overrides if word not in options]
    return level, load_prices(source(data, fetch)).table


def predict_frame(
    frame: pd.DataFrame, checkpoint: Section, options: Mapping[str, Any]
) -> pd.DataFrame:
    """Forecast from the last day of the prices in a frame. options: interval."""
    level = parse_level(f"{options.get('interval', INTERVAL):g}")
    return forecast_next(checkpoint, to_prices(frame).table, level)


def example_prices(overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
    """The last days of these prices, of one ticker, or of all where the features are a panel's."""
    table = load_prices(source(overrides, fetch)).table
    task = checkpoint["hyper_parameters"]["spec"]["task"]
    if not any(name.startswith("market_") for name in task["features"]):
        table = table[table["ticker"] == table["ticker"].iloc[0]]
    last = table.groupby("ticker").tail(task["window"] + MORE).reset_index(drop=True)
    return last.assign(date=last["date"].dt.strftime("%Y-%m-%d"))


def parse_level(text: str) -> str:
    """The name of an interval's level: 0.9 and 90 are both "90". Raises UserError."""
    for name, level in LEVELS.items():
        if text in (name, f"{level:g}", f"{level:.2f}"):
            return name
    known = ", ".join(f"{level:g}" for level in LEVELS.values())
    raise UserError(say("no_such_interval", given=text, known=known))


def source(overrides: Sequence[str], fetch: Fetch) -> dict[str, Any]:
    """The section `data`; `data.path` alone means price files, no override the run's own data."""
    if not overrides:
        stored = yaml.safe_load(fetch("config.yaml").read_text(encoding="utf-8"))
        return dict(stored["data"])
    chosen = any(word.startswith("data=") for word in overrides)
    return config.compose([*overrides] if chosen else ["data=prices", *overrides])["data"]


def forecast_next(checkpoint: Section, table: pd.DataFrame, level: str = "90") -> pd.DataFrame:
    """Forecast from each ticker's last day: a row per ticker.

    In target units and, where the target means a price, in price. With the interval at this level,
    low_<level> and high_<level>, in price, or in target units where there is none; without it for
    a run that stores none, which is said on standard error.
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
    interval = _price_interval(checkpoint, level, scaled.double().numpy(), row, panel)
    price = to_price(value, row, panel, scaling)
    if price is None:
        return frame.assign(**interval, daily_volatility_percent=100 * np.exp(value))
    change = 100 * (price / frame["last_close"] - 1)
    return frame.assign(price=price, **interval, change_percent=change)


def _price_interval(
    checkpoint: Section, level: str, scaled: Floats, row: Ints, panel: Panel
) -> dict[str, Floats]:
    """The columns low_<level> and high_<level>; none where the run stores no radius for it."""
    radius = checkpoint.get("finish", {}).get("radii", {}).get(level)
    if radius is None:
        print(shown(say("without_interval", level=level)), file=sys.stderr)
        return {}
    scaling = checkpoint["hyper_parameters"]["scaling"]
    ends = bounds(scaled, radius, row, panel, scaling)
    prices = [to_price(end, row, panel, scaling) for end in ends]
    limits = [end if price is None else price for end, price in zip(ends, prices, strict=True)]
    return {f"low_{level}": limits[0], f"high_{level}": limits[1]}

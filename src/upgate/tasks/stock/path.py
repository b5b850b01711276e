"""The forecasts of several horizons, by a run of its own each: the direct strategy.

See Marcellino, Stock and Watson 2006. No forecast is the input of another. An interval is of
its own forecast: the share of paths that stay within all of them is smaller than their level.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from upgate.config.schema import format_value
from upgate.config.values import Section, SpecValues
from upgate.data.prices.calendar import next_days
from upgate.data.prices.features import FLOOR, Panel, parkinson
from upgate.errors import UserError
from upgate.tasks.base import Fetch
from upgate.tasks.stock.figures import draw_path
from upgate.tasks.stock.predict import forecast_next, read_prices
from upgate.tasks.stock.texts import say

PAST = 40  # days before the forecasts, in the picture


class HorizonPath:
    """Forecasts from the last day, by runs that differ in `task.horizon` alone."""

    key = "horizon"

    def specs(self, spec: SpecValues, steps: Sequence[int]) -> list[list[SpecValues]]:
        """With a gap that is the horizon where this run's is, and with this run's gap."""
        own = spec["split"]["gap"]
        moving = [steps] if own == spec["task"]["horizon"] else []
        return [
            list(map(partial(_at_horizon, spec), steps, gaps))
            for gaps in (*moving, [own] * len(steps))
        ]

    def predict(
        self, overrides: Sequence[str], checkpoints: Sequence[Section], fetch: Fetch
    ) -> tuple[list[pd.DataFrame], pd.DataFrame]:
        """The forecasts of each run; the past prices, or daily volatilities in percent."""
        level, table = read_prices(overrides, fetch)
        frames = [forecast_next(checkpoint, table, level) for checkpoint in checkpoints]
        farthest = max(int(frame["days_ahead"].max()) for frame in frames)
        days = {
            str(ticker): next_days(own, farthest) for ticker, own in table.groupby("ticker")["date"]
        }
        for frame in frames:
            pairs = zip(frame["ticker"], frame["days_ahead"], strict=True)
            frame.insert(3, "date", [days[ticker][ahead - 1] for ticker, ahead in pairs])
        past = table[["ticker", "date", "close"]].rename(columns={"close": "value"})
        if "volatility" in frames[0]:
            past["value"] = 100 * np.sqrt(parkinson(Panel.of(table)) + FLOOR)
        return frames, past.groupby("ticker").tail(PAST)

    def draw(self, frame: pd.DataFrame, past: pd.DataFrame) -> Figure:
        return draw_path(frame, past)


def check_horizon(horizon: Any) -> None:
    """Raise UserError for several horizons: each is a run, and they are a sweep."""
    if isinstance(horizon, list) and horizon:
        values = ",".join(map(format_value, horizon))
        raise UserError(say("horizon_list", values=values))


def _at_horizon(spec: SpecValues, horizon: int, gap: int) -> SpecValues:
    return {
        **spec,
        "task": {**spec["task"], "horizon": horizon},
        "split": {**spec["split"], "gap": gap},
    }

"""The picture of a run on prices: the forecast against truth and persistence."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from upgate.tasks.figures import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    STYLE,
    interval_levels,
    new_figure,
    tick_days,
)

MAX_SAMPLES = 250  # the last ones of the test part: about a year
MAX_FANS = 4  # tickers in the picture of a path


def draw_forecast(
    forecasts: pd.DataFrame, twin: pd.DataFrame | None, target: str, name: str
) -> Figure:
    """The first ticker: the series with its forecasts, and the lead over the references and the
    twin.

    Of returns the lead alone: in prices all forecasts of the next day lie on top of each other.
    """
    samples = _first_ticker(forecasts)
    if twin is not None:
        samples = samples.join(_twin_columns(twin), on="label_date")
    ticker, shown = samples["ticker"].iloc[0], min(MAX_SAMPLES, len(samples))
    with mpl.rc_context(STYLE):
        figure = new_figure(9, 4 if target == "return" else 6)
        if target == "return":
            _lead(figure.subplots(), samples, f"{ticker}, {target}: summed lead of {name}")
            return figure
        top, bottom = figure.subplots(2, 1, height_ratios=[3, 2])
        in_price = "price_truth" in samples
        _series(top, samples.tail(shown), "price_" if in_price else "")
        title = f"{ticker}: {target}, the last {shown} of {len(samples)} test days"
        top.set_title(title, loc="left")
        top.set_ylabel("price" if in_price else "log volatility")
        _lead(bottom, samples, f"summed lead of {name}")
    return figure


def _first_ticker(forecasts: pd.DataFrame) -> pd.DataFrame:
    return forecasts[forecasts["ticker"] == forecasts["ticker"].iloc[0]]


def _twin_columns(twin: pd.DataFrame) -> pd.DataFrame:
    """A twin's forecasts of the first ticker by date, as columns `twin` and `price_twin`."""
    kept = [name for name in ("forecast", "price_forecast") if name in twin]
    renamed = _first_ticker(twin)[["label_date", *kept]].set_index("label_date")
    return renamed.rename(columns=lambda name: name.replace("forecast", "twin"))


def _series(axes: Axes, frame: pd.DataFrame, prefix: str) -> None:
    days = frame["label_date"]
    axes.plot(days, frame[f"{prefix}persistence"], color=GREY, lw=1, ls=":", label="persistence")
    axes.plot(days, frame[f"{prefix}truth"], color=BLACK, lw=1.2, label="truth")
    if f"{prefix}twin" in frame:
        axes.plot(days, frame[f"{prefix}twin"], color=BLUE, lw=1, ls="-.", label="twin")
    axes.plot(days, frame[f"{prefix}forecast"], color=ORANGE, lw=1.2, ls="--", label="forecast")
    _legend_above(axes, 4)


def _legend_above(axes: Axes, columns: int) -> None:
    """A legend in one row over all lines, with room for it; and few ticks."""
    tick_days(axes)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.15 * (high - low))
    axes.legend(ncols=columns, loc="upper left")


def _lead(axes: Axes, frame: pd.DataFrame, title: str) -> None:
    """Another forecast's squared error minus this one's, summed: rising where this is better."""
    days, error = frame["label_date"], (frame["forecast"] - frame["truth"]) ** 2
    highest, lowest = 0.0, 0.0
    others = {"persistence": (BLACK, "-"), "har": (GREY, "--"), "twin": (BLUE, "-.")}
    for other, (colour, style) in others.items():
        if other in frame:
            lead = np.cumsum((frame[other] - frame["truth"]) ** 2 - error)
            highest, lowest = max(highest, lead.max()), min(lowest, lead.min())
            axes.plot(days, lead, color=colour, ls=style, lw=1.5, label=f"against {other}")
    axes.axhline(0, color=BLACK, lw=0.8)
    axes.set_title(f"{title}: rising where it forecasts better", loc="left")
    axes.set_ylabel("squared error")
    tick_days(axes)
    axes.legend(loc="upper left" if highest > -lowest else "lower left")  # leads begin at 0


def draw_path(frame: pd.DataFrame, past: pd.DataFrame) -> Figure:
    """The first tickers: their past, and the forecasts of the days ahead with their intervals.

    frame: the rows of `upgate predict horizon=all`; past: ticker, date and value, in price, or of
    volatilities in percent a day.
    """
    tickers = list(dict.fromkeys(frame["ticker"]))[:MAX_FANS]
    with mpl.rc_context(STYLE):
        figure = new_figure(9, 1 + 3 * len(tickers))
        axes = figure.subplots(len(tickers), 1, squeeze=False)[:, 0]
        for one, ticker in zip(axes, tickers, strict=True):
            _fan(one, frame[frame["ticker"] == ticker], past[past["ticker"] == ticker])
    return figure


def _fan(axes: Axes, path: pd.DataFrame, past: pd.DataFrame) -> None:
    days, unit = path["date"], "price" if "price" in path else "volatility, % a day"
    forecast = path["price" if "price" in path else "daily_volatility_percent"]
    axes.plot(past["date"], past["value"], color=BLACK, lw=1.2, label="until the last day")
    axes.plot(days, forecast, color=ORANGE, lw=1.2, ls="--", marker="o", ms=4, label="forecast")
    for level in interval_levels(path):
        low, high = path[f"low_{level}"], path[f"high_{level}"]
        if "price" not in path:
            low, high = 100 * np.exp(low), 100 * np.exp(high)
        label = f"{level}% interval of each forecast alone"
        axes.fill_between(days, low, high, color=ORANGE, alpha=0.2, lw=0, label=label)
        axes.vlines(days, low, high, color=ORANGE, lw=1)
    ahead = ", ".join(map(str, path["days_ahead"]))
    title = f"{path['ticker'].iloc[0]}, {ahead} trading days after {path['last_day'].iloc[0]:%F}"
    axes.set_title(title, loc="left")
    axes.set_ylabel(unit)
    _legend_above(axes, 3)

"""The picture of a run on prices: the forecast against truth and persistence."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from upgate.tasks.figures import BLACK, BLUE, GREY, ORANGE, STYLE, new_figure

MAX_SAMPLES = 250  # the last ones of the test part: about a year


def draw_forecast(forecasts: pd.DataFrame, target: str, name: str) -> Figure:
    """Two panels for the first ticker.

    The series with its forecasts, and the squared error summed over time beside persistence's.
    """
    ticker = forecasts["ticker"].iloc[0]
    samples = forecasts[forecasts["ticker"] == ticker]
    shown = min(MAX_SAMPLES, len(samples))
    in_price = "price_truth" in samples
    with mpl.rc_context(STYLE):
        figure = new_figure(9, 6)
        top, bottom = figure.subplots(2, 1, height_ratios=[3, 2])
        _series(top, samples.tail(shown), "price_" if in_price else "")
        title = f"{ticker}: {target}, the last {shown} of {len(samples)} test days"
        top.set_title(title, loc="left")
        top.set_ylabel("price" if in_price else "log volatility")
        _lead(bottom, samples, name)
    return figure


def _series(axes: Axes, frame: pd.DataFrame, prefix: str) -> None:
    days = frame["label_date"]
    axes.plot(days, frame[f"{prefix}persistence"], color=GREY, lw=1, ls=":", label="persistence")
    axes.plot(days, frame[f"{prefix}truth"], color=BLACK, lw=1.2, label="truth")
    axes.plot(days, frame[f"{prefix}forecast"], color=ORANGE, lw=1.2, ls="--", label="forecast")
    axes.legend(ncols=3, loc="upper left")


def _lead(axes: Axes, frame: pd.DataFrame, name: str) -> None:
    """A reference's squared error minus the forecast's, summed: rising where it is better."""
    days, error = frame["label_date"], (frame["forecast"] - frame["truth"]) ** 2
    for reference, colour, style in (("persistence", BLUE, "-"), ("har", GREY, "--")):
        if reference in frame:
            lead = np.cumsum((frame[reference] - frame["truth"]) ** 2 - error)
            label = f"against {reference}"
            axes.plot(days, lead, color=colour, ls=style, lw=1.5, label=label)
    axes.axhline(0, color=BLACK, lw=0.8)
    axes.set_title(f"summed lead of {name}: rising where it forecasts better", loc="left")
    axes.set_ylabel("squared error")
    axes.legend(ncols=2, loc="upper left")

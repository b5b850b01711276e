"""The pictures of a run: the forecast against truth and persistence, the learning curves of run and twin."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colours, told apart by colour-blind people too
BLACK, ORANGE, BLUE, GREY = "#000000", "#D55E00", "#0072B2", "#888888"
SHOWN = 250  # last test samples in a forecast's picture: about a year
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "font.size": 10,
    "figure.dpi": 110,
}


def forecast(forecasts: pd.DataFrame, target: str, name: str) -> Figure:
    """Two panels for the first ticker: the series with its forecasts, and the error summed over time beside persistence's."""
    one = forecasts[forecasts["ticker"] == forecasts["ticker"].iloc[0]]
    prefix, unit = ("price_", "price") if "price_truth" in one else ("", "log volatility")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 6), layout="constrained")
        top, bottom = figure.subplots(2, 1, height_ratios=[3, 2])
        _series(top, one.tail(SHOWN), prefix)
        top.set_title(
            f"{one['ticker'].iloc[0]}: {target}, the last {min(SHOWN, len(one))} of {len(one)} test days",
            loc="left",
        )
        top.set_ylabel(unit)
        _lead(bottom, one, name)
    return figure


def _series(axes: Axes, frame: pd.DataFrame, prefix: str) -> None:
    days = frame["label_date"]
    axes.plot(days, frame[f"{prefix}persistence"], color=GREY, lw=1, ls=":", label="persistence")
    axes.plot(days, frame[f"{prefix}truth"], color=BLACK, lw=1.2, label="truth")
    axes.plot(days, frame[f"{prefix}forecast"], color=ORANGE, lw=1.2, ls="--", label="forecast")
    axes.legend(ncols=3, loc="upper left")


def _lead(axes: Axes, frame: pd.DataFrame, name: str) -> None:
    """Persistence's squared error minus the forecast's, summed: rising where the forecast is the better one."""
    for reference, colour, style in (("persistence", BLUE, "-"), ("har", GREY, "--")):
        if reference in frame:
            lead = np.cumsum(
                (frame[reference] - frame["truth"]) ** 2 - (frame["forecast"] - frame["truth"]) ** 2
            )
            axes.plot(
                frame["label_date"],
                lead,
                color=colour,
                ls=style,
                lw=1.5,
                label=f"against {reference}",
            )
    axes.axhline(0, color=BLACK, lw=0.8)
    axes.set_title(f"summed lead of {name}: rising where it forecasts better", loc="left")
    axes.set_ylabel("squared error")
    axes.legend(ncols=2, loc="upper left")


def curves(run: pd.DataFrame, twin: pd.DataFrame | None, name: str) -> Figure:
    """Training and validation loss by epoch, run beside twin. Without penalties: the two are comparable."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4), layout="constrained")
        axes = figure.subplots()
        for curve, label, colour in ((run, name, ORANGE), (twin, "twin (traditional)", BLUE)):
            if curve is not None and len(curve):
                epochs = np.arange(1, len(curve) + 1)
                axes.plot(
                    epochs,
                    curve["val/loss"],
                    color=colour,
                    marker="o",
                    ms=3,
                    label=f"{label}, validation",
                )
                axes.plot(
                    epochs,
                    curve["train/loss"],
                    color=colour,
                    ls="--",
                    lw=1,
                    label=f"{label}, training",
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def save(figure: Figure, path: Path) -> Path:
    figure.savefig(path)
    return path


def stored(folder: Path | None, name: str) -> pd.DataFrame | None:
    """A table of another run's folder, if it is there."""
    path = folder / f"{name}.parquet" if folder else None
    return pd.read_parquet(path) if path and path.exists() else None

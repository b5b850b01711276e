"""The pictures of a run: learning curves beside its twin's; colours and style of all pictures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateFormatter, AutoDateLocator
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from upgate.files import is_intact, write_atomic

# Okabe and Ito's colours, which colour-blind people can tell apart too.
BLACK, ORANGE, BLUE, GREY = "#000000", "#D55E00", "#0072B2", "#888888"
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "font.size": 10,
    "figure.dpi": 110,
    "axes.titley": 1.0,  # else every text is laid out a second time to find the title's place
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, with margins for a label, ticks of 9 digits and a title.

    A layout engine would draw everything a second time to find them, at every run.
    """
    figure = Figure(figsize=(width, height))
    sides = {"left": 1 / width, "right": 1 - 0.15 / width}
    figure.subplots_adjust(**sides, bottom=0.55 / height, top=1 - 0.4 / height, hspace=0.35)
    return figure


def tick_days(axes: Axes) -> None:
    """Few ticks, by which half of a picture's time goes: at most 8 days, 6 values."""
    days = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(days)
    axes.xaxis.set_major_formatter(AutoDateFormatter(days))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def draw_curves(run: pd.DataFrame, twin: pd.DataFrame | None, name: str) -> Figure:
    """Training and validation loss by epoch, run beside twin.

    Without penalties: so the two are comparable.
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(9, 4)
        axes = figure.subplots()
        for curve, label, colour in ((run, name, ORANGE), (twin, "twin (traditional)", BLUE)):
            if curve is None or not len(curve):
                continue
            epochs = np.arange(1, len(curve) + 1)
            validation: dict[str, Any] = {"marker": "o", "ms": 3, "label": f"{label}, validation"}
            training: dict[str, Any] = {
                "ls": "--",
                "lw": 1,
                "marker": "o",
                "ms": 2,
                "label": f"{label}, training",
            }
            axes.plot(epochs, curve["val/loss"], color=colour, **validation)
            axes.plot(epochs, curve["train/loss"], color=colour, **training)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        last = max(len(run), 0 if twin is None else len(twin), 1)
        axes.set_xlim(0.5, last + 0.5)
        axes.set_xticks(range(1, last + 1, -(-last // 10)))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.legend(loc="upper right")  # losses fall; to look for the best place takes long
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write it as its suffix says. A light compression of png takes half the time."""
    options: Any = {"pil_kwargs": {"compress_level": 1}} if path.suffix == ".png" else {}
    write_atomic(path, lambda file: figure.savefig(file, format=path.suffix[1:], **options))
    return path


def stored(folder: Path | None, name: str) -> pd.DataFrame | None:
    """A table of another run's folder; None where there is none, or it is damaged.

    No picture is worth a run that fails because of another's file.
    """
    if folder is None:
        return None
    path = folder / f"{name}.parquet"
    try:
        return pd.read_parquet(path) if is_intact(path) else None
    except (OSError, ValueError):  # Arrow's errors are ValueErrors
        return None


def interval_levels(predictions: pd.DataFrame) -> list[str]:
    """The levels in percent whose bounds these hold, as low_90 and high_90."""
    names = map(str, predictions)
    return [name.removeprefix("low_") for name in names if name.startswith("low_")]

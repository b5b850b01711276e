"""The pictures of a run on reviews.

Its confusion matrix, and the table of reviews on which run and twin disagree.
"""

from collections.abc import Sequence
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font

from upgate.tasks.figures import BLACK, BLUE, STYLE

# matplotlib's own font, then those that have Chinese on Linux, macOS and Windows; a glyph comes
# from the first font that has it.
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti TC",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
)
SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", BLUE])
LONGEST = 20  # characters of a class name in a picture


def draw_confusion(predictions: pd.DataFrame, classes: Sequence[str], name: str) -> Figure:
    """The confusion matrix: in each cell the number of reviews, and their share of the true class.

    The share shades the cell.
    """
    order = list(classes)
    counts = (
        pd.crosstab(predictions["truth"], predictions["predicted"])
        .reindex(index=order, columns=order, fill_value=0)
        .to_numpy()
    )
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    right = np.trace(counts) / max(counts.sum(), 1)
    fonts = installed()
    with mpl.rc_context(STYLE | {"font.family": list(fonts), "axes.grid": False}):
        side = min(2.5 + 1.1 * len(classes), 14.0)
        figure = Figure(figsize=(side + 1, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
        _name_classes(axes, drawable(classes, fonts, [f"class {k}" for k in range(len(classes))]))
        _write_cells(axes, counts, shares, size=min(10.0, 16 * side / len(classes)))
        title = f"{drawable([name], fonts, ['run'])[0]}: {right:.2%} of {counts.sum():,} right"
        axes.set_title(fill(title, int(10 * side)), loc="left", parse_math=False)
    return figure


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    """Label both axes; a `$` in a name is no formula."""
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    rotation, side = (45, "right") if max(map(len, short)) > 9 or len(short) > 9 else (0, "center")
    axes.set_xticks(
        range(len(short)),
        short,
        parse_math=False,
        rotation=rotation,
        ha=side,
        rotation_mode="anchor",
    )
    axes.set_yticks(range(len(short)), short, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray, size: float) -> None:
    for (i, j), count in np.ndenumerate(counts):
        colour = "#FFFFFF" if shares[i, j] > 0.65 else BLACK
        axes.text(
            j,
            i,
            f"{count:,}\n{shares[i, j]:.1%}",
            ha="center",
            va="center",
            color=colour,
            fontsize=size,
        )


def installed() -> dict[str, str]:
    """Name -> file of those `FONTS` that this machine has, in their order."""
    available = {font.name: font.fname for font in fontManager.ttflist}
    return {name: available[name] for name in FONTS if name in available}


def drawable(names: Sequence[str], fonts: dict[str, str], instead: Sequence[str]) -> Sequence[str]:
    """The names if the fonts have all their glyphs, else `instead`: no empty boxes, no warnings."""
    glyphs = {code for file in fonts.values() for code in get_font(file).get_charmap()}
    return names if glyphs.issuperset(map(ord, "".join(names))) else instead


def find_disagreements(run: pd.DataFrame, twin: pd.DataFrame, count: int = 50) -> pd.DataFrame:
    """The reviews on which run and twin disagree, surest first, `count` at most.

    By the sum of the probabilities that each gives to its own answer. Columns: text, truth, run,
    run_probability, twin, twin_probability, right ("run", "twin" or "neither"). Both tables are
    predictions for the same reviews.
    """
    both = run.merge(
        twin[["row", "predicted", "probability"]],
        on="row",
        suffixes=("", "_twin"),
        validate="one_to_one",
    )
    both = both[both["predicted"] != both["predicted_twin"]]
    sure = (
        (both["probability"] + both["probability_twin"])
        .sort_values(ascending=False, kind="stable")
        .index[:count]
    )
    names = {
        "predicted": "run",
        "probability": "run_probability",
        "predicted_twin": "twin",
        "probability_twin": "twin_probability",
    }
    shown = both.loc[sure].rename(columns=names).reset_index(drop=True)
    right = np.select(
        [shown["run"] == shown["truth"], shown["twin"] == shown["truth"]],
        ["run", "twin"],
        "neither",
    )
    return shown[["text", "truth", *names.values()]].assign(right=right)

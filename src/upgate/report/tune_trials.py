"""All trials of a search: a line per trial across the axes, and the table of them."""

import math
from collections.abc import Sequence

import numpy as np

from upgate.config.schema import format_value
from upgate.page.figure import Figure
from upgate.page.html import Child, Html, el
from upgate.page.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Floats,
    Scale,
    format_number,
    path_data,
)
from upgate.page.translations import Translator
from upgate.tune.result import ArmResult, Search, Tunable
from upgate.tune.space import Dimension
from upgate.tune.trial import COMPLETE, Trial

NAMES = 74.0  # room for slanting names below the axes
LOWEST = 0.1  # position of the worst complete trial; diverged and failed ones end at 0


def parallel(search: Search, tunable: Tunable, arm: ArmResult, w: Translator) -> Figure | None:
    """A line per trial across all axes and the score; None where no axis was searched."""
    if not tunable.space:
        return None
    names = [*(dim.key for dim in tunable.space), w("tune_score")]
    columns, body = trials_table(search, tunable, arm, w)
    axes = ", ".join(names)
    return Figure(
        arm.name,
        _parallel_picture(tunable, arm, names),
        w("tune_parallel_label", n=len(arm.trials), arm=arm.name, axes=axes),
        columns,
        body,
        w("tune_parallel_note"),
    )


def _parallel_picture(tunable: Tunable, arm: ArmResult, names: Sequence[str]) -> Html:
    """The axes, a line per trial with the chosen one on top, and the names of the axes."""
    score_positions = positions_by_rank(arm.trials)
    xs = np.linspace(LEFT, WIDTH - RIGHT, len(names))
    ys = Scale(0.0, 1.0, HEIGHT - BOTTOM - 14, TOP + 14)
    anchors = ["start", *["middle"] * (len(names) - 2), "end"]
    axes = []
    for x, dim, anchor in zip(xs.tolist(), [*tunable.space, None], anchors, strict=True):
        axes.append(_axis(x, dim, anchor, ys))
    lines = []
    for trial in sorted(arm.trials, key=lambda trial: drawing_order(trial, arm)):
        position = score_positions[trial.number]
        lines.append(_trial_line(trial, tunable, position, xs, ys, arm.chosen))
    titles = [_axis_name(x, name) for x, name in zip(xs.tolist(), names, strict=True)]
    size = f"0 0 {WIDTH:g} {HEIGHT + NAMES:g}"
    return el("svg", axes, lines, titles, viewBox=size, aria_hidden="true")


def positions_by_rank(trials: Sequence[Trial]) -> dict[int, float]:
    """Trial number -> position on the axis of scores, 0 to 1, the best at 1.

    By rank: on the scale of scores one explosion would hide all other differences.
    """
    complete = sorted((t for t in trials if t.state == COMPLETE), key=lambda trial: trial.rank)
    step = (1.0 - LOWEST) / max(1, len(complete) - 1)
    positions = {trial.number: 0.0 for trial in trials}
    return positions | {trial.number: 1.0 - step * i for i, trial in enumerate(complete)}


def drawing_order(trial: Trial, arm: ArmResult) -> tuple[bool, bool, bool]:
    """A key for sorting: the chosen trial is drawn last, on top of all; before it the baseline."""
    return trial.number == arm.chosen, trial.number == 0, trial.state == COMPLETE


def _trial_line(
    trial: Trial, tunable: Tunable, end: float, xs: Floats, ys: Scale, chosen: int | None
) -> Html:
    """A line that leaves out the axes on which the trial has no value."""
    positions = np.array([*(dim.position(trial.values.get(dim.key)) for dim in tunable.space), end])
    ok = ~np.isnan(positions)
    d = path_data(xs[ok], ys(positions[ok]))
    if trial.number == chosen:
        return el("path", class_="line arm", d=d, stroke_width=2.5)
    if trial.number == 0:
        return el("path", class_="line base", d=d)
    return el("path", class_="line", d=d, style=f"stroke-width:1;opacity:{0.15 + 0.45 * end:.2f}")


def _axis(x: float, dim: Dimension | None, anchor: str, ys: Scale) -> Html:
    """A vertical axis with the values of its ends; that of the scores has none."""
    top, bottom = float(ys(1.0)), float(ys(0.0))
    high, low = ("", "") if dim is None else (axis_end(dim, -1), axis_end(dim, 0))
    return el(
        "g",
        el("line", class_="grid", x1=x, x2=x, y1=bottom, y2=top),
        el("text", high, x=x, y=top - 4, text_anchor=anchor),
        el("text", low, x=x, y=bottom + 11, text_anchor=anchor),
    )


def _axis_name(x: float, name: str) -> Html:
    y = HEIGHT - BOTTOM + 14
    short = name.removeprefix("regularization.")
    turn = f"rotate(-40 {x:.0f} {y:.0f})"
    return el("text", short, x=x, y=y, text_anchor="end", transform=turn)


def axis_end(dim: Dimension, end: int) -> str:
    """The value at an end of an axis. end: 0 or -1."""
    value = dim.axis(2)[end]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number else format_value(value)


def trials_table(
    search: Search, tunable: Tunable, arm: ArmResult, w: Translator
) -> tuple[list[str], list[list[Child]]]:
    """Columns and rows of all trials, best first."""

    def score(loss: float) -> str:
        return format_number(search.metric_of(loss)) if math.isfinite(loss) else "–"

    keys = [dim.key for dim in tunable.space]
    columns = [*map(w, ("tune_trial", "tune_state", "tune_score", "tune_final")), *keys]
    body: list[list[Child]] = []
    for trial in sorted(arm.trials, key=lambda trial: trial.rank):
        final = score(trial.final) if trial.more else "–"
        values = [format_value(trial.values.get(key)) for key in keys]
        state = w(f"tune_{trial.state}")
        body.append([trial.number, state, score(trial.loss), final, *values])
    return columns, body

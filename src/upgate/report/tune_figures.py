"""Figures of a search: the expected best of n trials, importance, and the score by each axis."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from upgate.config.schema import format_value
from upgate.page.figure import Figure
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child, Html, el
from upgate.page.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Floats,
    Line,
    Scale,
    format_number,
    integer_ticks,
    line_figure,
    padded_scale,
    y_axis,
)
from upgate.page.translations import Translator
from upgate.report.curves import FAR, STATISTICS
from upgate.report.tune_trials import axis_end, drawing_order
from upgate.tune.result import ArmResult, BlockResult, Search, Tunable
from upgate.tune.space import Dimension
from upgate.tune.trial import COMPLETE, Trial

KINDS = ("base", "arm", "truth", "persistence")  # of lines, by arm; one arm alone is "arm"
WIDTH, HEIGHT = 340.0, 220.0  # of a slice
REACH = 4  # times the distance of the middle from the best: expected losses beyond are not drawn


def _curves(search: Search, block: BlockResult) -> list[Line]:
    """A line of every arm that has scores."""
    lines = []
    for i, arm in enumerate(block.arms):
        if arm.curve.mean:
            kind = KINDS[i % len(KINDS)] if len(search.arms) > 1 else "arm"
            lines.append(_curve(search, arm, kind))
    return lines


def best_of_n(search: Search, block: BlockResult, w: Translator) -> Figure | None:
    """A line per arm with its band, in the metric's units; None before the first score."""
    lines = _curves(search, block)
    if not any(np.isfinite(line.y).any() for line in lines):
        return None
    n = max(len(line.y) for line in lines)
    drawn = lines if search.score.higher_is_better else [_without_large(x, lines) for x in lines]
    last = ", ".join(f"{line.name} {format_number(float(line.y[-1]))}" for line in lines)
    columns = ["n"]
    for line in lines:
        columns += [f"{line.name}, {w(statistic)}" for statistic in STATISTICS]
    caveat = w("tune_curve_tpe") if search.sampler == "tpe" else ""
    return Figure(
        w("tune_curve"),
        line_figure(drawn, integer_ticks(n), x_label=w("tune_trials_axis")),
        w("tune_curve_label", said=last),
        columns,
        [[i + 1, *_curve_cells(lines, i)] for i in range(n)],
        w.sentences(w("tune_curve_note"), caveat),
    )


def _curve_cells(lines: Sequence[Line], i: int) -> list[Child]:
    """The numbers of a budget; a dash where a line has ended."""
    cells: list[Child] = []
    for line in lines:
        cells += [format_number(float(y[i])) if i < len(y) else "–" for y in line.series]
    return cells


def _curve(search: Search, arm: ArmResult, kind: str) -> Line:
    """An arm's expected best in the metric's units; nan where it may have diverged."""

    def metric(losses: Sequence[float]) -> Floats:
        return np.array([search.metric_of(x) if x < math.inf else math.nan for x in losses])

    mean = metric(arm.curve.mean)
    ends = (metric(arm.curve.low), metric(arm.curve.high))  # the band is shorter than the line
    low, high = (np.append(end, np.full(len(mean) - len(end), np.nan)) for end in ends)
    trials = np.arange(1.0, len(mean) + 1)
    return Line(arm.name, kind, trials, mean, np.fmin(low, high), np.fmax(low, high))


def _without_large(line: Line, lines: Sequence[Line]) -> Line:
    """The line without losses so large that the others could not be told apart.

    A band is cut off there.
    """
    losses = np.concatenate([one.y[np.isfinite(one.y)] for one in lines])
    middle, best = float(np.median(losses)), float(losses.min())
    top = middle + REACH * max(middle - best, 0.01 * abs(middle))
    assert line.low is not None and line.high is not None
    y = np.where(np.nan_to_num(line.y, nan=np.inf) > top, np.nan, line.y)
    low = np.where(np.isnan(line.low) | (line.low > top), np.nan, line.low)
    high = np.where(np.isnan(line.high), top, np.minimum(line.high, top))
    return Line(line.name, line.kind, line.x, y, low, high)


def importance(arm: ArmResult, w: Translator) -> Figure | None:
    """A bar per axis, the largest share of the variance first."""
    order = sorted(arm.importance.items(), key=lambda item: -item[1])
    if not order:
        return None
    rows = [
        ForestRow(key, share, f"{100 * share:.0f}%", interval=(0.0, share)) for key, share in order
    ]
    return Figure(
        arm.name,
        forest_plot(rows, 0.0),
        w("tune_importance_label", said=", ".join(f"{row.label} {row.text}" for row in rows)),
        [w("key"), w("tune_share")],
        [[key, f"{share:.3f}"] for key, share in order],
        w("tune_importance_note", n=arm.count(COMPLETE)),
    )


def slices(search: Search, tunable: Tunable, arm: ArmResult, w: Translator) -> list[Figure]:
    """A small picture per axis, the most important first."""
    order = sorted(tunable.space, key=lambda dim: -arm.importance.get(dim.key, 0.0))
    figures = (_slice(search, dim, arm, w) for dim in order)
    return [figure for figure in figures if figure]


class Point(NamedTuple):
    """A trial in a slice."""

    trial: Trial
    position: float  # on the axis, 0 to 1
    score: float  # in the metric's units


def _slice(search: Search, dim: Dimension, arm: ArmResult, w: Translator) -> Figure | None:
    points = []
    for trial in arm.trials:
        position = dim.position(trial.values.get(dim.key))
        if trial.state == COMPLETE and not math.isnan(position):
            points.append(Point(trial, position, search.metric_of(trial.loss)))
    if not points:
        return None
    return Figure(
        dim.key,
        _slice_picture(search, dim, arm, points),
        w("tune_slice_label", axis=dim.key, n=len(points)),
        [w("tune_trial"), dim.key, w("tune_score")],
        [
            [p.trial.number, format_value(p.trial.values[dim.key]), format_number(p.score)]
            for p in points
        ],
    )


def _slice_picture(search: Search, dim: Dimension, arm: ArmResult, points: Sequence[Point]) -> Html:
    """Scores over positions; very large losses are left out."""
    top = math.inf
    if not search.score.higher_is_better:
        top = FAR * float(np.median([point.score for point in points]))
    drawn = [point for point in points if point.score <= top]
    drawn.sort(key=lambda point: drawing_order(point.trial, arm))
    ys = padded_scale([point.score for point in drawn], HEIGHT - BOTTOM, TOP)
    xs = Scale(0.0, 1.0, LEFT + 8, WIDTH - RIGHT - 8)
    marks = y_axis(ys, WIDTH - RIGHT, most=4)
    for end, position, anchor in ((0, 0.0, "start"), (-1, 1.0, "end")):
        x = float(xs(position))
        marks.append(el("text", axis_end(dim, end), x=x, y=HEIGHT - 8, text_anchor=anchor))
    for point in drawn:
        kind = _kind(point.trial, arm)
        x, y = float(xs(point.position)), float(ys(point.score))
        marks.append(el("circle", class_=f"dot {kind}", cx=x, cy=y, r=4 if kind else 2.8))
    return el("svg", marks, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", aria_hidden="true")


def _kind(trial: Trial, arm: ArmResult) -> str:
    if trial.number == arm.chosen:
        return "arm"
    return "base" if trial.number == 0 else ""

"""The pictures of a search: the expected best of n, shares of variance, trials across the axes, score by each axis."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from upgate.config.schema import said
from upgate.page.figure import Figure
from upgate.page.forest_plot import Row, forest_plot
from upgate.page.html import Child, Html, el
from upgate.page.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    Scale,
    format_number,
    legend,
    line_chart,
    padded_scale,
    ticks,
)
from upgate.page.translations import Translator
from upgate.report.figures import FAR
from upgate.tune.result import ArmResult, BlockResult, Search, Tunable
from upgate.tune.space import Dimension
from upgate.tune.trial import COMPLETE, Trial

KINDS = ("base", "arm", "truth", "persistence")  # of lines, by arm; one arm alone is "arm"
NARROW, SHORT = 340.0, 220.0  # of a slice
NAMES = 74.0  # room for slanting names below the axes
REACH = 4  # times the distance of the middle from the best: expected losses beyond are not drawn


def kind_of(search: Search, i: int) -> str:
    return KINDS[i % len(KINDS)] if len(search.arms) > 1 else "arm"


def best_of_n(search: Search, block: BlockResult, w: Translator) -> Figure | None:
    """A line per arm with its band, in the metric's units."""
    lines = [
        _curve(search, arm, kind_of(search, i))
        for i, arm in enumerate(block.arms)
        if arm.curve.mean
    ]
    if not any(np.isfinite(line.y).any() for line in lines):
        return None
    n = max(len(line.y) for line in lines)
    marks = [(t, f"{t:g}") for t in ticks(1, max(n, 2), 6) if t == int(t) and 1 <= t <= n]
    picture = Html(
        line_chart(
            lines if search.score.higher_is_better else [_near(line, lines) for line in lines],
            marks,
            x_label=w("tune_trials_axis"),
        )
        + legend([(one.kind, one.name) for one in lines])
    )
    body: list[list[Child]] = []
    for i in range(n):
        cells = [
            format_number(float(v[i])) if v is not None and i < len(v) else "–"
            for one in lines
            for v in (one.y, one.low, one.high)
        ]
        body.append([i + 1, *cells])
    last = ", ".join(f"{line.name} {format_number(float(line.y[-1]))}" for line in lines)
    columns = [
        "n",
        *(f"{line.name}, {w(word)}" for line in lines for word in ("mean", "lowest", "highest")),
    ]
    note = w.sentences(w("tune_curve_note"), w("tune_curve_tpe") if search.sampler == "tpe" else "")
    return Figure(w("tune_curve"), picture, w("tune_curve_label", said=last), columns, body, note)


def _curve(search: Search, arm: ArmResult, kind: str) -> Line:
    mean, low, high = (
        np.array([search.metric_of(x) if x < math.inf else math.nan for x in v])
        for v in (arm.curve.mean, arm.curve.low, arm.curve.high)
    )
    return Line(
        arm.name, kind, np.arange(1.0, len(mean) + 1), mean, np.fmin(low, high), np.fmax(low, high)
    )


def _near(line: Line, lines: Sequence[Line]) -> Line:
    """Without losses so large that the others could not be told apart; a band is cut off there."""
    every = np.concatenate([one.y[np.isfinite(one.y)] for one in lines])
    middle, low = float(np.median(every)), float(every.min())
    top = middle + REACH * max(middle - low, 0.01 * abs(middle))
    y = np.where(np.nan_to_num(line.y, nan=np.inf) > top, np.nan, line.y)
    assert line.low is not None and line.high is not None
    low_end = np.where(np.isnan(line.low) | (line.low > top), np.nan, line.low)
    return Line(
        line.name,
        line.kind,
        line.x,
        y,
        low_end,
        np.where(np.isnan(line.high), top, np.minimum(line.high, top)),
    )


def importance(arm: ArmResult, w: Translator) -> Figure | None:
    """A bar per axis, the largest share first."""
    order = sorted(arm.importance.items(), key=lambda one: -one[1])
    if not order:
        return None
    drawn = [Row(key, share, f"{100 * share:.0f}%", interval=(0.0, share)) for key, share in order]
    body: list[list[Child]] = [[key, f"{share:.3f}"] for key, share in order]
    told = ", ".join(f"{key} {100 * share:.0f}%" for key, share in order)
    note = w("tune_importance_note", n=arm.count(COMPLETE))
    return Figure(
        arm.name,
        forest_plot(drawn, 0.0),
        w("tune_importance_label", said=told),
        [w("key"), w("tune_share")],
        body,
        note,
    )


def parallel(search: Search, asked: Tunable, arm: ArmResult, w: Translator) -> Figure | None:
    """A line per trial across all axes and the score."""
    if not asked.space:
        return None
    height = place_of_scores(arm.trials)
    xs = np.linspace(LEFT, WIDTH - RIGHT, len(asked.space) + 1)
    ys = Scale(0.0, 1.0, HEIGHT - BOTTOM - 14, TOP + 14)
    drawn = [
        _trial(one, asked, height[one.number], xs, ys, arm.chosen)
        for one in sorted(arm.trials, key=lambda one: _front(one, arm))
    ]
    names = [*(dim.key for dim in asked.space), w("tune_score")]
    axes = [
        _axis(float(x), i, dim, ys)
        for i, (x, dim) in enumerate(zip(xs, [*asked.space, None], strict=True))
    ]
    titles = [_name(float(x), name) for x, name in zip(xs, names, strict=True)]
    picture = el(
        "svg", axes, drawn, titles, viewBox=f"0 0 {WIDTH:g} {HEIGHT + NAMES:g}", aria_hidden="true"
    )
    label = w("tune_parallel_label", n=len(arm.trials), arm=arm.name, axes=", ".join(names))
    columns, body = trials_table(search, asked, arm, w)
    return Figure(arm.name, picture, label, columns, body, w("tune_parallel_note"))


def place_of_scores(trials: Sequence[Trial]) -> dict[int, float]:
    """Where each trial ends on the axis of scores, 0 to 1, the best highest; by rank, for one explosion would hide all else."""
    order = sorted(trials, key=lambda one: one.rank)
    finite = [one for one in order if one.state == COMPLETE]
    places = {one.number: 1.0 - 0.9 * i / max(1, len(finite) - 1) for i, one in enumerate(finite)}
    return {one.number: places.get(one.number, 0.0) for one in trials}


def _front(trial: Trial, arm: ArmResult) -> tuple[bool, bool, bool]:
    """For drawing: the chosen one last, on top of all, before it the baseline."""
    return trial.number == arm.chosen, trial.number == 0, trial.state == COMPLETE


def _trial(
    trial: Trial, asked: Tunable, end: float, xs: Any, ys: Scale, chosen: int | None
) -> Html:
    places = [dim.place(trial.values.get(dim.key)) for dim in asked.space]
    points = [
        (float(x), float(ys(p)))
        for x, p in zip(xs, [*places, end], strict=True)
        if not math.isnan(p)
    ]
    d = "".join(f"{'ML'[i > 0]}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    if trial.number == chosen:
        return el("path", class_="line arm", d=d, stroke_width=2.5)
    if trial.number == 0:
        return el("path", class_="line base", d=d)
    return el("path", class_="line", d=d, style=f"stroke-width:1;opacity:{0.15 + 0.45 * end:.2f}")


def _axis(x: float, i: int, dim: Dimension | None, ys: Scale) -> Html:
    low, high = ("", "") if dim is None else (short(dim, 0), short(dim, -1))
    anchor = "start" if i == 0 else "end" if dim is None else "middle"
    texts = [
        el("text", high, x=x, y=float(ys(1.0)) - 4, text_anchor=anchor),
        el("text", low, x=x, y=float(ys(0.0)) + 11, text_anchor=anchor),
    ]
    return el(
        "g", el("line", class_="grid", x1=x, x2=x, y1=float(ys(0.0)), y2=float(ys(1.0))), texts
    )


def _name(x: float, name: str) -> Html:
    y = HEIGHT - BOTTOM + 14
    return el(
        "text",
        name.removeprefix("regularization."),
        x=x,
        y=y,
        text_anchor="end",
        transform=f"rotate(-40 {x:.0f} {y:.0f})",
    )


def short(dim: Dimension, end: int) -> str:
    value = dim.axis(2)[end]
    return (
        f"{value:g}"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else said(value)
    )


def slices(search: Search, asked: Tunable, arm: ArmResult, w: Translator) -> list[Figure]:
    """A small picture per axis, those that mattered first."""
    order = sorted(asked.space, key=lambda dim: -arm.importance.get(dim.key, 0.0))
    return [found for dim in order if (found := _slice(search, dim, arm, w))]


def _slice(search: Search, dim: Dimension, arm: ArmResult, w: Translator) -> Figure | None:
    there = [
        one
        for one in arm.trials
        if one.state == COMPLETE and not math.isnan(dim.place(one.values.get(dim.key)))
    ]
    if not there:
        return None
    scores = np.array([search.metric_of(one.loss) for one in there])
    seen = (
        scores[scores <= FAR * np.median(scores)] if not search.score.higher_is_better else scores
    )
    ys = padded_scale(seen, SHORT - BOTTOM, TOP)
    marks: list[Child] = []
    for tick in ticks(min(ys.low, ys.high), max(ys.low, ys.high), 4):
        y = float(ys(tick))
        marks += [
            el("line", class_="grid", x1=LEFT, x2=NARROW - RIGHT, y1=y, y2=y),
            el("text", format_number(tick), x=LEFT - 6, y=y + 4, text_anchor="end"),
        ]
    xs = Scale(0.0, 1.0, LEFT + 8, NARROW - RIGHT - 8)
    for end, place in ((0, 0.0), (-1, 1.0)):
        anchor = "end" if end else "start"
        marks.append(
            el("text", short(dim, end), x=float(xs(place)), y=SHORT - 8, text_anchor=anchor)
        )
    dots = [
        el(
            "circle",
            class_=f"dot {_kind(one, arm)}",
            cx=float(xs(dim.place(one.values[dim.key]))),
            cy=float(ys(score)),
            r=4 if _kind(one, arm) else 2.8,
        )
        for one, score in sorted(
            zip(there, scores.tolist(), strict=True), key=lambda pair: _front(pair[0], arm)
        )
        if score in seen
    ]
    body: list[list[Child]] = [
        [one.number, said(one.values[dim.key]), format_number(score)]
        for one, score in zip(there, scores.tolist(), strict=True)
    ]
    picture = el("svg", marks, dots, viewBox=f"0 0 {NARROW:g} {SHORT:g}", aria_hidden="true")
    label = w("tune_slice_label", axis=dim.key, n=len(there))
    return Figure(dim.key, picture, label, [w("tune_trial"), dim.key, w("tune_score")], body)


def _kind(trial: Trial, arm: ArmResult) -> str:
    return "arm" if trial.number == arm.chosen else "base" if trial.number == 0 else ""


def trials_table(
    search: Search, asked: Tunable, arm: ArmResult, w: Translator
) -> tuple[list[str], list[list[Child]]]:
    """Every trial, best first."""
    columns = [
        w("tune_trial"),
        w("tune_state"),
        w("tune_score"),
        w("tune_final"),
        *(dim.key for dim in asked.space),
    ]
    body: list[list[Child]] = []
    for one in sorted(arm.trials, key=lambda one: one.rank):
        found = [
            format_number(search.metric_of(loss)) if math.isfinite(loss) else "–"
            for loss in (one.loss, one.final if one.more else math.inf)
        ]
        body.append(
            [
                one.number,
                w(f"tune_{one.state}"),
                *found,
                *(said(one.values.get(dim.key)) for dim in asked.space),
            ]
        )
    return columns, body

"""Rows over one common axis: a label, a mark with its interval, a number.

Labels and numbers are HTML text beside a stretching SVG, so that they fit a phone as well as paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from upgate.page.html import Child, Html, el
from upgate.page.svg import Scale, format_number, padded_scale, ticks

REACH = 1.0  # times the range of the values: how far beyond them an interval is drawn
SHORT = 8  # characters of a label that leaves room beside it on a phone
RADIUS = 4.5  # of a mark, pixels
EDGES = (("0%", "◂", "start"), ("100%", "▸", "end"))  # where an interval is cut off


@dataclass(frozen=True)
class ForestRow:
    """One row. Values that are not finite are drawn at the edge of the plot."""

    label: Child
    value: float  # the mark
    text: str  # the number at the right
    baseline: float | None = None  # a second, hollow mark that a line links to the first
    interval: tuple[float, float] | None = None
    dots: Sequence[float] = field(default=())  # small ones below the mark, such as one per seed
    hollow: bool = False  # the mark: an undecided effect
    kind: str = "arm"  # CSS class: base, arm or reference

    @property
    def fits_a_phone(self) -> bool:
        short_label = isinstance(self.label, str) and len(self.label) <= SHORT
        return short_label and len(self.text) <= 2 * SHORT


@dataclass(frozen=True)
class Axis:
    """The common axis, linear or logarithmic, as CSS percentages."""

    scale: Scale  # of the values, or of their logs
    log: bool

    def position(self, value: float) -> str:
        if math.isinf(value):
            return self.scale.percent(value)
        if self.log and value <= 0:
            return self.scale.percent(-math.inf)
        return self.scale.percent(math.log(value) if self.log else value)

    def ticks(self, most: int) -> list[tuple[str, str]]:
        """(position, name) of each tick."""
        if self.log:
            return [(self.scale.percent(t), name) for t, name in log_ticks(self.scale, most)]
        values = ticks(self.scale.low, self.scale.high, most)
        return [(self.scale.percent(t), format_number(t)) for t in values]


def forest_plot(
    rows: Sequence[ForestRow],
    reference: float | None,
    zone: tuple[float, float] | None = None,
    ends: tuple[str, str] = ("", ""),
    log: bool = False,
) -> Html:
    """Rows over one axis.

    reference: a vertical line, at 0 or at a reference's value; zone: a shaded range;
    ends: what left and right mean; log: a logarithmic axis, for ratios.
    """
    axis = Axis(common_scale(rows, reference, zone, log), log)
    body = [
        el(
            "div",
            el("div", row.label, class_="name"),
            el("div", _picture(row, axis, reference, zone), class_="bar"),
            el("div", row.text, class_="said"),
            class_="row",
        )
        for row in rows
    ]
    short = all(row.fits_a_phone for row in rows)
    axis_row = _axis_row(axis.ticks(4 if short else 6), ends)
    return el("div", body, axis_row, class_="rows short" if short else "rows")


def common_scale(
    rows: Sequence[ForestRow], reference: float | None, zone: tuple[float, float] | None, log: bool
) -> Scale:
    """The scale of everything that is drawn; of logs for a logarithmic axis."""
    values: list[float | None] = [reference, *(zone or ())]
    bounds: list[float] = []
    for row in rows:
        values += [row.value, row.baseline, *row.dots]
        bounds += row.interval or ()
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if log:
        positive = [math.log(v) for v in finite if v > 0]
        return bounded_scale(positive, [math.log(v) for v in bounds])
    return bounded_scale(finite, bounds)


def bounded_scale(values: Sequence[float], bounds: Sequence[float]) -> Scale:
    """A scale of all values and of the intervals' bounds.

    A bound is left out where it lies so far away that the values could not be told apart.
    """
    inner = padded_scale(values, 0, 100)
    far = REACH * (inner.high - inner.low)
    clipped = np.clip(bounds, inner.low - far, inner.high + far).tolist()
    return padded_scale([*values, *filter(math.isfinite, clipped)], 0, 100)


def _picture(
    row: ForestRow, axis: Axis, reference: float | None, zone: tuple[float, float] | None
) -> Html:
    """A row's marks, in a picture that stretches with the page."""
    y = "40%" if row.dots else "50%"
    parts: list[Child] = [_zone(axis, zone), _reference(axis, reference)]
    for dot in row.dots:
        parts.append(
            el("circle", class_=f"seed {row.kind}", cx=axis.position(dot), cy="78%", r=2.2)
        )
    parts += [_interval(row, axis, y), _baseline(row, axis, y)]
    kind = f"mark {row.kind}{' hollow' if row.hollow else ''}"
    parts.append(el("circle", class_=kind, cx=axis.position(row.value), cy=y, r=RADIUS))
    return el("svg", parts, class_="stretch", aria_hidden="true")


def _zone(axis: Axis, zone: tuple[float, float] | None) -> Child:
    if zone is None:
        return None
    start, end = (axis.position(value) for value in zone)
    width = f"{float(end[:-1]) - float(start[:-1]):.2f}%"
    return el("rect", class_="zone", x=start, width=width, y=0, height="100%")


def _reference(axis: Axis, reference: float | None) -> Child:
    if reference is None:
        return None
    x = axis.position(reference)
    return el("line", class_="zero", x1=x, x2=x, y1=0, y2="100%")


def _interval(row: ForestRow, axis: Axis, y: str) -> Child:
    """The interval's line, with an arrow where it is cut off at an edge."""
    if row.interval is None:
        return None
    low, high = (axis.position(bound) for bound in row.interval)
    parts = [el("line", class_=f"line {row.kind}", x1=low, x2=high, y1=y, y2=y)]
    for bound, (x, arrow, anchor) in zip((low, high), EDGES, strict=True):
        if bound in ("0.00%", "100.00%"):
            place = {"x": x, "y": y, "dy": "0.35em", "text_anchor": anchor}
            parts.append(el("text", arrow, class_=row.kind, **place))
    return parts


def _baseline(row: ForestRow, axis: Axis, y: str) -> Child:
    if row.baseline is None:
        return None
    start, end = axis.position(row.baseline), axis.position(row.value)
    link = el("line", class_="link", x1=start, x2=end, y1=y, y2=y)
    return [link, el("circle", class_="mark base hollow", cx=start, cy=y, r=RADIUS)]


def _axis_row(ticks: Sequence[tuple[str, str]], ends: tuple[str, str]) -> Html:
    names = [el("span", name, style=f"left:{position}") for position, name in ticks]
    sides = [
        el("span", end, class_=side)
        for end, side in zip(ends, ("left", "right"), strict=True)
        if end
    ]
    axis = el(
        "div",
        el("div", names, class_="ticks"),
        el("div", sides, class_="ends") if sides else None,
        class_="bar",
    )
    return el("div", el("div", class_="name"), axis, el("div", class_="said"), class_="row axis")


def log_ticks(scale: Scale, most: int) -> list[tuple[float, str]]:
    """(log of the ratio, its name): round ratios within a decade, else powers of ten."""
    low, high = math.exp(scale.low), math.exp(scale.high)
    if high / low < 10:
        return [(math.log(t), format_number(t)) for t in ticks(low, high, most) if t > 0]
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, (last - first + most) // most)
    return [(k * math.log(10), format_number(10.0**k)) for k in range(first, last + 1, step)]

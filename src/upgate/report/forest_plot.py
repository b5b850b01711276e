"""Pictures made of rows: a name, a stretch of one common axis, a number. Text stays text, so it fits a phone as well as paper."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from upgate.report.html import Child, Html, el
from upgate.report.svg import Scale, number, spanning, ticks

REACH = 1.0  # times the range of the values: how far beyond them an interval is drawn
SHORT = 8  # characters of a name that leaves room beside it on a phone


@dataclass(frozen=True)
class Row:
    """base, arm: dots; interval: a line around the arm's; dots: small ones below. What is not finite is drawn at the edge."""

    name: Child
    arm: float
    said: str
    base: float | None = None
    interval: tuple[float, float] | None = None
    dots: Sequence[float] = field(default=())
    hollow: bool = False  # undecided
    kind: str = "arm"


def rows(
    found: Sequence[Row],
    line: float | None,
    zone: tuple[float, float] | None = None,
    ends: tuple[str, str] = ("", ""),
    log: bool = False,
) -> Html:
    """Rows over one axis. line: a vertical one, at 0 or at the reference; zone: shaded; ends: what left and right mean."""
    at = math.log if log else float
    seen = [
        v
        for row in found
        for v in (row.arm, row.base, line, *row.dots, *(zone or ()))
        if v is not None
    ]
    scale = reaching(
        [at(v) for v in seen if math.isfinite(v) and (v > 0 or not log)],
        [at(v) for r in found for v in r.interval or ()],
    )
    shade = (scale.percent(at(zone[0])), scale.percent(at(zone[1]))) if zone else None
    stand = scale.percent(at(line)) if line is not None else None

    def place(value: float) -> str:
        return scale.percent(
            value if math.isinf(value) else -math.inf if log and value <= 0 else at(value)
        )

    body = [
        el(
            "div",
            el("div", row.name, class_="name"),
            el("div", _picture(row, place, shade, stand), class_="bar"),
            _said(row),
            class_="row",
        )
        for row in found
    ]
    short = all(
        isinstance(row.name, str) and len(row.name) <= SHORT and len(row.said) <= 2 * SHORT
        for row in found
    )
    return el(
        "div",
        body,
        _axis(scale, ends, log, 4 if short else 6),
        class_="rows short" if short else "rows",
    )


def reaching(values: Sequence[float], bounds: Sequence[float]) -> Scale:
    """A scale of all values, and of the intervals' bounds unless these lie so far out that the values could not be told apart."""
    inner = spanning(values, 0, 100)
    far = REACH * (inner.high - inner.low)
    near = [
        v for v in np.clip(bounds, inner.low - far, inner.high + far).tolist() if math.isfinite(v)
    ]
    return spanning([*values, *near], 0, 100)


def _said(row: Row) -> Html:
    return el("div", row.said, class_="said")


def _picture(
    row: Row, place: Callable[[float], str], shade: tuple[str, str] | None, stand: str | None
) -> Html:
    middle = "40%" if row.dots else "50%"
    parts: list[Child] = []
    if shade:
        width = f"{float(shade[1][:-1]) - float(shade[0][:-1]):.2f}%"
        parts.append(el("rect", class_="zone", x=shade[0], width=width, y=0, height="100%"))
    if stand:
        parts.append(el("line", class_="zero", x1=stand, x2=stand, y1=0, y2="100%"))
    parts += [
        el("circle", class_=f"seed {row.kind}", cx=place(v), cy="78%", r=2.2) for v in row.dots
    ]
    if row.interval:
        parts.append(
            el(
                "line",
                class_=f"line {row.kind}",
                x1=place(row.interval[0]),
                x2=place(row.interval[1]),
                y1=middle,
                y2=middle,
            )
        )
        ends = zip(row.interval, ("0%", "100%"), ("◂", "▸"), ("start", "end"), strict=True)
        cut = [
            (x, arrow, anchor)
            for bound, x, arrow, anchor in ends
            if place(bound) in ("0.00%", "100.00%")
        ]
        parts += [
            el("text", arrow, class_=row.kind, x=x, y=middle, dy="0.35em", text_anchor=anchor)
            for x, arrow, anchor in cut
        ]
    if row.base is not None:
        parts.append(
            el("line", class_="link", x1=place(row.base), x2=place(row.arm), y1=middle, y2=middle)
        )
        parts.append(el("circle", class_="mark base hollow", cx=place(row.base), cy=middle, r=4.5))
    parts.append(
        el(
            "circle",
            class_=f"mark {row.kind}{' hollow' if row.hollow else ''}",
            cx=place(row.arm),
            cy=middle,
            r=4.5,
        )
    )
    return el("svg", parts, class_="stretch", aria_hidden="true")


def _axis(scale: Scale, ends: tuple[str, str], log: bool, most: int) -> Html:
    marks = (
        log_ticks(scale, most)
        if log
        else [(t, number(t)) for t in ticks(scale.low, scale.high, most)]
    )
    names = [el("span", name, style=f"left:{scale.percent(t)}") for t, name in marks]
    said = [
        el("span", end, class_=side)
        for end, side in zip(ends, ("left", "right"), strict=True)
        if end
    ]
    axis = el(
        "div",
        el("div", names, class_="ticks"),
        el("div", said, class_="ends") if said else None,
        class_="bar",
    )
    return el("div", el("div", class_="name"), axis, el("div", class_="said"), class_="row axis")


def log_ticks(scale: Scale, most: int) -> list[tuple[float, str]]:
    """Ratios in round numbers: as ticks of the ratio itself where they span less than a decade, else powers of ten."""
    low, high = math.exp(scale.low), math.exp(scale.high)
    if high / low < 10:
        return [(math.log(t), number(t)) for t in ticks(low, high, most) if t > 0]
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, (last - first + most) // most)
    return [(k * math.log(10), number(10.0**k)) for k in range(first, last + 1, step)]

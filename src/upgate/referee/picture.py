"""The effects as one SVG that needs no style sheet: for notebooks and files."""

import math

from upgate.page.forest_plot import bounded_scale
from upgate.page.html import Child, Html, el
from upgate.page.svg import Scale, format_number, signed, ticks
from upgate.page.translations import Translator
from upgate.referee.judgement import Findings, Judged
from upgate.referee.text import judgement_sentence
from upgate.referee.texts import TEXTS

WIDTH, ROW, TOP = 720.0, 44.0, 14.0
LEFT, RIGHT = 190.0, 560.0  # of the plot, between names and numbers
COLORS = {"helps": "#00664b", "hurts": "#c44e00", "equivalent": "#0072b2", "undecided": "#6e7781"}
FONT = "system-ui, sans-serif"
NAME = 24  # characters of a name that fit


def forest_svg(judgement: Findings) -> str:
    """A row per group; shaded: the smallest effect of interest; dots: one per pair."""
    margin, arms = judgement.smallest_effect, judgement.arms
    values = [-margin, margin, 0.0]
    bounds: list[float] = []
    for arm in arms:
        values += [arm.verdict.effect, *arm.differences.values()]
        bounds += [arm.verdict.low, arm.verdict.high]
    wide = bounded_scale([v for v in values if math.isfinite(v)], bounds)
    x = Scale(wide.low, wide.high, LEFT, RIGHT)
    bottom = TOP + ROW * len(arms)
    back = [
        el("rect", x=at(x, -margin), y=TOP, width=at(x, margin) - at(x, -margin),
           height=bottom - TOP, fill="#8a94a0", fill_opacity="0.2"),
        el("line", x1=at(x, 0), x2=at(x, 0), y1=TOP, y2=bottom, stroke="currentColor"),
    ]  # fmt: skip
    rows = [_forest_row(arm, x, TOP + ROW * (i + 0.5)) for i, arm in enumerate(arms)]
    return el(
        "svg",
        el("title", judgement_sentence(judgement, Translator("en", TEXTS))),
        back,
        rows,
        _forest_axis(x, bottom),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {bottom + 26:g}",
        width="100%",
        style=f"max-width:{WIDTH:g}px;color:inherit",
        role="img",
        font_family=FONT,
        font_size="13",
    )


def _forest_row(arm: Judged, x: Scale, y: float) -> Html:
    verdict = arm.verdict
    color = COLORS[verdict.label]
    line: dict[str, str] = {"stroke": color, "stroke_width": "2.5"}
    ends = at(x, verdict.low), at(x, verdict.high)
    fill = "none" if verdict.label == "undecided" else color
    marks: list[Child] = [
        el("circle", cx=at(x, d), cy=y + 13, r=2.4, fill=color, fill_opacity="0.6")
        for d in arm.differences.values()
    ]
    if not math.isnan(verdict.effect):
        marks.append(el("line", x1=ends[0], x2=ends[1], y1=y, y2=y, **line))
        marks.append(el("circle", cx=at(x, verdict.effect), cy=y, r=5, fill=fill, **line))
    name = arm.name if len(arm.name) <= NAME else f"{arm.name[: NAME - 1]}…"
    said = f"{verdict.label} {signed(verdict.effect)}"
    return el(
        "g",
        el("text", name, x=8, y=y + 4, fill="currentColor"),
        marks,
        el("text", said, x=RIGHT + 14, y=y + 4, fill=color),
    )


def _forest_axis(x: Scale, bottom: float) -> list[Html]:
    names = [(at(x, t), format_number(t)) for t in ticks(x.low, x.high)]
    return [
        el("line", x1=LEFT, x2=RIGHT, y1=bottom, y2=bottom, stroke="#8a94a0"),
        *(
            el("text", name, x=place, y=bottom + 17, text_anchor="middle", fill="#8a94a0")
            for place, name in names
        ),
    ]


def at(x: Scale, value: float) -> float:
    """The coordinate, at an edge where the value is beyond it."""
    inside = min(max(value, x.low), x.high)
    return float(x(inside))

"""Line charts as SVG: scales, ticks, lines and bands.

Colours are the page's CSS variables, so that pictures follow light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from upgate.page.html import Child, Html, el

WIDTH, HEIGHT = 480.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 24.0, 10.0, 30.0
POINTS = 300  # of a line: more cannot be seen at this width
DOTTED = 30  # points of a line up to which each gets a dot
SECONDS_A_DAY = 86400

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Values to coordinates, linearly."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: ArrayLike) -> Floats:
        share = (np.asarray(value, float) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def percent(self, value: float) -> str:
        """A CSS length, clipped to the scale: for pictures that stretch."""
        return f"{float(self(np.clip(value, self.low, self.high))):.2f}%"


def padded_scale(values: ArrayLike, start: float, end: float, margin: float = 0.05) -> Scale:
    """The scale of the finite values with a margin; a single value gets room on both sides."""
    x = np.asarray(values, float)
    x = x[np.isfinite(x)]
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 1.0)
    padding = margin * (high - low) or abs(high) * 0.1 or 1.0
    return Scale(low - padding, high + padding, start, end)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within the range: steps of 1, 2, 2.5 or 5 times a power of ten."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def integer_ticks(last: float) -> list[tuple[float, str]]:
    """Whole numbers from 1 to `last`, about six, with their names: epochs, trials."""
    numbers = [t for t in ticks(1, max(last, 2), 6) if t == int(t) and 1 <= t <= last]
    return [(t, f"{t:g}") for t in numbers]


def format_number(value: float, digits: int = 4) -> str:
    """Short, with a true minus sign; ∞ and – for what is not finite."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if 0 < abs(value) < 1e-3 or abs(value) >= 1e6:
        text = f"{value:.1e}"
    elif abs(value) < 1000:
        text = f"{value:,.{digits}g}"
    else:
        text = f"{value:,.0f}"
    return text.replace("-", "−")


def signed(value: float, digits: int = 4) -> str:
    """As `format_number`, with its sign above 0 too: +0.012."""
    text = format_number(value, digits)
    return f"+{text}" if value > 0 else text


def thin_indices(n: int, most: int = POINTS) -> NDArray[np.int64]:
    """At most that many indices of n, evenly spread, the first and the last among them."""
    if not n:
        return np.arange(0)
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def path_data(x: Floats, y: Floats) -> str:
    """The `d` of a line; it is interrupted where a value is missing."""
    out, pen = [], "M"
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(a) and math.isfinite(b):
            out.append(f"{pen}{a:.1f} {b:.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(out)


@dataclass(frozen=True)
class Line:
    """One line of a chart; x, y and the band around it (low, high) have one length."""

    name: str
    kind: str  # CSS class: base, arm, truth, persistence
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None

    @property
    def series(self) -> list[Floats]:
        """y, and the band where there is one."""
        return [values for values in (self.y, self.low, self.high) if values is not None]


def line_chart(
    lines: Sequence[Line],
    x_ticks: Sequence[tuple[float, str]],
    zero: bool = False,
    x_label: str = "",
) -> Html:
    """Lines over an x axis, thinned to what can be seen. zero: the y axis includes 0."""
    xs = Scale(*_x_range(lines), LEFT, WIDTH - RIGHT)
    values = [series for line in lines for series in line.series]
    ys = padded_scale(np.concatenate([*values, np.zeros(int(zero))]), HEIGHT - BOTTOM, TOP)
    marks = [*y_axis(ys, WIDTH - RIGHT, zero=zero), *_x_axis(xs, x_ticks)]
    drawn = [*(_band(line, xs, ys) for line in lines), *(_line(line, xs, ys) for line in lines)]
    label = el("text", x_label, x=LEFT - 12, y=HEIGHT - 8, text_anchor="end") if x_label else None
    return el("svg", marks, drawn, label, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", aria_hidden="true")


def line_figure(
    lines: Sequence[Line],
    x_ticks: Sequence[tuple[float, str]],
    zero: bool = False,
    x_label: str = "",
) -> Html:
    """A line chart with its legend below it."""
    names = legend([(line.kind, line.name) for line in lines])
    return Html(line_chart(lines, x_ticks, zero, x_label) + names)


def y_axis(ys: Scale, right: float, most: int = 5, zero: bool = False) -> list[Child]:
    """Grid lines from the left margin to `right`, with their numbers. zero: emphasize 0."""
    marks: list[Child] = []
    for tick in ticks(min(ys.low, ys.high), max(ys.low, ys.high), most):
        y = float(ys(tick))
        kind = "zero" if zero and tick == 0 else "grid"
        marks.append(el("line", class_=kind, x1=LEFT, x2=right, y1=y, y2=y))
        marks.append(el("text", format_number(tick), x=LEFT - 6, y=y + 4, text_anchor="end"))
    return marks


def _x_axis(xs: Scale, x_ticks: Sequence[tuple[float, str]]) -> list[Child]:
    marks: list[Child] = []
    bottom = HEIGHT - BOTTOM
    for value, name in x_ticks:
        x = float(xs(value))
        marks.append(el("line", class_="grid", x1=x, x2=x, y1=bottom, y2=bottom + 4))
        marks.append(el("text", name, x=x, y=HEIGHT - 8, text_anchor="middle"))
    return marks


def _x_range(lines: Sequence[Line]) -> tuple[float, float]:
    x = np.concatenate([line.x for line in lines])
    low, high = float(x.min()), float(x.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _line(line: Line, xs: Scale, ys: Scale) -> Html:
    keep = thin_indices(len(line.x))
    drawn = el("path", class_=f"line {line.kind}", d=path_data(xs(line.x[keep]), ys(line.y[keep])))
    if len(keep) > DOTTED:
        return drawn
    ok = np.isfinite(line.y)
    points = zip(xs(line.x[ok]).tolist(), ys(line.y[ok]).tolist(), strict=True)
    dots = [el("circle", class_=f"dot {line.kind}", cx=x, cy=y, r=2.5) for x, y in points]
    return el("g", drawn, dots)


def _band(line: Line, xs: Scale, ys: Scale) -> Child:
    if line.low is None or line.high is None:
        return None
    ok = np.isfinite(line.low) & np.isfinite(line.high)
    if not ok.any():
        return None
    keep = thin_indices(int(ok.sum()))
    x, low, high = (values[ok][keep] for values in (line.x, line.low, line.high))
    around = np.concatenate([xs(x), xs(x[::-1])]), np.concatenate([ys(high), ys(low[::-1])])
    return el("path", class_=f"band {line.kind}", d=f"{path_data(*around)}Z")


def legend(lines: Sequence[tuple[str, str]]) -> Html:
    """Names with a sample of each line: (kind, name)."""
    samples = []
    for kind, name in lines:
        line = el("line", class_=f"line {kind}", x1=0, x2=26, y1=6, y2=6)
        samples.append(el("span", el("svg", line, viewBox="0 0 26 12", class_="key"), name))
    return el("div", samples, class_="legend", aria_hidden="true")


def epoch_days(dates: pd.Series) -> Floats:
    """Days since 1970."""
    return (pd.to_datetime(dates).to_numpy("datetime64[D]").astype(np.int64)).astype(float)


def date_ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Firsts of years, quarters or months, whichever gives at most that many.

    low, high: days since 1970.
    """
    start, end = pd.Timestamp(low, unit="D"), pd.Timestamp(high, unit="D")
    every_month = pd.date_range(start.normalize().replace(day=1), end, freq="MS")
    for months in (1, 2, 3, 6, 12, 24, 60, 120):
        firsts = [
            t for t in every_month if t >= start and (t.year * 12 + t.month - 1) % months == 0
        ]
        if len(firsts) <= most:
            break
    name = "%Y" if months >= 12 else "%Y-%m"
    marks = [(t.timestamp() / SECONDS_A_DAY, t.strftime(name)) for t in firsts]
    return marks or [(low, f"{start:%Y-%m-%d}")]

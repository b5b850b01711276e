"""Drawing by hand: scales, ticks, lines and bands as SVG whose colours are the page's CSS variables, so they follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from upgate.report.html import Child, Html, el

WIDTH, HEIGHT = 480.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 24.0, 10.0, 30.0
POINTS = 300  # of a line: more cannot be seen at this width


@dataclass(frozen=True)
class Scale:
    """Values to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: ArrayLike) -> NDArray[np.float64]:
        return self.start + (np.asarray(value, float) - self.low) / (self.high - self.low) * (
            self.end - self.start
        )

    def percent(self, value: float) -> str:
        """As a CSS length, clipped to the scale: for pictures that stretch."""
        return f"{float(self(np.clip(value, self.low, self.high))):.2f}%"


def spanning(values: ArrayLike, start: float, end: float, margin: float = 0.05) -> Scale:
    """The scale of the finite values, with some air; one value alone gets room on both sides."""
    x = np.asarray(values, float)
    x = x[np.isfinite(x)]
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 1.0)
    air = margin * (high - low) or abs(high) * 0.1 or 1.0
    return Scale(low - air, high + air, start, end)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within the range: steps of 1, 2, 2.5 or 5 times a power of ten."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def number(value: float, digits: int = 4) -> str:
    """Short, with a true minus."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "–"
    small = 0 < abs(value) < 1e-3
    text = (
        f"{value:.1e}"
        if small or abs(value) >= 1e6
        else f"{value:,.{digits}g}"
        if abs(value) < 1000
        else f"{value:,.0f}"
    )
    return text.replace("-", "−")


def thin(n: int, most: int = POINTS) -> NDArray[np.int64]:
    """At most that many places of n, evenly spread, first and last among them."""
    return (
        np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
        if n
        else np.arange(0)
    )


def path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """A line's `d`; it breaks where a value is missing."""
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
    """One line of a picture; `kind` is its CSS class: base, arm, truth, reference. low, high: a band around it."""

    name: str
    kind: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def chart(
    lines: Sequence[Line],
    x_ticks: Sequence[tuple[float, str]],
    zero: bool = False,
    x_label: str = "",
) -> Html:
    """Lines over an x axis; lines are thinned to what can be seen."""
    xs = Scale(*_ends(lines), LEFT, WIDTH - RIGHT)
    values = [v for line in lines for v in (line.y, line.low, line.high) if v is not None]
    ys = spanning(np.concatenate([*values, np.zeros(int(zero))]), HEIGHT - BOTTOM, TOP)
    marks: list[Child] = []
    for tick in ticks(min(ys.low, ys.high), max(ys.low, ys.high)):
        y = float(ys(tick))
        marks += [
            el(
                "line",
                class_="zero" if zero and tick == 0 else "grid",
                x1=LEFT,
                x2=WIDTH - RIGHT,
                y1=y,
                y2=y,
            )
        ]
        marks += [el("text", number(tick), x=LEFT - 6, y=y + 4, text_anchor="end")]
    for value, name in x_ticks:
        x = float(xs(value))
        marks += [el("line", class_="grid", x1=x, x2=x, y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM + 4)]
        marks += [el("text", name, x=x, y=HEIGHT - 8, text_anchor="middle")]
    drawn = [_band(line, xs, ys) for line in lines] + [_line(line, xs, ys) for line in lines]
    label = el("text", x_label, x=LEFT - 12, y=HEIGHT - 8, text_anchor="end") if x_label else None
    return el("svg", marks, drawn, label, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", aria_hidden="true")


def _ends(lines: Sequence[Line]) -> tuple[float, float]:
    x = np.concatenate([line.x for line in lines])
    low, high = float(x.min()), float(x.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _line(line: Line, xs: Scale, ys: Scale) -> Html:
    keep = thin(len(line.x))
    drawn = el("path", class_=f"line {line.kind}", d=path(xs(line.x[keep]), ys(line.y[keep])))
    if len(keep) > 30:
        return drawn
    dots = [
        el("circle", class_=f"dot {line.kind}", cx=float(xs(x)), cy=float(ys(y)), r=2.5)
        for x, y in _finite(line.x, line.y)
    ]
    return el("g", drawn, dots)


def _finite(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[float, float]]:
    ok = np.isfinite(y)
    return list(zip(x[ok].tolist(), y[ok].tolist(), strict=True))


def _band(line: Line, xs: Scale, ys: Scale) -> Child:
    if line.low is None or line.high is None:
        return None
    ok = np.isfinite(line.low) & np.isfinite(line.high)
    x, low, high = (v[ok][thin(int(ok.sum()))] for v in (line.x, line.low, line.high))
    if not len(x):
        return None
    around = path(np.concatenate([xs(x), xs(x[::-1])]), np.concatenate([ys(high), ys(low[::-1])]))
    return el("path", class_=f"band {line.kind}", d=f"{around}Z")


def legend(lines: Sequence[tuple[str, str]]) -> Html:
    """Names with a sample of each line: (kind, name)."""
    samples = [
        el(
            "span",
            el(
                "svg",
                el("line", class_=f"line {kind}", x1=0, x2=26, y1=6, y2=6),
                viewBox="0 0 26 12",
                class_="key",
            ),
            name,
        )
        for kind, name in lines
    ]
    return el("div", samples, class_="legend", aria_hidden="true")


def days(dates: pd.Series) -> NDArray[np.float64]:
    """Days since 1970."""
    return (pd.to_datetime(dates).to_numpy("datetime64[D]").astype(np.int64)).astype(float)


def day_ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Firsts of years, quarters or months, whichever gives at most that many."""
    start, end = pd.Timestamp(low, unit="D"), pd.Timestamp(high, unit="D")
    for months in (1, 2, 3, 6, 12, 24, 60, 120):
        firsts = [
            t
            for t in pd.date_range(start.normalize().replace(day=1), end, freq="MS")
            if (t.year * 12 + t.month - 1) % months == 0
        ]
        firsts = [t for t in firsts if t >= start]
        if len(firsts) <= most:
            break
    found = [(t.timestamp() / 86400, f"{t:%Y}" if months >= 12 else f"{t:%Y-%m}") for t in firsts]
    return found or [(low, f"{start:%Y-%m-%d}")]

"""Effects, intervals and p-values as text: with a true minus sign, in percent or points."""

import math
from typing import Protocol

from upgate.page.svg import format_number
from upgate.page.translations import Translator


class EffectScale(Protocol):
    """The scale in which effects are measured, and the unit in which people read them."""

    @property
    def unit(self) -> str:
        """`%` or `points`."""
        ...

    def shown(self, effect: float) -> float:
        """The effect in percent or points."""
        ...


def format_effect(scale: EffectScale, effect: float) -> str:
    """An effect with its sign: −3.21%, or +0.40 in points."""
    value = scale.shown(effect)
    if not math.isfinite(value):
        return format_number(value)
    return f"{value:+,.2f}{'%' if scale.unit == '%' else ''}".replace("-", "−")


def effect_with_unit(scale: EffectScale, effect: float, w: Translator) -> str:
    """The same for sentences: −3.21%, +0.40 points."""
    return format_effect(scale, effect) + unit_suffix(scale, w)


def unit_suffix(scale: EffectScale, w: Translator) -> str:
    """What follows a number of points; percent signs are part of the number."""
    return "" if scale.unit == "%" else f" {w('unit_points')}"


def format_interval(scale: EffectScale, low: float, high: float) -> str:
    return f"[{format_effect(scale, low)}, {format_effect(scale, high)}]".replace("%", "")


def format_p(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"

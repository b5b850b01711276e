"""Phrases that several sections of a study's report share, and the badge of a verdict."""

from upgate.page.effects import format_effect, format_interval, unit_suffix
from upgate.page.html import Html, el
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.stats.estimate import Estimate
from upgate.study.result import ArmVerdict, Study
from upgate.study.text import metric_name
from upgate.tasks.names import get_facts

GLYPHS = {"helps": "▲", "hurts": "▼", "equivalent": "=", "undecided": "?"}


def badge(kind: str, glyph: str, text: str) -> Html:
    """A word in a frame. kind: its CSS class, which gives the colour."""
    return el("span", el("span", glyph, class_="glyph"), " ", text, class_=f"chip {kind}")


def verdict_badge(verdict: str, w: Translator) -> Html:
    """The word in a frame; nothing for an arm that is not judged."""
    if not verdict:
        return Html("")
    return badge(verdict, GLYPHS.get(verdict, ""), w(verdict))


def metric_heading(study: Study, w: Translator) -> str:
    """The metric's name as the beginning of a sentence."""
    name = w.of(metric_name(study))
    return name[:1].upper() + name[1:]


def better_direction(study: Study, w: Translator) -> str:
    return w("higher" if study.higher_is_better else "lower")


def axis_ends(study: Study, w: Translator) -> tuple[str, str]:
    """What the left and the right end of an axis of the metric mean."""
    if study.higher_is_better:
        return w("worse_left"), w("better_right")
    return w("better_left"), w("worse_right")


def confidence_level(study: Study) -> str:
    """In percent, at the level of this look."""
    return f"{100 * (1 - study.level):.3g}"


def over_phrase(study: Study, one: ArmVerdict | None, w: Translator) -> str:
    """What an interval is about."""
    if one is None or one.over == "seeds":
        return w("over_seeds")
    return w(f"over_{get_facts(study.task).test_items}")


def margin_text(study: Study, w: Translator) -> str:
    """The smallest effect of interest with its unit."""
    number = format_number(study.shown(study.margin), 3)
    return f"{number}%" if study.unit == "%" else number + unit_suffix(study, w)


def effect_text(study: Study, estimate: Estimate | ArmVerdict) -> str:
    """An effect with its interval: −3.21% [−4.00, −2.40]."""
    effect = format_effect(study, estimate.effect)
    return f"{effect} {format_interval(study, estimate.low, estimate.high)}"


def arm_name(name: str, study: Study, w: Translator) -> str:
    """An arm's name; the A/A control has one that says what it is."""
    is_control = study.aa is not None and name == study.aa.name
    return w("aa", name=study.baseline) if is_control else name

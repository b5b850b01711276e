"""The parts of the page that are tables: tests beyond seeds, what the parts did, controls, what was frozen, how to do it again."""

import math
from collections.abc import Mapping
from typing import Any

from upgate.page.effects import format_effect, format_interval, format_p
from upgate.page.figure import TEXT_ONLY, note, section
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.figures import direction, margin_of
from upgate.report.summary import chosen
from upgate.study.analyze import EXACTLY
from upgate.study.result import StudyResult
from upgate.tasks.registry import get_task
from upgate.tasks.significance import Significance

DEEP = "/"  # in a measure's name: it is one layer's or gate's


def interactions(result: StudyResult, w: Translator) -> Html:
    study, found = result.study, result.attribution.interactions if result.attribution else []
    body = [
        [
            " + ".join(" × ".join(pair) for pair in one.pairs),
            format_effect(study, effect.effect),
            format_interval(study, effect.low, effect.high),
        ]
        for one in found
        for effect in [one.effect]
    ]
    columns = [w("part"), w("effect"), w("interval")]
    return (
        el("details", el("summary", w("interactions")), table(columns, body)) if body else Html("")
    )


def second(result: StudyResult, w: Translator) -> Html:
    """Tests beyond seeds: those of the baseline and the chosen recipe, the others folded away."""
    task = get_task(result.study.task)
    w = task.translator(w)
    rows: dict[str, list[list[Child]]] = {}
    for arm, tests in result.second.items():
        rows[arm] = [_test_row(arm, test, task.test_texts, w) for test in tests]
    for arm, p in result.confidence_set.items():
        rows.setdefault(arm, []).append([f"{arm}: {w('confidence_set')}", "", "", format_p(p)])
    if not rows:
        return Html("")
    columns = [w("test"), w("effect"), w("interval"), "p"]
    shown = (result.study.baseline, chosen(result))
    first = [row for arm, found in rows.items() if arm in shown for row in found]
    rest = [row for arm, found in rows.items() if arm not in shown for row in found]
    return section(
        w("second"),
        note(w("second_note")),
        note(w(task.tests_note)) if task.tests_note else None,
        table(columns, first) if first else None,
        el("details", el("summary", w("others")), table(columns, rest)) if rest else None,
    )


def _test_row(arm: str, test: Significance, texts: Mapping[str, str], w: Translator) -> list[Child]:
    name = w(texts[test.name]) if test.name in texts else test.name
    interval = _between(test.low, test.high)
    return [f"{arm}: {name}", format_number(test.effect, 3), interval, format_p(test.p)]


def _between(low: float, high: float) -> str:
    return "–" if math.isnan(low + high) else f"[{format_number(low, 3)}, {format_number(high, 3)}]"


def engagement(result: StudyResult, w: Translator) -> Html:
    names = sorted({name for found in result.engagement.values() for name in found})
    if not names:
        return section(w("engagement"), note(w("engagement_none")))
    deep = [name for name in names if DEEP in name.removeprefix("engagement/")]
    short = [name for name in names if name not in deep]
    more = el("details", el("summary", w("layers")), _engaged(result, deep, w)) if deep else None
    return section(
        w("engagement"),
        note(w("engagement_note")),
        _engaged(result, short, w) if short else None,
        more,
    )


def _engaged(result: StudyResult, names: list[str], w: Translator) -> Html:
    """Recipes by measures, the fewer of the two as columns."""
    found = {
        arm.name: result.engagement[arm.name]
        for arm in result.study.arms
        if arm.name in result.engagement
    }
    said = {name: name.removeprefix("engagement/").replace("_", " ") for name in names}

    def cell(arm: str, name: str) -> str:
        return format_number(found[arm][name], 3) if name in found[arm] else "–"

    if len(found) > len(names):
        return table(
            [w("recipe"), *said.values()],
            [[arm, *(cell(arm, name) for name in names)] for arm in found],
        )
    return table(
        [w("measure"), *found],
        [[said[name], *(cell(arm, name) for arm in found)] for name in names],
    )


def controls(result: StudyResult, w: Translator) -> Html:
    body = [
        [
            control.name,
            w("zero_expected") if control.expected == EXACTLY else control.expected,
            w("not_run") if control.difference is None else format_number(control.difference, 3),
            "–"
            if control.holds is None
            else f"✓ {w('holds')}"
            if control.holds
            else f"✗ {w('fails')}",
        ]
        for control in result.controls
    ]
    return (
        section(
            w("controls"),
            table([w("control"), w("expected"), w("seen"), w("verdict")], body, TEXT_ONLY),
        )
        if body
        else Html("")
    )


def frozen(result: StudyResult, w: Translator) -> Html:
    study = result.study
    body: list[list[Child]] = [
        [w("data"), study.source],
        [w("hash"), el("code", study.data)],
        [w("metric"), f"{study.metric}, {direction(study, w)}"],
        [w("smallest"), margin_of(study, w)],
        [w("level"), f"{study.alpha:g}"],
        [w("seeds"), ", ".join(map(str, study.seeds))],
        [w("aa_seeds"), ", ".join(map(str, study.aa_seeds)) or "–"],
        [w("folds"), ", ".join(map(str, study.folds))],
        *([name.replace("_", " "), _knobs(value)] for name, value in study.frozen.items()),
    ]
    looks = el("p", w("looks", count=result.looks))
    return section(
        w("frozen"), looks, table([w("key"), w("value")], body, TEXT_ONLY, class_="plain")
    )


def _knobs(value: Any) -> Child:
    if not isinstance(value, Mapping):
        return el("code", str(value))
    return el("code", " ".join(f"{key}={one}" for key, one in value.items()))


def commands(result: StudyResult, w: Translator) -> Html:
    study = result.study
    arms = [*study.arms, *([study.zero] if study.zero else [])]
    shared = [word for word in arms[0].words if all(word in arm.words for arm in arms)]
    own = [
        [arm.name, el("code", " ".join(word for word in arm.words if word not in shared) or "–")]
        for arm in arms
    ]
    return section(
        w("commands"),
        el("pre", el("code", "\n".join(study.commands)), tabindex="0"),
        el("h3", w("recipes")),
        el("p", w("shared"), " ", el("code", " ".join(shared)), class_="note") if shared else None,
        table([w("recipe"), w("words")], own, TEXT_ONLY, class_="plain"),
    )

"""A study's sections that are tables: other tests, engagement, controls, settings, commands."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from upgate.experiment.designs import Arm
from upgate.page.effects import format_p
from upgate.page.figure import TEXT_ONLY, code_block, folded, note, section
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.phrases import better_direction, margin_text
from upgate.report.summary import chosen_arm
from upgate.study.analyze import EXACTLY
from upgate.study.result import Control, StudyResult
from upgate.tasks.names import get_facts
from upgate.tasks.significance import Significance

ENGAGEMENT = "engagement/"
DEEP = "/"  # in a measure's name: it is one layer's or gate's
NONE = "–"


def significance(result: StudyResult, w: Translator) -> Html:
    """Tests on other dates or items: of the baseline and the chosen arm; other arms folded."""
    task = get_facts(result.study.task)
    w = task.translator(w)
    rows: dict[str, list[list[Child]]] = {}
    for arm, tests in result.significance.items():
        rows[arm] = [_test_cells(arm, test, task.test_texts, w) for test in tests]
    for arm, p in result.confidence_set.items():
        name = f"{arm}: {w('confidence_set')}"
        rows.setdefault(arm, []).append([name, "", "", format_p(p)])
    if not rows:
        return Html("")
    columns = [w("test"), w("effect"), w("interval"), "p"]
    shown: list[list[Child]] = []
    others: list[list[Child]] = []
    for arm, cells in rows.items():
        first = arm in (result.study.baseline, chosen_arm(result))
        (shown if first else others).extend(cells)
    return section(
        w("second"),
        note(w("second_note")),
        note(w(task.tests_note)) if task.tests_note else None,
        table(columns, shown) if shown else None,
        folded(w("others"), table(columns, others)) if others else None,
    )


def _test_cells(
    arm: str, test: Significance, texts: Mapping[str, str], w: Translator
) -> list[Child]:
    """texts: name of a test -> key of its text, where it has one."""
    name = w(texts[test.name]) if test.name in texts else test.name
    interval = f"[{format_number(test.low, 3)}, {format_number(test.high, 3)}]"
    if math.isnan(test.low + test.high):
        interval = NONE
    return [f"{arm}: {name}", format_number(test.effect, 3), interval, format_p(test.p)]


def engagement(result: StudyResult, w: Translator) -> Html:
    """What the parts did, means over an arm's runs; measures of single layers are folded."""
    measures = sorted(set().union(*result.engagement.values()))
    if not measures:
        return section(w("engagement"), note(w("engagement_none")))
    deep = [name for name in measures if DEEP in name.removeprefix(ENGAGEMENT)]
    overall = [name for name in measures if name not in deep]
    return section(
        w("engagement"),
        note(w("engagement_note")),
        _engagement_table(result, overall, w) if overall else None,
        folded(w("layers"), _engagement_table(result, deep, w)) if deep else None,
    )


def _engagement_table(result: StudyResult, measures: Sequence[str], w: Translator) -> Html:
    """Recipes by measures, the fewer of the two as columns."""
    names = [arm.name for arm in result.study.arms if arm.name in result.engagement]
    titles = [name.removeprefix(ENGAGEMENT).replace("_", " ") for name in measures]

    def cell(arm: str, measure: str) -> str:
        value = result.engagement[arm].get(measure)
        return NONE if value is None else format_number(value, 3)

    if len(names) > len(measures):
        by_arm = [[arm, *(cell(arm, measure) for measure in measures)] for arm in names]
        return table([w("recipe"), *titles], by_arm)
    by_measure = [
        [title, *(cell(arm, measure) for arm in names)]
        for title, measure in zip(titles, measures, strict=True)
    ]
    return table([w("measure"), *names], by_measure)


def controls(result: StudyResult, w: Translator) -> Html:
    if not result.controls:
        return Html("")
    columns = [w("control"), w("expected"), w("seen"), w("verdict")]
    body = [_control_cells(control, w) for control in result.controls]
    return section(w("controls"), table(columns, body, TEXT_ONLY))


def _control_cells(control: Control, w: Translator) -> list[Child]:
    difference = control.difference
    verdicts = {None: NONE, True: f"✓ {w('holds')}", False: f"✗ {w('fails')}"}
    return [
        control.name,
        w("zero_expected") if control.expected == EXACTLY else control.expected,
        w("not_run") if difference is None else format_number(difference, 3),
        verdicts[control.holds],
    ]


def frozen(result: StudyResult, w: Translator) -> Html:
    """What was fixed before the first run, and how often the test part was evaluated."""
    study = result.study
    level = f"{study.alpha:g}"
    notes = [el("p", w("looks", count=result.looks))]
    if study.undeclared:
        looked = ", ".join(map(str, study.undeclared))
        level += f" ({study.level:.4f})"
        notes.append(el("p", w("looks_undeclared", seeds=looked, level=f"{study.level:.4f}")))
    elif study.looks:
        plan = ", ".join(map(str, study.looks))
        level += f" ({plan} {w('seeds')}: {study.level:.4f})"
    body: list[list[Child]] = [
        [w("data"), study.source],
        [w("hash"), el("code", study.data)],
        [w("metric"), f"{study.metric}, {better_direction(study, w)}"],
        [w("smallest"), margin_text(study, w)],
        [w("level"), level],
        [w("seeds"), ", ".join(map(str, study.seeds))],
        [w("aa_seeds"), ", ".join(map(str, study.aa_seeds)) or NONE],
        [w("folds"), ", ".join(map(str, study.folds))],
    ]
    for name, value in study.frozen.items():
        body.append([name.replace("_", " "), el("code", _settings(value))])
    settings = table([w("key"), w("value")], body, TEXT_ONLY, class_="plain")
    return section(w("frozen"), *notes, settings)


def _settings(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return " ".join(f"{key}={setting}" for key, setting in value.items())


def commands(result: StudyResult, w: Translator) -> Html:
    """The commands that repeat the study, and the overrides of each recipe."""
    study = result.study
    arms = [*study.arms, *([study.zero] if study.zero else [])]
    shared = [word for word in arms[0].overrides if all(word in arm.overrides for arm in arms)]
    common = [w("shared"), " ", el("code", " ".join(shared))]
    body = [_recipe_cells(arm, shared) for arm in arms]
    return section(
        w("commands"),
        code_block(*study.commands),
        el("h3", w("recipes")),
        el("p", common, class_="note") if shared else None,
        table([w("recipe"), w("overrides")], body, TEXT_ONLY, class_="plain"),
    )


def _recipe_cells(arm: Arm, shared: Sequence[str]) -> list[Child]:
    overrides = " ".join(word for word in arm.overrides if word not in shared)
    return [arm.name, el("code", overrides or NONE)]

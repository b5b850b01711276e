"""Figures of a study's effects, of its seeds, and of its scores beside the baselines."""

import math
from collections.abc import Mapping

from upgate.page.effects import format_effect, format_interval, format_p
from upgate.page.figure import Figure
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.phrases import (
    arm_name,
    axis_ends,
    better_direction,
    confidence_level,
    effect_text,
    margin_text,
    metric_heading,
    over_phrase,
    verdict_badge,
)
from upgate.study.result import ArmVerdict, StudyResult
from upgate.study.text import main_verdict, metric_name

NONE = "–"


def effects(result: StudyResult, w: Translator) -> Figure:
    """The forest plot of all arms, the A/A control first."""
    study = result.study
    verdicts = [*([result.aa] if result.aa else []), *result.verdicts]
    margin = study.shown(study.margin)
    rows = [_effect_row(verdict, result, w) for verdict in verdicts]
    texts = [f"{arm_name(v.arm, study, w)}: {effect_text(study, v)}" for v in verdicts]
    keys = ("recipe", "verdict", "effect", "interval")
    columns = [*map(w, keys), "p", "p (Holm)", "p (exact)"]
    columns += map(w, ("seeds", "diverged", "score"))
    return Figure(
        w("effects"),
        forest_plot(rows, 0.0, (-margin, margin), axis_ends(study, w)),
        w("effects_label", said="; ".join(texts)),
        columns,
        [_effect_cells(verdict, result, w) for verdict in verdicts],
        _effects_note(result, w),
    )


def _effects_note(result: StudyResult, w: Translator) -> str:
    study = result.study
    text = w(
        "effects_note",
        metric=metric_heading(study, w),
        direction=better_direction(study, w),
        baseline=study.baseline,
        unit=w("unit_percent" if study.unit == "%" else "unit_points"),
        level=confidence_level(study),
        over=over_phrase(study, main_verdict(result), w),
        margin=margin_text(study, w),
    )
    return w.sentences(text, w("aa_note") if result.aa else "")


def _effect_row(verdict: ArmVerdict, result: StudyResult, w: Translator) -> ForestRow:
    study = result.study
    is_control = verdict is result.aa
    differences = result.differences.get(verdict.arm, {})
    badge = None if is_control else verdict_badge(verdict.verdict, w)
    return ForestRow(
        label=[arm_name(verdict.arm, result.study, w), " ", badge],
        value=study.shown(verdict.effect),
        text=effect_text(study, verdict),
        interval=(study.shown(verdict.low), study.shown(verdict.high)),
        dots=[study.shown(difference) for difference in differences.values()],
        hollow=verdict.verdict in ("undecided", ""),
        kind="reference" if is_control else "arm",
    )


def _effect_cells(verdict: ArmVerdict, result: StudyResult, w: Translator) -> list[Child]:
    study = result.study
    return [
        arm_name(verdict.arm, result.study, w),
        w(verdict.verdict) if verdict.verdict else NONE,
        format_effect(study, verdict.effect),
        format_interval(study, verdict.low, verdict.high),
        format_p(verdict.p),
        format_p(verdict.p_holm),
        format_p(verdict.p_exact),
        verdict.n,
        verdict.diverged,
        format_number(verdict.score),
    ]


def pairs(result: StudyResult, arm: str, w: Translator) -> Figure:
    """A row per seed: the baseline's score and the arm's."""
    study = result.study
    candidate, base = result.scores.get(arm, {}), result.scores.get(study.baseline, {})
    differences = result.differences.get(arm, {})
    rows: list[ForestRow] = []
    body: list[list[Child]] = []
    wins = 0
    for seed in (seed for seed in base if seed in candidate):
        first, second = base[seed], candidate[seed]
        wins += first != second and (second > first) == study.higher_is_better
        text = f"{_score(first, w)} → {_score(second, w)}"
        rows.append(ForestRow(f"{w('seed')} {seed}", second, text, first))
        difference = format_effect(study, differences.get(seed, math.nan))
        body.append([seed, format_number(first), format_number(second), difference])
    note = w(
        "pairs_note",
        arm=arm,
        baseline=study.baseline,
        metric=metric_heading(study, w),
        direction=better_direction(study, w),
    )
    return Figure(
        w("pairs", arm=arm),
        forest_plot(rows, None, None, axis_ends(study, w)),
        w("pairs_label", arm=arm, baseline=study.baseline, wins=wins, n=len(rows)),
        [w("seed"), study.baseline, arm, w("difference")],
        body,
        note,
    )


def _score(value: float, w: Translator) -> str:
    if math.isinf(value):
        return w("diverged")
    return f"{value:.4f}" if abs(value) < 100 else format_number(value)


def scores(result: StudyResult, w: Translator) -> Figure:
    """Every recipe's score and those of the forecasts that need no training.

    In the study's own order, the references last: nothing is ranked by its test score.
    """
    study, references = result.study, result.references
    rows = [*_recipe_rows(result, w), *_reference_rows(references, w)]
    texts = [f"{row.label} {format_number(row.value)}" for row in rows]
    reference = references.get("persistence", references.get("linear"))
    log = study.scale == "log"
    direction = better_direction(study, w)
    return Figure(
        w("scores"),
        forest_plot(rows, reference, None, axis_ends(study, w), log=log),
        w("scores_label", said=", ".join(texts)),
        [w("recipe"), w.of(metric_name(study))],
        [[row.label, format_number(row.value, 5)] for row in rows],
        w("scores_note", metric=metric_heading(study, w), direction=direction),
    )


def _recipe_rows(result: StudyResult, w: Translator) -> list[ForestRow]:
    values = {verdict.arm: verdict.score for verdict in result.verdicts}
    values = {result.study.baseline: result.baseline_score} | values
    kinds = {result.study.baseline: "base"}
    return [
        ForestRow(name, value, _score(value, w), kind=kinds.get(name, "arm"))
        for name, value in values.items()
        if not math.isnan(value)
    ]


def _reference_rows(references: Mapping[str, float], w: Translator) -> list[ForestRow]:
    return [
        ForestRow(w("reference", name=name), value, _score(value, w), kind="reference", hollow=True)
        for name, value in references.items()
    ]

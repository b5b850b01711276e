"""The report of a study over several data sets: the answer over all, then each data set's."""

import math

from upgate.page.document import document
from upgate.page.effects import effect_with_unit, format_effect, format_interval, format_p
from upgate.page.figure import Figure, code_block, figure_section, section
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child, Html, el
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.over_ranks import profiles, ranks
from upgate.report.phrases import (
    axis_ends,
    better_direction,
    confidence_level,
    effect_text,
    margin_text,
    metric_heading,
    verdict_badge,
)
from upgate.report.summary import LONG, task_and_target
from upgate.report.texts import report_translator
from upgate.study.over_result import DataSet, NewDataSet, OverResult
from upgate.study.result import ArmVerdict
from upgate.study.text import metric_name

NONE = "–"


def over_page(result: OverResult, language: str = "en") -> str:
    """The whole page."""
    w = report_translator(language)
    title = w("over_title", id=result.experiment.id)
    sections = [
        over_summary(result, w, title),
        figure_section(over_figure(result, w), w),
        figure_section(others_figure(result, w), w),
        figure_section(ranks(result, w), w),
        profiles(result, w),
        studies(result, w),
        section(w("commands"), code_block(*result.experiment.commands)),
    ]
    return document(title, sections, w)


def over_summary(result: OverResult, w: Translator, title: str) -> Html:
    """The answer in one sentence, and what limits it."""
    question, one = result.question, result.together
    sizes = {"sets": len(result.sets), "arms": len(question.arms), "seeds": len(question.seeds)}
    subtitle = w("over_subtitle", task=task_and_target(question), design=question.design, **sizes)
    text = over_sentence(result, w)
    size = "sentence long" if len(text) > LONG else "sentence"
    badge = [verdict_badge(one.verdict, w), " "] if one else None
    return el(
        "header",
        el("h1", title),
        el("p", subtitle, class_="under"),
        el("p", badge, text, class_=size),
        [el("p", warning, class_="warning") for warning in over_warnings(result, w)],
    )


def over_warnings(result: OverResult, w: Translator) -> list[str]:
    texts = []
    if missing := sum(one.missing for one in result.sets):
        texts.append(w("unfinished", count=missing))
    if result.together is not None and result.together.diverged:
        texts.append(w("over_diverged"))
    return texts


def over_sentence(result: OverResult, w: Translator) -> str:
    """The result's own sentence, which is English; in other languages one of the same content."""
    question, one, new = result.question, result.together, result.new
    if w.language == "en" and result.sentence:
        return result.sentence
    if one is None or math.isnan(one.effect):
        return w("over_nothing")
    clauses = [
        w(
            "over_said",
            arm=one.arm,
            verdict=w(one.verdict),
            baseline=question.baseline,
            metric=w.of(metric_name(question)),
            effect=effect_with_unit(question, one.effect, w),
            low=format_effect(question, one.low),
            high=format_effect(question, one.high),
            level=confidence_level(question),
            n=one.n,
        )
    ]
    if result.more_sets is not None:
        clauses.append(w("over_more", more=result.more_sets))
    if new is not None and not math.isnan(new.better):
        clauses.append(w("over_new_said", **outlook_shares(new)))
    return w("then").join(clauses) + w("stop")


def outlook_shares(new: NewDataSet) -> dict[str, str]:
    """The probabilities in percent."""
    named = (("better", new.better), ("same", new.equivalent), ("worse", new.worse))
    return {key: f"{100 * share:.0f}" for key, share in named}


def over_figure(result: OverResult, w: Translator) -> Figure | None:
    """A row per data set; then all together and, as an interval, a new data set."""
    question = result.question
    known = [(one, one.verdict) for one in result.sets if one.verdict is not None]
    if not known:
        return None
    rows = [effect_row(one.name, verdict, result, w) for one, verdict in known]
    body = [data_set_cells(one, result, w) for one in result.sets]
    texts = [f"{one.name}: {effect_text(question, verdict)}" for one, verdict in known]
    if result.together is not None and not math.isnan(result.together.effect):
        together = result.together
        rows.append(effect_row(w("over_together"), together, result, w, "base"))
        body.append(effect_cells(w("over_together"), together, result, w))
        texts.append(f"{w('over_together')}: {effect_text(question, together)}")
    if result.new is not None and result.together is not None and not math.isnan(result.new.better):
        rows.append(new_row(result.new, result.together, result, w))
        body.append(new_cells(result.new, result, w))
    margin = question.shown(question.margin)
    keys = ("dataset", "verdict", "effect", "interval")
    return Figure(
        w("over_figure"),
        forest_plot(rows, 0.0, (-margin, margin), axis_ends(question, w)),
        w("over_label", said="; ".join(texts)),
        [*map(w, keys), "p", w("seeds"), question.baseline, question.primary_arm],
        body,
        over_note(result, w),
    )


def others_figure(result: OverResult, w: Translator) -> Figure | None:
    """The recipes that are not primary, over all data sets; None where there are none."""
    question = result.question
    known = [one for one in result.others if not math.isnan(one.effect)]
    if not known:
        return None
    rows = [effect_row(one.arm, one, result, w) for one in known]
    texts = [f"{one.arm}: {effect_text(question, one)}" for one in known]
    margin = question.shown(question.margin)
    return Figure(
        w("over_others"),
        forest_plot(rows, 0.0, (-margin, margin), axis_ends(question, w)),
        w("over_label", said="; ".join(texts)),
        [*map(w, ("recipe", "verdict", "effect", "interval")), "p", w("dataset")],
        [effect_cells(one.arm, one, result, w)[:-2] for one in known],
        w("over_others_note", baseline=question.baseline),
    )


def over_note(result: OverResult, w: Translator) -> str:
    question = result.question
    text = w(
        "over_note",
        metric=metric_heading(question, w),
        direction=better_direction(question, w),
        arm=question.primary_arm,
        baseline=question.baseline,
        level=confidence_level(question),
        margin=margin_text(question, w),
        spread=f"{question.shown(result.spread):.2f}" if math.isfinite(result.spread) else NONE,
        unit=w("unit_percent" if question.unit == "%" else "unit_points"),
    )
    if math.isnan(result.correlation):
        return w.sentences(text, w("over_independent"))
    return w.sentences(text, w("over_shared", correlation=f"{result.correlation:.2f}"))


def effect_row(
    name: str, one: ArmVerdict, result: OverResult, w: Translator, kind: str = "arm"
) -> ForestRow:
    question = result.question
    return ForestRow(
        label=[name, " ", verdict_badge(one.verdict, w)],
        value=question.shown(one.effect),
        text=effect_text(question, one),
        interval=(question.shown(one.low), question.shown(one.high)),
        hollow=one.verdict in ("undecided", ""),
        kind=kind,
    )


def new_row(new: NewDataSet, together: ArmVerdict, result: OverResult, w: Translator) -> ForestRow:
    """The prediction interval about the effect over all data sets."""
    question = result.question
    return ForestRow(
        label=w("over_new"),
        value=question.shown(together.effect),
        text=format_interval(question, new.low, new.high),
        interval=(question.shown(new.low), question.shown(new.high)),
        hollow=True,
        kind="reference",
    )


def data_set_cells(one: DataSet, result: OverResult, w: Translator) -> list[Child]:
    if one.verdict is None:
        return [one.name, *[NONE] * 5, format_number(one.baseline_score), NONE]
    cells = effect_cells(one.name, one.verdict, result, w)
    return [*cells[:-2], format_number(one.baseline_score), format_number(one.verdict.score)]


def effect_cells(name: str, one: ArmVerdict, result: OverResult, w: Translator) -> list[Child]:
    question = result.question
    effect = format_effect(question, one.effect)
    interval = format_interval(question, one.low, one.high)
    verdict = w(one.verdict) if one.verdict else NONE
    return [name, verdict, effect, interval, format_p(one.p), one.n, NONE, NONE]


def new_cells(new: NewDataSet, result: OverResult, w: Translator) -> list[Child]:
    interval = format_interval(result.question, new.low, new.high)
    return [w("over_new"), w("over_shares", **outlook_shares(new)), NONE, interval, *[NONE] * 4]


def studies(result: OverResult, w: Translator) -> Html:
    """Where each data set's own report comes from."""
    lines = []
    for one in result.sets:
        command = el("code", report_of(one, result))
        lines.append(el("p", el("b", one.name), " ", one.source, el("br"), command))
    return section(w("over_studies"), lines)


def report_of(one: DataSet, result: OverResult) -> str:
    """The command that reports a data set's study."""
    own = result.experiment.commands[-1]
    return own.replace(f"study={result.experiment.id}", f"study={one.study}")

"""The page: a study's result and its runs' tables in, one HTML text out. No network, no script, nothing that is not on the page."""

from upgate.page.document import document
from upgate.page.effects import format_effect
from upgate.page.figure import Comparison, Tables, figure_section, gallery
from upgate.page.html import Html, el, table
from upgate.page.translations import Translator
from upgate.report import figures
from upgate.report.cost import cost
from upgate.report.sections import (
    commands,
    controls,
    engagement,
    frozen,
    interactions,
    second,
)
from upgate.report.summary import chosen, head
from upgate.report.texts import report_translator
from upgate.study.result import StudyResult
from upgate.tasks.registry import get_task

MANY = 8  # recipes beyond which only the chosen one's curves are drawn


def page(result: StudyResult, tables: Tables, language: str = "en") -> str:
    """The whole page. `tables` is asked for curve, forecasts, tickers and predictions of the arms that are drawn."""
    w = report_translator(language)
    return document(
        w("title", id=result.study.id),
        body(result, tables, w, el("h1", w("title", id=result.study.id))),
        w,
    )


def body(result: StudyResult, tables: Tables, w: Translator, title: Html) -> list[Html]:
    """A study's part of a page, below its title."""
    return [
        head(result, w, title),
        figure_section(figures.effects(result, w), w),
        seeds(result, w),
        figure_section(figures.scores(result, w), w),
        figure_section(figures.shares(result, w), w, interactions(result, w)),
        curves(result, tables, w),
        *task_sections(result, tables, w),
        second(result, w),
        engagement(result, w),
        cost(result, w),
        controls(result, w),
        frozen(result, w),
        commands(result, w),
    ]


def seeds(result: StudyResult, w: Translator) -> Html:
    arm, study = chosen(result), result.study
    if arm is None:
        return Html("")
    found = result.folds if len(study.folds) > 1 else {}
    body = [
        [
            name,
            *(format_effect(study, gaps[f]) if f in gaps else "–" for f in map(str, study.folds)),
        ]
        for name, gaps in found.items()
    ]
    by_fold = table([w("recipe"), *(f"{w('fold')} {f}" for f in study.folds)], body)
    more = el("details", el("summary", w("by_fold")), by_fold) if body else Html("")
    return figure_section(figures.pairs(result, arm, w), w, more)


def curves(result: StudyResult, tables: Tables, w: Translator) -> Html:
    baseline, arm = result.study.baseline, chosen(result)
    names = [one.arm for one in result.verdicts if len(result.verdicts) <= MANY or one.arm == arm]
    theirs = tables.runs(baseline, "curve")
    drawn = [
        figures.curves(baseline, theirs, name, tables.runs(name, "curve"), w) for name in names
    ]
    return gallery(w("curves"), w("curves_note"), drawn, w)


def task_sections(result: StudyResult, tables: Tables, w: Translator) -> list[Html]:
    """What the task shows of the baseline and the chosen recipe."""
    arm = chosen(result)
    if arm is None:
        return []
    comparison = Comparison(
        baseline=result.study.baseline,
        arm=arm,
        tables=tables,
        dates=result.dates,
        losses=result.losses,
        ratios=result.tickers.get(arm, {}),
        ratio=result.ticker_interval.get(arm),
    )
    return get_task(result.study.task).report_sections(comparison, w)

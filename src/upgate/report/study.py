"""The report of a study: its result and its runs' tables in, one HTML text out."""

from upgate.page.document import document
from upgate.page.effects import format_effect
from upgate.page.figure import Comparison, Tables, figure_section, folded, gallery
from upgate.page.html import Child, Html, el, table
from upgate.page.translations import Translator
from upgate.report import figures
from upgate.report.attribution import interactions, shares
from upgate.report.cost import cost
from upgate.report.curves import curves
from upgate.report.rates import rates_section
from upgate.report.reliability import reliability_figure
from upgate.report.sections import commands, controls, engagement, frozen, significance
from upgate.report.summary import chosen_arm, summary
from upgate.report.texts import report_translator
from upgate.study.result import StudyResult
from upgate.tasks.names import get_facts

MAX_CURVES = 8  # recipes beyond which only the chosen one's curves are drawn


def study_page(result: StudyResult, tables: Tables, language: str = "en") -> str:
    """The whole page.

    `tables` gives the curves of the arms, and what the task's sections read of the chosen one.
    """
    w = report_translator(language)
    title = w("title", id=result.study.id)
    return document(title, study_sections(result, tables, w, el("h1", title)), w)


def study_sections(result: StudyResult, tables: Tables, w: Translator, title: Html) -> list[Html]:
    """A study's part of a page, with its title."""
    return [
        summary(result, w, title),
        figure_section(figures.effects(result, w), w),
        seeds(result, w),
        figure_section(reliability_figure(result, w), w),
        figure_section(figures.scores(result, w), w),
        figure_section(shares(result, w), w, interactions(result, w)),
        learning_curves(result, tables, w),
        *task_sections(result, tables, w),
        significance(result, w),
        engagement(result, w),
        cost(result, w),
        controls(result, w),
        rates_section(result, w),
        frozen(result, w),
        commands(result, w),
    ]


def seeds(result: StudyResult, w: Translator) -> Html:
    """The chosen arm seed by seed, and the mean differences of all arms by fold."""
    arm = chosen_arm(result)
    if arm is None:
        return Html("")
    return figure_section(figures.pairs(result, arm, w), w, by_fold(result, w))


def by_fold(result: StudyResult, w: Translator) -> Html:
    """A folded table of arms by folds; nothing where there is one fold."""
    study = result.study
    if len(study.folds) < 2 or not result.folds:
        return Html("")
    body: list[list[Child]] = []
    for name, differences in result.folds.items():
        effects = [differences.get(str(fold)) for fold in study.folds]
        body.append([name, *("–" if e is None else format_effect(study, e) for e in effects)])
    columns = [w("recipe"), *(f"{w('fold')} {fold}" for fold in study.folds)]
    return folded(w("by_fold"), table(columns, body))


def learning_curves(result: StudyResult, tables: Tables, w: Translator) -> Html:
    baseline, arm = result.study.baseline, chosen_arm(result)
    names = [verdict.arm for verdict in result.verdicts]
    if len(names) > MAX_CURVES:
        names = [name for name in names if name == arm]
    base_runs = tables.runs(baseline, "curve")
    drawn = [curves(baseline, base_runs, name, tables.runs(name, "curve"), w) for name in names]
    return gallery(w("curves"), w("curves_note"), drawn, w)


def task_sections(result: StudyResult, tables: Tables, w: Translator) -> list[Html]:
    """What the task shows of the baseline and the chosen recipe."""
    arm = chosen_arm(result)
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
    return get_facts(result.study.task).report_sections(comparison, w)

"""The page: a study's result and its runs' tables in, one HTML text out. No network, no script, nothing that is not on the page."""

from importlib.resources import files
from typing import Protocol

from upgate.report import figures, stock, text
from upgate.report.cost import cost
from upgate.report.figures import Figure, Runs, change, shown
from upgate.report.html import Html, el, join, table
from upgate.report.sections import (
    commands,
    controls,
    engagement,
    frozen,
    interactions,
    second,
    section,
)
from upgate.report.summary import chosen, head
from upgate.report.translations import Words
from upgate.study.result import StudyResult

MANY = 8  # recipes beyond which only the chosen one's curves are drawn


class Tables(Protocol):
    """Where the runs' tables come from; of one fold where a fold is given."""

    def runs(self, arm: str, name: str, fold: int | None = None) -> Runs: ...


def page(result: StudyResult, tables: Tables, language: str = "en") -> str:
    """The whole page. `tables` is asked for curve, forecasts, tickers and predictions of the arms that are drawn."""
    w = Words(language)
    return document(
        w("title", id=result.study.id),
        body(result, tables, w, el("h1", w("title", id=result.study.id))),
        w,
    )


def body(result: StudyResult, tables: Tables, w: Words, title: Html) -> list[Html]:
    """A study's part of a page, below its title."""
    return [
        head(result, w, title),
        pictured(figures.effects(result, w), w),
        seeds(result, w),
        pictured(figures.scores(result, w), w),
        pictured(figures.shares(result, w), w, interactions(result, w)),
        curves(result, tables, w),
        *(
            prices(result, tables, w)
            if result.study.task == "stock"
            else reviews(result, tables, w)
        ),
        second(result, w),
        engagement(result, w),
        cost(result, w),
        controls(result, w),
        frozen(result, w),
        commands(result, w),
    ]


def document(title: str, sections: list[Html], w: Words) -> str:
    style = files("upgate.report").joinpath("page.css").read_text(encoding="utf-8")
    meta = [
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", href="data:,"),  # or the browser asks for one
    ]
    content = [
        el("head", meta, el("title", title), el("style", Html(style))),
        el("body", el("main", sections)),
    ]
    return "\n".join(["<!doctype html>", el("html", content, lang=w.html_language), ""])


def pictured(figure: Figure | None, w: Words, *more: Html) -> Html:
    """A picture with a section of its own."""
    return section(figure.title, shown(figure, w), more) if figure else Html("")


def gallery(title: str, note: str, drawn: list[Figure | None], w: Words) -> Html:
    """Pictures of one kind side by side, each under its own name."""
    there = [el("div", el("h3", figure.title), shown(figure, w)) for figure in drawn if figure]
    return (
        section(title, el("p", note, class_="note"), el("div", there, class_="columns"))
        if there
        else Html("")
    )


def seeds(result: StudyResult, w: Words) -> Html:
    arm, study = chosen(result), result.study
    if arm is None:
        return Html("")
    found = result.folds if len(study.folds) > 1 else {}
    body = [
        [name, *(change(study, gaps[f]) if f in gaps else "–" for f in map(str, study.folds))]
        for name, gaps in found.items()
    ]
    by_fold = table([w("recipe"), *(f"{w('fold')} {f}" for f in study.folds)], body)
    more = el("details", el("summary", w("by_fold")), by_fold) if body else Html("")
    return pictured(figures.pairs(result, arm, w), w, more)


def curves(result: StudyResult, tables: Tables, w: Words) -> Html:
    baseline, arm = result.study.baseline, chosen(result)
    names = [one.arm for one in result.verdicts if len(result.verdicts) <= MANY or one.arm == arm]
    theirs = tables.runs(baseline, "curve")
    drawn = [
        figures.curves(baseline, theirs, name, tables.runs(name, "curve"), w) for name in names
    ]
    return gallery(w("curves"), w("curves_note"), drawn, w)


def prices(result: StudyResult, tables: Tables, w: Words) -> list[Html]:
    arm, baseline = chosen(result), result.study.baseline
    if arm is None:
        return []
    theirs, ours = (tables.runs(name, "tickers") for name in (baseline, arm))
    last = max(
        {fold for _, fold in theirs} & {fold for _, fold in ours}, default=None
    )  # a fold's forecasts may be 100 MB
    days = [
        tables.runs(name, "forecasts", last) if last is not None else {} for name in (baseline, arm)
    ]
    return [
        pictured(stock.forecast(baseline, days[0], arm, days[1], w), w),
        pictured(stock.lead(result, arm, w), w),
        pictured(stock.tickers(result, theirs, arm, ours, w), w),
    ]


def reviews(result: StudyResult, tables: Tables, w: Words) -> list[Html]:
    arm, baseline = chosen(result), result.study.baseline
    if arm is None:
        return []
    theirs, ours = (tables.runs(name, "predictions") for name in (baseline, arm))
    matrices = [text.confusion(name, runs, w) for name, runs in ((baseline, theirs), (arm, ours))]
    disagree = section(w("disagree"), text.disagreements(baseline, theirs, arm, ours, w))
    return [gallery(w("confusion"), w("confusion_note"), matrices, w), join(disagree)]

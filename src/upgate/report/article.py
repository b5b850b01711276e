"""The page of experiment=article: the claim beside what was measured, then the pages of its studies below it."""

import math
from collections.abc import Mapping, Sequence

from upgate.page.document import document
from upgate.page.figure import TEXT_ONLY, Figure, Tables, render_figure, section
from upgate.page.forest_plot import Row, forest_plot
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.page import body
from upgate.report.texts import report_translator
from upgate.study.article_text import spoken
from upgate.study.facts import ARTICLE, EXCESS, HONEST, LESS, ROLE, YARDSTICK, Fact, by_claim
from upgate.study.load import Experiment
from upgate.study.result import StudyResult
from upgate.study.text import whole

GLYPHS = {"confirmed": "✓", "refuted": "✗", "not shown": "?"}
KEYS = {"confirmed": "confirmed", "refuted": "refuted", "not shown": "not_shown"}
CHIPS = {
    "confirmed": "helps",
    "refuted": "hurts",
    "not shown": "undecided",
}  # colours of the studies' words


def article_page(
    asked: Experiment,
    results: Mapping[str, StudyResult],
    found: Sequence[Fact],
    tables: Mapping[str, Tables],
    language: str = "en",
) -> str:
    """The whole page; results and tables by setting."""
    w = report_translator(language)
    under = [el("a", named(name, w), href=f"#{name}") for name in results]
    links = [[", " if i else "", link] for i, link in enumerate(under)]
    head = el(
        "header",
        el("h1", w("fact_check", id=asked.id)),
        el(
            "p",
            w("article_under", task=asked.task),
            el("br"),
            next(iter(results.values())).study.source,
            class_="under",
        ),
        [
            el("p", chip(fact.word, w), " ", sentence(fact, asked.task, w), class_="sentence long")
            for fact in found
            if fact.claim == LESS
        ],
        el("p", w("article_note"), " ", w("studies_below"), " ", links, class_="note"),
    )
    parts = [head, claims(asked, results, found, w), drawn(asked, found, w), again(asked, w)]
    parts += [
        el("article", body(one, tables[name], w, el("h2", named(name, w), class_="study")), id=name)
        for name, one in results.items()
    ]
    return document(w("fact_check", id=asked.id), parts, w)


def named(setting: str, w: Translator) -> str:
    return w(f"setting_{setting}")


def chip(word: str, w: Translator) -> Html:
    return el(
        "span",
        el("span", GLYPHS[word], class_="glyph"),
        " ",
        w(KEYS[word]),
        class_=f"chip {CHIPS[word]}",
    )


def sentence(fact: Fact, task: str, w: Translator) -> str:
    return w(
        f"claim_in_{fact.role}",
        setting=named(fact.setting, w),
        measured=measured(fact, w),
        claimed=size(fact, task, w),
        n=fact.n,
    )


def measured(fact: Fact, w: Translator) -> str:
    if math.isnan(fact.gain):
        return w("no_excess", name=fact.against)
    middle, low, high, multiple = spoken(fact)
    unit = f" {w('times_of', name=fact.against)}" if multiple else unit_of(fact, w)
    return f"{middle} [{low}, {high}]{unit}".replace("-", "−")


def unit_of(fact: Fact, w: Translator) -> str:
    return f" {w('unit_points')}" if fact.setting == "reviews" else "%"


def size(fact: Fact, task: str, w: Translator) -> str:
    return f"{format_number(fact.claimed)}{unit_of(fact, w)}"


def claims(
    asked: Experiment, results: Mapping[str, StudyResult], found: Sequence[Fact], w: Translator
) -> Html:
    """The closing table: claim, the article's setting, the honest one."""
    beside = {
        role: [scored(name, one, w) for name, one in results.items() if ROLE[name] == role]
        for role in (ARTICLE, HONEST)
    }
    lines: list[list[Child]] = [
        [w(f"scores_{asked.task}"), *(lined(beside[role]) for role in (ARTICLE, HONEST))]
    ]
    for claim, facts in by_claim(found).items():
        told = {
            role: [cell(fact, asked.task, w) for fact in facts if fact.role == role]
            for role in (ARTICLE, HONEST)
        }
        lines.append(
            [w(f"claim_{claim}_{asked.task}"), *(lined(told[role]) for role in (ARTICLE, HONEST))]
        )
    columns = [w("claim"), w("article_setting"), w("honest_setting")]
    return section(w("claims"), table(columns, lines, TEXT_ONLY, class_="plain claims"))


def lined(told: Sequence[Child]) -> Child:
    return [el("p", one) for one in told] if told else "–"


def scored(name: str, result: StudyResult, w: Translator) -> Child:
    one, yardstick = whole(result), YARDSTICK[name]
    told = [
        f"{result.study.baseline} {format_number(result.baseline_score)}",
        *([f"{one.arm} {format_number(one.score)}"] if one else []),
    ]
    told += (
        [f"{yardstick} {format_number(result.references[yardstick])}"]
        if yardstick in result.references
        else []
    )
    return [el("b", named(name, w)), " ", ", ".join(told)]


def cell(fact: Fact, task: str, w: Translator) -> Child:
    claimed = (
        f"; {w('claimed', size=size(fact, task, w))}"
        if fact.claim == EXCESS and not math.isnan(fact.gain)
        else ""
    )
    return [el("b", named(fact.setting, w)), f" {measured(fact, w)}{claimed} ", chip(fact.word, w)]


def drawn(asked: Experiment, found: Sequence[Fact], w: Translator) -> Html:
    """The claim as a line, what each study found beside it."""
    those = [fact for fact in found if fact.claim == LESS and math.isfinite(fact.gain)]
    if not those:
        return Html("")
    rows_ = [
        Row(
            [named(fact.setting, w), " ", chip(fact.word, w)],
            fact.gain,
            measured(fact, w),
            interval=(fact.low, fact.high),
            hollow=fact.word == "not shown",
        )
        for fact in those
    ]
    claimed = size(those[0], asked.task, w)
    picture = forest_plot(rows_, those[0].claimed, None, (w("worse_left"), w("better_right")))
    label = w(
        "claims_label",
        claimed=claimed,
        said="; ".join(f"{named(fact.setting, w)} {measured(fact, w)}" for fact in those),
    )
    columns = [w("setting"), w("gain"), w("claim"), w("verdict"), w("seeds")]
    body_: list[list[Child]] = [
        [named(f.setting, w), measured(f, w), size(f, asked.task, w), w(KEYS[f.word]), f.n]
        for f in those
    ]
    figure = Figure(
        w("claim_drawn"), picture, label, columns, body_, w("claim_drawn_note", claimed=claimed)
    )
    return section(figure.title, render_figure(figure, w))


def again(asked: Experiment, w: Translator) -> Html:
    return section(w("commands"), el("pre", el("code", "\n".join(asked.commands)), tabindex="0"))

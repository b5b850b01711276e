"""The report of experiment=article: claims beside measurements, then the reports of its studies."""

import math
from collections.abc import Mapping, Sequence

from upgate.page.document import document
from upgate.page.figure import TEXT_ONLY, Figure, Tables, code_block, figure_section, section
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.phrases import badge
from upgate.report.study import study_sections
from upgate.report.texts import report_translator
from upgate.study.article_text import format_gain
from upgate.study.facts import Fact, article_claim, by_claim
from upgate.study.load import Experiment
from upgate.study.result import StudyResult
from upgate.study.text import main_verdict
from upgate.tasks.article import ARTICLE, EXCESS, HONEST, LESS
from upgate.tasks.names import get_facts

BADGES = {  # of a fact: CSS class, glyph, key of the text
    "confirmed": ("helps", "✓", "confirmed"),
    "refuted": ("hurts", "✗", "refuted"),
    "not shown": ("undecided", "?", "not_shown"),
}
ROLES = (ARTICLE, HONEST)
NONE = "–"


def article_page(
    experiment: Experiment,
    results: Mapping[str, StudyResult],
    facts: Sequence[Fact],
    tables: Mapping[str, Tables],
    language: str = "en",
) -> str:
    """The whole page; results and tables by setting."""
    w = get_facts(experiment.task).translator(report_translator(language))
    title = w("fact_check", id=experiment.id)
    sections = [
        article_summary(experiment, results, facts, w),
        claims(experiment, results, facts, w),
        figure_section(claim_figure(facts, w), w),
        section(w("commands"), code_block(*experiment.commands)),
    ]
    for setting, result in results.items():
        heading = el("h2", setting_name(setting, w), class_="study")
        parts = study_sections(result, tables[setting], w, heading)
        sections.append(el("article", parts, id=setting))
    return document(title, sections, w)


def article_summary(
    experiment: Experiment,
    results: Mapping[str, StudyResult],
    facts: Sequence[Fact],
    w: Translator,
) -> Html:
    """The claim's verdict in each setting, and links to the studies below."""
    source = next(iter(results.values())).study.source
    sentences = [
        el("p", fact_badge(fact, w), " ", sentence(fact, w), class_="sentence long")
        for fact in facts
        if fact.claim == LESS
    ]
    links: list[Child] = []
    for setting in results:
        links += [", " if links else "", el("a", setting_name(setting, w), href=f"#{setting}")]
    under = w("article_under", task=experiment.task)
    return el(
        "header",
        el("h1", w("fact_check", id=experiment.id)),
        el("p", under, el("br"), source, class_="under"),
        sentences,
        el("p", w("article_note"), " ", w("studies_below"), " ", links, class_="note"),
    )


def setting_name(setting: str, w: Translator) -> str:
    return w(f"setting_{setting}")


def fact_badge(fact: Fact, w: Translator) -> Html:
    kind, glyph, key = BADGES[fact.verdict]
    return badge(kind, glyph, w(key))


def sentence(fact: Fact, w: Translator) -> str:
    return w(
        f"claim_in_{fact.role}",
        setting=setting_name(fact.setting, w),
        measured=measured(fact, w),
        claimed=claimed_size(fact, w),
        n=fact.n,
    )


def measured(fact: Fact, w: Translator) -> str:
    """A gain with its interval and unit."""
    if math.isnan(fact.gain):
        return w("no_excess", name=fact.against)
    middle, low, high, multiple = format_gain(fact)
    unit = f" {w('times_of', name=fact.against)}" if multiple else gain_unit(fact, w)
    return f"{middle} [{low}, {high}]{unit}".replace("-", "−")


def gain_unit(fact: Fact, w: Translator) -> str:
    return f" {w('unit_points')}" if fact.scale == "plain" else "%"


def claimed_size(fact: Fact, w: Translator) -> str:
    return f"{format_number(fact.claimed)}{gain_unit(fact, w)}"


def claims(
    experiment: Experiment,
    results: Mapping[str, StudyResult],
    facts: Sequence[Fact],
    w: Translator,
) -> Html:
    """The table of claims: the article's setting beside the honest one."""
    claimed = article_claim(experiment.task)
    scores: dict[str, list[Child]] = {role: [] for role in ROLES}
    for setting, result in results.items():
        scores[claimed.setting(setting).role].append(setting_scores(setting, result, w))
    rows: list[list[Child]] = [[w("claim_scores"), *(paragraphs(scores[r]) for r in ROLES)]]
    for claim, group in by_claim(facts).items():
        cells: dict[str, list[Child]] = {role: [] for role in ROLES}
        for fact in group:
            cells[fact.role].append(fact_cell(fact, w))
        rows.append([w(f"claim_{claim}"), *(paragraphs(cells[r]) for r in ROLES)])
    columns = [w("claim"), w("article_setting"), w("honest_setting")]
    return section(w("claims"), table(columns, rows, TEXT_ONLY, class_="plain claims"))


def paragraphs(texts: Sequence[Child]) -> Child:
    return [el("p", text) for text in texts] if texts else NONE


def setting_scores(setting: str, result: StudyResult, w: Translator) -> Child:
    """The scores of both recipes and of the reference."""
    full = main_verdict(result)
    reference = article_claim(result.study.task).setting(setting).yardstick
    scores = {result.study.baseline: result.baseline_score}
    if full:
        scores[full.arm] = full.score
    if reference in result.references:
        scores[reference] = result.references[reference]
    texts = [f"{name} {format_number(score)}" for name, score in scores.items()]
    return [el("b", setting_name(setting, w)), " ", ", ".join(texts)]


def fact_cell(fact: Fact, w: Translator) -> Child:
    claimed = ""
    if fact.claim == EXCESS and not math.isnan(fact.gain):
        claimed = f"; {w('claimed', size=claimed_size(fact, w))}"
    text = f" {measured(fact, w)}{claimed} "
    return [el("b", setting_name(fact.setting, w)), text, fact_badge(fact, w)]


def claim_figure(facts: Sequence[Fact], w: Translator) -> Figure | None:
    """The gain of each study; the claim is a vertical line. None where nothing was measured."""
    shown = [fact for fact in facts if fact.claim == LESS and math.isfinite(fact.gain)]
    if not shown:
        return None
    rows, texts = [], []
    body: list[list[Child]] = []
    for fact in shown:
        setting, text = setting_name(fact.setting, w), measured(fact, w)
        texts.append(f"{setting} {text}")
        label: Child = [setting, " ", fact_badge(fact, w)]
        hollow = fact.verdict == "not shown"
        rows.append(
            ForestRow(label, fact.gain, text, interval=(fact.low, fact.high), hollow=hollow)
        )
        body.append([setting, text, claimed_size(fact, w), w(BADGES[fact.verdict][2]), fact.n])
    claimed = claimed_size(shown[0], w)
    ends = (w("worse_left"), w("better_right"))
    return Figure(
        w("claim_drawn"),
        forest_plot(rows, shown[0].claimed, None, ends),
        w("claims_label", claimed=claimed, said="; ".join(texts)),
        list(map(w, ("setting", "gain", "claim", "verdict", "seeds"))),
        body,
        w("claim_drawn_note", claimed=claimed),
    )

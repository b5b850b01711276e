"""The page of a judgement: one HTML file, without network or script."""

from upgate.page.document import document
from upgate.page.effects import format_p
from upgate.page.figure import Figure, figure_section, folded, note, section
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number, signed
from upgate.page.translations import Translator
from upgate.referee.columns import short_name
from upgate.referee.judgement import Findings, Judged
from upgate.referee.text import findings, remarks
from upgate.referee.texts import TEXTS

MARKS = {"helps": "▲", "hurts": "▼", "equivalent": "=", "undecided": "?"}
LONG = 140  # characters of a sentence that is set smaller


def judgement_page(judgement: Findings, language: str = "en", source: str = "") -> str:
    """The whole page. Raises UserError for a language that there is no column for."""
    w = Translator(language, TEXTS)
    question = judgement.question
    metric, group = short_name(question.metric), short_name(question.group)
    title = w("judge_title", metric=metric, group=group)
    sections = [
        _summary(judgement, w, title, source),
        figure_section(_effects(judgement, w), w),
        _reliability_table(judgement, w),
        _datasets(judgement, w),
        _pairs(judgement, w),
    ]
    return document(title, sections, w)


def _summary(judgement: Findings, w: Translator, title: str, source: str) -> Html:
    said = findings(judgement, w)
    size = "sentence" if len(said) == 1 and len(said[0]) <= LONG else "sentence long"
    subtitle = w(
        "judge_subtitle",
        baseline=judgement.question.baseline,
        runs=sum(arm.runs[0] for arm in judgement.arms) + judgement.arms[0].runs[1],
        margin=format_number(judgement.smallest_effect, 3),
        source=source or "pandas",
    )
    lines = [
        el("p", _badge(arm.verdict.label, w), " ", text, class_=size)
        for arm, text in zip(judgement.arms, said, strict=True)
    ]
    return el(
        "header",
        el("h1", title),
        el("p", subtitle, class_="under"),
        lines,
        [note(text) for text in remarks(judgement, w)],
    )


def _badge(label: str, w: Translator) -> Html:
    return el("span", f"{MARKS[label]} {w(label)}", class_=f"chip {label}")


def _effects(judgement: Findings, w: Translator) -> Figure:
    question = judgement.question
    margin = judgement.smallest_effect
    sides = ("better_left", "worse_right")
    if question.better == "higher":
        sides = ("worse_left", "better_right")
    rows = [_judged_row(arm, w) for arm in judgement.arms]
    said = "; ".join(f"{arm.name} {signed(arm.verdict.effect)}" for arm in judgement.arms)
    heads = ("group", "verdict", "effect", "interval")
    return Figure(
        w("effects"),
        forest_plot(rows, 0.0, (-margin, margin), (w(sides[0]), w(sides[1]))),
        w("effects_label", baseline=question.baseline, said=said),
        [*map(w, heads), "p", "p (Holm)", "p (exact)", "n"]
        + [w(key) for key in ("diverged", "mean", "baseline_mean")],
        [_judged_cells(arm, w) for arm in judgement.arms],
        w(
            "effects_note",
            metric=short_name(question.metric),
            baseline=question.baseline,
            margin=format_number(margin, 3),
        ),
    )


def _judged_row(arm: Judged, w: Translator) -> ForestRow:
    verdict = arm.verdict
    return ForestRow(
        label=[arm.name, " ", _badge(verdict.label, w)],
        value=verdict.effect if verdict.effect == verdict.effect else 0.0,
        text=f"{signed(verdict.effect)} {_interval_text(verdict.low, verdict.high)}",
        interval=(verdict.low, verdict.high),
        dots=list(arm.differences.values()),
        hollow=verdict.label == "undecided",
    )


def _judged_cells(arm: Judged, w: Translator) -> list[Child]:
    v = arm.verdict
    return [
        arm.name,
        w(v.label),
        signed(v.effect),
        _interval_text(v.low, v.high),
        format_p(v.p),
        format_p(v.p_holm),
        format_p(v.p_exact),
        v.n,
        v.diverged,
        format_number(arm.mean),
        format_number(arm.baseline_mean),
    ]


def _interval_text(low: float, high: float) -> str:
    return f"[{format_number(low)}, {format_number(high)}]"


def _reliability_table(judgement: Findings, w: Translator) -> Html:
    """A row per group and data set; nothing where nothing is paired."""
    body: list[list[Child]] = []
    for arm in judgement.arms:
        for dataset, (found, unit) in arm.reliability.items():
            rate, better = found.rate, found.better
            body.append(
                [
                    f"{arm.name} {dataset}".strip(),
                    f"{found.collapsed} / {found.n}",
                    _percent(rate.low, rate.high),
                    format_number(found.variance_ratio, 3),
                    format_p(found.variance_p),
                    f"{format_number(found.worst)} ({unit})",
                    f"{100 * better.effect:.0f}% {_percent(better.low, better.high)}",
                ]
            )
    if not body:
        return Html("")
    heads = ("group", "collapsed", "collapse_rate", "variances")
    columns = [*map(w, heads), "p", w("worst"), w("better")]
    return section(w("reliability"), note(w("reliability_note")), table(columns, body))


def _percent(low: float, high: float) -> str:
    return f"[{100 * low:.0f}%, {100 * high:.0f}%]"


def _datasets(judgement: Findings, w: Translator) -> Html:
    body: list[list[Child]] = []
    for arm in judgement.arms:
        for effect in arm.combined.effects if arm.combined else []:
            found = effect.estimate
            interval = _interval_text(found.low, found.high)
            body.append([arm.name, effect.dataset, signed(found.effect), interval, found.n])
    if not body:
        return Html("")
    columns = [w("group"), w("dataset"), w("effect"), w("interval"), "n"]
    return section(w("by_dataset"), table(columns, body, numbers_from=2))


def _pairs(judgement: Findings, w: Translator) -> Html:
    """The differences, pair by pair, folded."""
    body: list[list[Child]] = [
        [arm.name, unit, signed(d)] for arm in judgement.arms for unit, d in arm.differences.items()
    ]
    if not body:
        return Html("")
    shown = table([w("group"), w("unit"), w("effect")], body, numbers_from=2)
    return section(w("pairs"), folded(w("numbers"), shown))

"""The pictures of every study: effects, seeds, scores, shares, curves. Each has words and a table that say the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from upgate.report.forest_plot import Row, rows
from upgate.report.html import Child, Html, el, table
from upgate.report.svg import Line, chart, legend, number, thin, ticks
from upgate.report.translations import Words
from upgate.stats.paired import Estimate
from upgate.study import text as say
from upgate.study.result import ArmVerdict, Study, StudyResult

GLYPHS = {"helps": "▲", "hurts": "▼", "equivalent": "=", "undecided": "?"}
MOST = 30  # rows of a picture; the table has all
FAR = 10  # times the median: losses beyond are not drawn, or one explosion hides all curves


@dataclass(frozen=True)
class Figure:
    """title: for whoever shows it; label: the picture in a sentence; columns, rows: its numbers."""

    title: str
    picture: Html
    label: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Child]]
    note: str = ""


def shown(figure: Figure, w: Words) -> Html:
    return el(
        "figure",
        el("figcaption", el("p", figure.note, class_="note")) if figure.note else None,
        el("div", figure.picture, role="img", aria_label=figure.label, class_="picture"),
        el("details", el("summary", w("numbers")), table(figure.columns, figure.rows)),
    )


def change(study: Study, effect: float) -> str:
    """An effect as people say it, in percent or points: −3.21%, +0.40."""
    value = study.shown(effect)
    if not math.isfinite(value):
        return number(value)
    return f"{value:+,.2f}{'%' if study.unit == '%' else ''}".replace("-", "−")


def amount(study: Study, effect: float, w: Words) -> str:
    """The same with its unit, for sentences."""
    return change(study, effect) + ("" if study.unit == "%" else f" {w('unit_points')}")


def p_value(p: float) -> str:
    return "–" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def interval(study: Study, low: float, high: float) -> str:
    return f"[{change(study, low)}, {change(study, high)}]".replace("%", "")


def metric_name(study: Study, w: Words) -> str:
    return say.metric_name(study, w.language)


def opening(phrase: str) -> str:
    """As a sentence begins."""
    return phrase[:1].upper() + phrase[1:]


def direction(study: Study, w: Words) -> str:
    return w("higher" if study.higher_is_better else "lower")


def ends(study: Study, w: Words) -> tuple[str, str]:
    return (
        (w("worse_left"), w("better_right"))
        if study.higher_is_better
        else (w("better_left"), w("worse_right"))
    )


def chip(word: str, w: Words) -> Html:
    return el(
        "span",
        el("span", GLYPHS.get(word, ""), class_="glyph"),
        " ",
        w(word),
        class_=f"chip {word}",
    )


def effects(result: StudyResult, w: Words) -> Figure:
    """The forest plot, A/A first."""
    study, judged = result.study, [*([result.aa] if result.aa else []), *result.verdicts]
    found = [_effect(one, result, w) for one in judged]
    margin = study.shown(study.margin)
    columns = [
        w("recipe"),
        w("verdict"),
        w("effect"),
        w("interval"),
        "p",
        "p (Holm)",
        "p (exact)",
        w("seeds"),
        w("diverged"),
        w("score"),
    ]
    body: list[list[Child]] = [
        [
            _name(one, result, w),
            w(one.word),
            change(study, one.effect),
            interval(study, one.low, one.high),
            p_value(one.p),
            p_value(one.p_holm),
            p_value(one.p_exact),
            one.n,
            one.diverged,
            number(one.score),
        ]
        for one in judged
    ]
    said = "; ".join(
        f"{_name(one, result, w)}: {change(study, one.effect)} {interval(study, one.low, one.high)}"
        for one in judged
    )
    note = w(
        "effects_note",
        metric=opening(metric_name(study, w)),
        direction=direction(study, w),
        baseline=study.baseline,
        unit=w("unit_percent" if study.unit == "%" else "unit_points"),
        level=level(study),
        margin=margin_of(study, w),
    )
    note += w("aa_note") if result.aa else ""
    picture = rows(found, 0.0, (-margin, margin), ends(study, w))
    return Figure(w("effects"), picture, w("effects_label", said=said), columns, body, note)


def _effect(one: ArmVerdict, result: StudyResult, w: Words) -> Row:
    study = result.study
    control = one is result.aa
    name = [_name(one, result, w), " ", None if control else chip(one.word, w)]
    low, high = study.shown(one.low), study.shown(one.high)
    dots = [study.shown(d) for d in result.differences.get(one.arm, {}).values()]
    said = f"{change(study, one.effect)} {interval(study, one.low, one.high)}"
    return Row(
        name,
        study.shown(one.effect),
        said,
        None,
        (low, high),
        dots,
        one.word == "undecided",
        "reference" if control else "arm",
    )


def _name(one: ArmVerdict, result: StudyResult, w: Words) -> str:
    return w("aa", name=result.study.baseline) if one is result.aa else one.arm


def level(study: Study) -> str:
    return f"{100 * (1 - study.alpha):g}"


def margin_of(study: Study, w: Words) -> str:
    return number(study.shown(study.margin), 3) + (
        "%" if study.unit == "%" else f" {w('unit_points')}"
    )


def pairs(result: StudyResult, arm: str, w: Words) -> Figure:
    """A row per seed: the baseline's score and the arm's."""
    study, ours, theirs = (
        result.study,
        result.scores.get(arm, {}),
        result.scores.get(result.study.baseline, {}),
    )
    seeds = [seed for seed in theirs if seed in ours]
    found = [
        Row(
            f"{w('seed')} {seed}",
            ours[seed],
            f"{_score(theirs[seed], w)} → {_score(ours[seed], w)}",
            theirs[seed],
        )
        for seed in seeds
    ]
    wins = sum(
        (ours[s] > theirs[s]) == study.higher_is_better and ours[s] != theirs[s] for s in seeds
    )
    body = [
        [
            s,
            number(theirs[s]),
            number(ours[s]),
            change(study, result.differences.get(arm, {}).get(s, math.nan)),
        ]
        for s in seeds
    ]
    note = w(
        "pairs_note",
        arm=arm,
        baseline=study.baseline,
        metric=opening(metric_name(study, w)),
        direction=direction(study, w),
    )
    label = w("pairs_label", arm=arm, baseline=study.baseline, wins=wins, n=len(seeds))
    picture = rows(found, None, None, ends(study, w))
    return Figure(
        w("pairs", arm=arm),
        picture,
        label,
        [w("seed"), study.baseline, arm, w("difference")],
        body,
        note,
    )


def _score(value: float, w: Words) -> str:
    return (
        w("diverged")
        if math.isinf(value)
        else f"{value:.4f}"
        if abs(value) < 100
        else number(value)
    )


def scores(result: StudyResult, w: Words) -> Figure:
    """Every recipe's score beside the references', best first."""
    study = result.study
    named = {study.baseline: result.baseline_score} | {
        one.arm: one.score for one in result.verdicts
    }
    named = {name: value for name, value in named.items() if not math.isnan(value)}
    order: list[tuple[str, float, bool]] = [(name, value, False) for name, value in named.items()]
    order += [(w("reference", name=name), value, True) for name, value in result.references.items()]
    order.sort(key=lambda one: -one[1] if study.higher_is_better else one[1])
    kinds = {study.baseline: "base"}
    found = [
        Row(
            name,
            value,
            _score(value, w),
            kind="reference" if free else kinds.get(name, "arm"),
            hollow=free,
        )
        for name, value, free in order
    ]
    body = [[name, number(value, 5)] for name, value, _ in order]
    said = ", ".join(f"{name} {number(value)}" for name, value, _ in order)
    note = w("scores_note", metric=opening(metric_name(study, w)), direction=direction(study, w))
    log = study.scale == "log"
    line = result.references.get("persistence", result.references.get("linear"))
    picture = rows(found, line, None, ends(study, w), log=log)
    return Figure(
        w("scores"),
        picture,
        w("scores_label", said=said),
        [w("recipe"), metric_name(study, w)],
        body,
        note,
    )


def shares(result: StudyResult, w: Words) -> Figure | None:
    """What each part brings, the largest first."""
    found, study = result.attribution, result.study
    if found is None:
        return None
    order = sorted(
        found.shares,
        key=lambda part: found.shares[part].share.effect,
        reverse=study.higher_is_better,
    )
    words = {one.arm: one.word for one in result.parts}
    drawn = [_share(part, found.shares[part].share, words.get(part), study, w) for part in order]
    columns = [
        w("part"),
        w("share"),
        w("interval"),
        w("add_one"),
        w("leave_one_out"),
        w("interaction"),
        w("seconds_ratio"),
    ]
    body = []
    for part in order:
        one, seconds = found.shares[part], found.seconds.get(part)
        rest = [
            change(study, x.effect) if x else "–"
            for x in (one.add_one, one.leave_one_out, one.interaction)
        ]
        time = f"×{number(math.exp(seconds.effect), 3)}" if seconds else "–"
        body.append(
            [
                part,
                change(study, one.share.effect),
                interval(study, one.share.low, one.share.high),
                *rest,
                time,
            ]
        )
    for name, rest_of in ((w("remainder"), found.remainder), (w("difference"), found.whole)):
        body.append(
            [
                name,
                change(study, rest_of.effect),
                interval(study, rest_of.low, rest_of.high),
                "",
                "",
                "",
                "",
            ]
        )
    said = "; ".join(f"{part} {row.said}" for part, row in zip(order, drawn, strict=True))
    note = w(
        "attribution_note",
        level=level(study),
        whole=amount(study, found.whole.effect, w),
        scale=w(f"scale_{study.scale}"),
    )
    picture = rows(drawn, 0.0, None, ends(study, w))
    return Figure(w("attribution"), picture, w("attribution_label", said=said), columns, body, note)


def _share(part: str, one: Estimate, word: str | None, study: Study, w: Words) -> Row:
    low, high = study.shown(one.low), study.shown(one.high)
    name = [part, " ", chip(word, w)] if word else part
    return Row(
        name,
        study.shown(one.effect),
        _said(study, one.effect, one.low, one.high),
        None,
        (low, high),
        hollow=word == "undecided",
    )


def _said(study: Study, effect: float, low: float, high: float) -> str:
    return f"{change(study, effect)} {interval(study, low, high)}"


Runs = dict[tuple[int, int], pd.DataFrame]  # (seed, fold) -> a table of that run


def curves(baseline: str, theirs: Runs, arm: str, ours: Runs, w: Words) -> Figure | None:
    """Validation loss by epoch with its band over seeds."""
    lines = [
        line
        for line in (_curve(baseline, "base", theirs), _curve(arm, "arm", ours))
        if line is not None
    ]
    if not lines:
        return None
    every = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    top = FAR * float(np.median(every)) if every.size else math.inf
    drawn = [_below(line, top) for line in lines]
    epochs = max(float(line.x[-1]) for line in lines)
    marks = [(t, f"{t:g}") for t in ticks(1, max(epochs, 2), 6) if t == int(t) and 1 <= t <= epochs]
    picture = Html(
        chart(drawn, marks, x_label=w("epoch")) + legend([(line.kind, line.name) for line in lines])
    )
    columns = [
        w("epoch"),
        *(f"{line.name}, {w(word)}" for line in lines for word in ("mean", "lowest", "highest")),
    ]
    places = thin(int(epochs), MOST)
    body: list[list[Child]] = [
        [int(i) + 1, *(number(v[i]) if i < len(v) else "–" for line in lines for v in _all(line))]
        for i in places
    ]
    last = {line.kind: number(float(line.y[-1])) for line in lines}
    label = w(
        "curves_label",
        arm=arm,
        baseline=baseline,
        ours=last.get("arm", "–"),
        theirs=last.get("base", "–"),
    )
    return Figure(arm, picture, label, columns, body)


def _all(line: Line) -> list[np.ndarray]:
    return [v for v in (line.y, line.low, line.high) if v is not None]


def _curve(name: str, kind: str, runs: Runs) -> Line | None:
    """Mean over seeds, folds averaged first; a run that has stopped keeps its last value."""
    found = {key: frame["val/loss"].to_numpy(float) for key, frame in runs.items() if len(frame)}
    if not found:
        return None
    longest = max(map(len, found.values()))
    filled = {key: np.pad(y, (0, longest - len(y)), mode="edge") for key, y in found.items()}
    seeds = sorted({seed for seed, _ in found})
    by_seed = np.array(
        [np.mean([y for (s, _), y in filled.items() if s == seed], axis=0) for seed in seeds]
    )  # (seeds, epochs)
    return Line(
        name,
        kind,
        np.arange(1.0, longest + 1),
        by_seed.mean(axis=0),
        by_seed.min(axis=0),
        by_seed.max(axis=0),
    )


def _below(line: Line, top: float) -> Line:
    y, low, high = (
        np.where(np.nan_to_num(v, nan=np.inf) > top, np.nan, v) if v is not None else None
        for v in (line.y, line.low, line.high)
    )
    assert y is not None
    return Line(line.name, line.kind, line.x, y, low, high)

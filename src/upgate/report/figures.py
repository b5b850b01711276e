"""The pictures of every study: effects, seeds, scores, shares, curves. Each has words and a table that say the same."""

import math

import numpy as np

from upgate.page.effects import (
    effect_with_unit,
    format_effect,
    format_interval,
    format_p,
)
from upgate.page.figure import MAX_ROWS, Figure, RunTables
from upgate.page.forest_plot import Row, forest_plot
from upgate.page.html import Child, Html, el
from upgate.page.svg import Line, format_number, legend, line_chart, thin_indices, ticks
from upgate.page.translations import Translator
from upgate.stats.paired import Estimate
from upgate.study import text as say
from upgate.study.result import ArmVerdict, Study, StudyResult

GLYPHS = {"helps": "▲", "hurts": "▼", "equivalent": "=", "undecided": "?"}
FAR = 10  # times the median: losses beyond are not drawn, or one explosion hides all curves


def metric_name(study: Study, w: Translator) -> str:
    return say.metric_name(study, w.language)


def opening(phrase: str) -> str:
    """As a sentence begins."""
    return phrase[:1].upper() + phrase[1:]


def direction(study: Study, w: Translator) -> str:
    return w("higher" if study.higher_is_better else "lower")


def ends(study: Study, w: Translator) -> tuple[str, str]:
    return (
        (w("worse_left"), w("better_right"))
        if study.higher_is_better
        else (w("better_left"), w("worse_right"))
    )


def chip(word: str, w: Translator) -> Html:
    return el(
        "span",
        el("span", GLYPHS.get(word, ""), class_="glyph"),
        " ",
        w(word),
        class_=f"chip {word}",
    )


def effects(result: StudyResult, w: Translator) -> Figure:
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
            format_effect(study, one.effect),
            format_interval(study, one.low, one.high),
            format_p(one.p),
            format_p(one.p_holm),
            format_p(one.p_exact),
            one.n,
            one.diverged,
            format_number(one.score),
        ]
        for one in judged
    ]
    said = "; ".join(
        f"{_name(one, result, w)}: {format_effect(study, one.effect)} {format_interval(study, one.low, one.high)}"
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
    note = w.sentences(note, w("aa_note") if result.aa else "")
    picture = forest_plot(found, 0.0, (-margin, margin), ends(study, w))
    return Figure(w("effects"), picture, w("effects_label", said=said), columns, body, note)


def _effect(one: ArmVerdict, result: StudyResult, w: Translator) -> Row:
    study = result.study
    control = one is result.aa
    name = [_name(one, result, w), " ", None if control else chip(one.word, w)]
    low, high = study.shown(one.low), study.shown(one.high)
    dots = [study.shown(d) for d in result.differences.get(one.arm, {}).values()]
    said = f"{format_effect(study, one.effect)} {format_interval(study, one.low, one.high)}"
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


def _name(one: ArmVerdict, result: StudyResult, w: Translator) -> str:
    return w("aa", name=result.study.baseline) if one is result.aa else one.arm


def level(study: Study) -> str:
    return f"{100 * (1 - study.alpha):g}"


def margin_of(study: Study, w: Translator) -> str:
    return format_number(study.shown(study.margin), 3) + (
        "%" if study.unit == "%" else f" {w('unit_points')}"
    )


def pairs(result: StudyResult, arm: str, w: Translator) -> Figure:
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
            format_number(theirs[s]),
            format_number(ours[s]),
            format_effect(study, result.differences.get(arm, {}).get(s, math.nan)),
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
    picture = forest_plot(found, None, None, ends(study, w))
    return Figure(
        w("pairs", arm=arm),
        picture,
        label,
        [w("seed"), study.baseline, arm, w("difference")],
        body,
        note,
    )


def _score(value: float, w: Translator) -> str:
    return (
        w("diverged")
        if math.isinf(value)
        else f"{value:.4f}"
        if abs(value) < 100
        else format_number(value)
    )


def scores(result: StudyResult, w: Translator) -> Figure:
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
    body = [[name, format_number(value, 5)] for name, value, _ in order]
    said = ", ".join(f"{name} {format_number(value)}" for name, value, _ in order)
    note = w("scores_note", metric=opening(metric_name(study, w)), direction=direction(study, w))
    log = study.scale == "log"
    line = result.references.get("persistence", result.references.get("linear"))
    picture = forest_plot(found, line, None, ends(study, w), log=log)
    return Figure(
        w("scores"),
        picture,
        w("scores_label", said=said),
        [w("recipe"), metric_name(study, w)],
        body,
        note,
    )


def shares(result: StudyResult, w: Translator) -> Figure | None:
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
            format_effect(study, x.effect) if x else "–"
            for x in (one.add_one, one.leave_one_out, one.interaction)
        ]
        time = f"×{format_number(math.exp(seconds.effect), 3)}" if seconds else "–"
        body.append(
            [
                part,
                format_effect(study, one.share.effect),
                format_interval(study, one.share.low, one.share.high),
                *rest,
                time,
            ]
        )
    for name, rest_of in ((w("remainder"), found.remainder), (w("difference"), found.whole)):
        body.append(
            [
                name,
                format_effect(study, rest_of.effect),
                format_interval(study, rest_of.low, rest_of.high),
                "",
                "",
                "",
                "",
            ]
        )
    said = "; ".join(f"{part} {row.text}" for part, row in zip(order, drawn, strict=True))
    note = w(
        "attribution_note",
        level=level(study),
        whole=effect_with_unit(study, found.whole.effect, w),
        scale=w(f"scale_{study.scale}"),
    )
    picture = forest_plot(drawn, 0.0, None, ends(study, w))
    return Figure(w("attribution"), picture, w("attribution_label", said=said), columns, body, note)


def _share(part: str, one: Estimate, word: str | None, study: Study, w: Translator) -> Row:
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
    return f"{format_effect(study, effect)} {format_interval(study, low, high)}"


def curves(
    baseline: str, theirs: RunTables, arm: str, ours: RunTables, w: Translator
) -> Figure | None:
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
        line_chart(drawn, marks, x_label=w("epoch"))
        + legend([(line.kind, line.name) for line in lines])
    )
    columns = [
        w("epoch"),
        *(f"{line.name}, {w(word)}" for line in lines for word in ("mean", "lowest", "highest")),
    ]
    places = thin_indices(int(epochs), MAX_ROWS)
    body: list[list[Child]] = [
        [
            int(i) + 1,
            *(format_number(v[i]) if i < len(v) else "–" for line in lines for v in _all(line)),
        ]
        for i in places
    ]
    last = {line.kind: format_number(float(line.y[-1])) for line in lines}
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


def _curve(name: str, kind: str, runs: RunTables) -> Line | None:
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

"""How much each part contributes to the difference between two recipes, and how parts interact."""

import math
from collections.abc import Mapping

from upgate.page.effects import effect_with_unit, format_effect, format_interval
from upgate.page.figure import Figure, folded
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child, Html, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.phrases import axis_ends, confidence_level, effect_text, verdict_badge
from upgate.stats.estimate import Estimate
from upgate.study.result import Attributed, Study, StudyResult

NONE = "–"
NOTES = {"exact": "shapley_note", "sampled": "sampled_note", "main": "attribution_note"}
COLUMNS = ("part", "share", "interval", "add_one", "leave_one_out", "interaction", "seconds_ratio")


def shares(result: StudyResult, w: Translator) -> Figure | None:
    """A row per part, the largest contribution first; None for a study that has no parts."""
    attributed, study = result.attribution, result.study
    if attributed is None:
        return None
    effects = {part: share.share for part, share in attributed.shares.items()}
    order = sorted(effects, key=lambda part: effects[part].effect, reverse=study.higher_is_better)
    verdicts = {verdict.arm: verdict.verdict for verdict in result.parts}
    rows = [_share_row(part, effects[part], verdicts, study, w) for part in order]
    body = [_share_cells(part, attributed, study) for part in order]
    if attributed.method == "main":
        body.append(_total_cells(w("remainder"), attributed.remainder, study))
    body.append(_total_cells(w("difference"), attributed.full, study))
    texts = [f"{part} {row.text}" for part, row in zip(order, rows, strict=True)]
    if attributed.method == "main":
        rows.append(_remainder_row(attributed, study, w))
    note = w(
        NOTES[attributed.method],
        level=confidence_level(study),
        whole=effect_with_unit(study, attributed.full.effect, w),
        scale=w(f"scale_{study.scale}"),
        orders=str(len(study.orders)),
    )
    return Figure(
        w("attribution"),
        forest_plot(rows, 0.0, None, axis_ends(study, w)),
        w("attribution_label", said="; ".join(texts)),
        list(map(w, COLUMNS)),
        body,
        note if attributed.small_remainder else w.sentences(note, w("remainder_found")),
    )


def _remainder_row(attributed: Attributed, study: Study, w: Translator) -> ForestRow:
    rest = attributed.remainder
    return ForestRow(
        label=w("remainder"),
        value=study.shown(rest.effect),
        text=effect_text(study, rest),
        interval=(study.shown(rest.low), study.shown(rest.high)),
        hollow=True,
        kind="reference",
    )


def _share_row(
    part: str, estimate: Estimate, verdicts: Mapping[str, str], study: Study, w: Translator
) -> ForestRow:
    verdict = verdicts.get(part)
    return ForestRow(
        label=[part, " ", verdict_badge(verdict, w)] if verdict else part,
        value=study.shown(estimate.effect),
        text=effect_text(study, estimate),
        interval=(study.shown(estimate.low), study.shown(estimate.high)),
        hollow=verdict in ("undecided", ""),
    )


def _share_cells(part: str, attributed: Attributed, study: Study) -> list[Child]:
    share, seconds = attributed.shares[part], attributed.seconds.get(part)
    contrasts = (share.add_one, share.leave_one_out, share.interaction)
    return [
        part,
        *_part_cells(share.share, study),
        *(format_effect(study, c.effect) if c else NONE for c in contrasts),
        f"×{format_number(math.exp(seconds.effect), 3)}" if seconds else NONE,
    ]


def _total_cells(name: str, estimate: Estimate, study: Study) -> list[Child]:
    return [name, *_part_cells(estimate, study), "", "", "", ""]


def _part_cells(estimate: Estimate, study: Study) -> list[str]:
    interval = format_interval(study, estimate.low, estimate.high)
    return [format_effect(study, estimate.effect), interval]


def interactions(result: StudyResult, w: Translator) -> Html:
    """A folded table of the interactions of two parts; nothing where none was measured."""
    if result.attribution is None or not result.attribution.interactions:
        return Html("")
    body = []
    for interaction in result.attribution.interactions:
        name = " + ".join(" × ".join(pair) for pair in interaction.pairs)
        body.append([name, *_part_cells(interaction.effect, result.study)])
    columns = [w("part"), w("effect"), w("interval")]
    return folded(w("interactions"), table(columns, body))

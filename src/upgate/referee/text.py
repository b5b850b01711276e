"""The sentences of a judgement, in a page's language."""

import math

from upgate.page.effects import format_p
from upgate.page.svg import format_number, signed
from upgate.page.translations import Translator
from upgate.referee.columns import short_name
from upgate.referee.judgement import Findings, Judged
from upgate.stats.reliability import Reliability
from upgate.stats.verdict import FEWEST

DESIGNS = {  # a design without items, with items, with dates
    "paired": ("design_paired", "design_paired_items", "design_paired_dates"),
    "over": ("design_over", "design_over_items", "design_over_dates"),
}
COLLAPSES = 1  # collapsed units from which a sentence says so


def judgement_sentence(judgement: Findings, w: Translator) -> str:
    """The findings, and all that limits them."""
    return w.sentences(*findings(judgement, w), *remarks(judgement, w))


def findings(judgement: Findings, w: Translator) -> list[str]:
    """A sentence per group."""
    question = judgement.question
    return [
        w(
            f"said_{arm.verdict.label}",
            arm=arm.name,
            baseline=question.baseline,
            metric=short_name(question.metric),
            effect=signed(arm.verdict.effect),
            low=format_number(arm.verdict.low),
            high=format_number(arm.verdict.high),
            margin=format_number(judgement.smallest_effect, 3),
            level=confidence_text(arm.verdict.level),
            design=design_text(judgement, arm, w),
        )
        for arm in judgement.arms
    ]


def remarks(judgement: Findings, w: Translator) -> list[str]:
    """What the findings stand on, what is unusual, what was left out."""
    said = [_family(judgement, w)]
    if judgement.design == "paired" and any(arm.verdict.n < FEWEST for arm in judgement.arms):
        said.append(w("note_few", fewest=FEWEST))
    for arm in judgement.arms:
        said += _more_text(arm, w)
        if arm.items and arm.items.left_out:
            said.append(w("note_items", arm=arm.name, count=arm.items.left_out))
        said += _reliability(judgement, arm, w)
        if judgement.design == "over":
            said.append(_new_dataset(arm, w))
    if judgement.design == "unpaired":
        said += _pairing(judgement, w)
    said += [w(note.key, **note.values) for note in judgement.notes]
    return said


def _more_text(arm: Judged, w: Translator) -> list[str]:
    """What would decide an undecided arm."""
    if arm.verdict.label != "undecided":
        return []
    more, data = arm.verdict.more_seeds, arm.verdict.more_data
    if data:
        times = format_number(data, 2)
        if not more:
            return [w("note_more_data", arm=arm.name, times=times)]
        return [w("note_more_both", arm=arm.name, more=more, times=times)]
    return [w("note_more", arm=arm.name, more=more)] if more else []


def _family(judgement: Findings, w: Translator) -> str:
    if len(judgement.arms) == 1:
        return w("note_primary", alpha=f"{judgement.question.alpha:g}")
    key = "note_family" if judgement.design == "paired" else "note_family_alone"
    return w(key, count=len(judgement.arms))


def _reliability(judgement: Findings, arm: Judged, w: Translator) -> list[str]:
    """Collapses and unequal variances, where there are any."""
    said = []
    for dataset, (found, _) in arm.reliability.items():
        name = f"{arm.name} ({dataset})" if dataset else arm.name
        if found.collapsed >= COLLAPSES:
            low, high = (f"{100 * bound:.0f}" for bound in (found.rate.low, found.rate.high))
            counts = {"count": found.collapsed, "n": found.n}
            level = confidence_text(judgement.question.alpha)
            said.append(w("note_collapsed", arm=name, low=low, high=high, level=level, **counts))
        if found.variance_p <= judgement.question.alpha:
            said.append(_variance(found, name, w))
    return said


def _variance(found: Reliability, name: str, w: Translator) -> str:
    ratio = found.variance_ratio
    p = format_p(found.variance_p)
    if ratio >= 1:
        return w("note_steadier", arm=name, ratio=format_number(ratio, 3), p=p)
    larger = 1 / ratio if ratio > 0 else math.inf
    return w("note_shakier", arm=name, ratio=format_number(larger, 3), p=p)


def _new_dataset(arm: Judged, w: Translator) -> str:
    if arm.combined is None:
        return w("note_not_combined", arm=arm.name)
    found, new = arm.combined.random, arm.combined.new
    if math.isnan(new.better):
        return w("note_new_dataset_unknown")
    shares = {
        key: f"{100 * share:.0f}"
        for key, share in (("up", new.better), ("same", new.equivalent), ("down", new.worse))
    }
    low, high = format_number(found.prediction_low), format_number(found.prediction_high)
    return w("note_outlook", arm=arm.name, low=low, high=high, **shares)


def _pairing(judgement: Findings, w: Translator) -> list[str]:
    """What pairing would have bought."""
    said = []
    for arm in judgement.arms:
        if arm.saved is None:
            continue
        if arm.saved < 0.005:
            said.append(w("note_not_saved", arm=arm.name))
        else:
            said.append(w("note_saved", arm=arm.name, share=f"{100 * arm.saved:.0f}"))
    return said or [w("note_pairing_unknown")]


def design_text(judgement: Findings, arm: Judged, w: Translator) -> str:
    n, m = arm.runs
    if judgement.design == "unpaired":
        return w("design_unpaired", n=n, m=m)
    if judgement.design == "folds":
        return w("design_folds", n=arm.verdict.n)
    units = unit_names(judgement, w)
    n = arm.verdict.n
    keys = DESIGNS[judgement.design]
    if arm.items is None or (judgement.design == "paired" and arm.verdict.over == "seeds"):
        return w(keys[0], n=n, units=units)
    return w(keys[2 if arm.items.dates else 1], n=n, units=units, m=arm.items.count)


def unit_names(judgement: Findings, w: Translator) -> str:
    """seeds, folds, runs, or the column's name."""
    pair = judgement.question.pair
    unit = short_name(pair[0]) if pair else "run"
    known = {"seed": "units_seed", "fold": "units_fold", "run": "units_run"}
    return w(known[unit]) if unit in known else w("units_other", column=unit)


def confidence_text(level: float) -> str:
    """The interval's percent: 95 at .05, 98.3 at a third of it."""
    return f"{100 * (1 - level):.3g}"

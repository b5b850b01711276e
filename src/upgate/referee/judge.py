"""Judge groups of runs against a baseline: `upgate.judge`."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from upgate.errors import UserError
from upgate.referee import effects
from upgate.referee.answer import Judgement
from upgate.referee.columns import match_column, resolve, short_name
from upgate.referee.judgement import Items, Judged
from upgate.referee.question import Question, ask
from upgate.referee.scores import (
    SHOWN,
    WHOLE,
    Note,
    Pairs,
    Scores,
    datasets,
    make_item_pairs,
    make_pairs,
    read_scores,
)
from upgate.referee.texts import say
from upgate.stats.data_sets import Combined, Terms, as_family
from upgate.stats.estimate import Floats
from upgate.stats.paired import paired
from upgate.stats.reliability import Reliability, either_collapsed, reliability
from upgate.stats.unpaired import welch
from upgate.stats.verdict import Verdict, verdicts

DEFAULT_EFFECT = 0.01  # times the baseline's mean
FOLD = re.compile(r"(^|[^a-z])(fold|split|cv)s?([^a-z]|$)", re.IGNORECASE)


def judge(
    table: pd.DataFrame,
    *,
    metric: str,
    group: str,
    baseline: object,
    pair: str | Sequence[str] | None = None,
    over: str | None = None,
    items: str | None = None,
    better: str | None = None,
    smallest_effect: float | None = None,
    alpha: float = 0.05,
    test_share: float | None = None,
) -> Judgement:
    """Judge every group of a table against the baseline; a row is a run.

    metric, group, over and pair name columns, with or without MLflow's `params.`, `tags.` and
    `metrics.`. pair: columns whose equal values make a pair; default seed and fold where they
    exist; "none" judges as unpaired. over: the column of the data sets. items: the column of test
    items or dates, where a row is the loss of one of them: intervals are then over seeds and items.
    A metric of inf, or nan in a row with status FAILED, is a diverged run. smallest_effect: in the
    metric's units; default 1% of the baseline's mean. test_share: test part of a fold, where folds
    alone are compared. Raises UserError, one sentence, for what cannot be judged.
    """
    question = ask(
        metric=metric,
        group=group,
        baseline=baseline,
        pair=pair,
        over=over,
        items=items,
        better=better,
        smallest_effect=smallest_effect,
        alpha=alpha,
        test_share=test_share,
    )
    return judge_table(table, question)


def judge_table(
    table: pd.DataFrame, question: Question, read_notes: Sequence[Note] = ()
) -> Judgement:
    """The same for a question that is checked; read_notes: what was found while reading."""
    if table.empty:
        raise UserError(say("no_rows"))
    resolved = resolve(question, [str(column) for column in table.columns])
    scores = read_scores(table, resolved)
    arms = [name for name in scores.groups() if name != resolved.baseline]
    notes = [*read_notes, *scores.notes]
    margin = _smallest_effect(scores, resolved, notes)
    terms = Terms(margin, resolved.alpha, resolved.direction, len(arms))
    if resolved.pair:
        judged, design = _judge_pairs(scores, resolved, arms, terms, notes)
    else:
        judged, design = _judge_unpaired(scores, resolved, arms, terms, table)
    if question.better is None:
        name = short_name(resolved.metric)
        notes.append(Note("note_direction", {"metric": name, "better": resolved.direction}))
    return Judgement(resolved, design, margin, judged, notes)


def _smallest_effect(scores: Scores, question: Question, notes: list[Note]) -> float:
    if question.smallest_effect is not None:
        return question.smallest_effect
    base = scores.of(question.baseline)["score"]
    finite = base[np.isfinite(base)]
    margin = DEFAULT_EFFECT * abs(float(finite.mean())) if len(finite) else 0.0
    if margin == 0:
        raise UserError(say("no_smallest"))
    notes.append(Note("note_smallest", {"margin": f"{margin:.3g}"}))
    return margin


def _judge_pairs(
    scores: Scores, question: Question, arms: list[str], terms: Terms, notes: list[Note]
) -> tuple[list[Judged], str]:
    found = {arm: _arm_pairs(scores, question, arm, notes) for arm in arms}
    folds = FOLD.search(short_name((question.pair or [""])[0])) is not None
    combined: dict[str, Combined | None] = dict.fromkeys(arms)
    if question.over:
        design, each = "over", {}
        for arm, sets in found.items():
            one = [effects.paired_effect(d, pairs, terms.alpha) for d, pairs in sets.items()]
            each[arm], combined[arm] = effects.combine_sets(one, terms)
        given = as_family(each, terms.alpha)
    elif folds and not question.items:
        design = "folds"
        share = question.test_share
        each = {arm: effects.fold_verdict(s[WHOLE], share, terms) for arm, s in found.items()}
        given = as_family(each, terms.alpha)
        notes += [] if share else [Note("note_folds")]
    else:
        design = "paired"
        arrays = {arm: effects.pair_differences(s[WHOLE]) for arm, s in found.items()}
        failed = {
            arm: either_collapsed(s[WHOLE].arm, s[WHOLE].base, terms.better, terms.margin)
            for arm, s in found.items()
        }
        units = {arm: items for arm, s in found.items() if (items := s[WHOLE].items)}
        given = verdicts(arrays, terms.margin, terms.alpha, terms.better, units, failed)
    judged = [_judged(arm, given[arm], sets, terms) for arm, sets in found.items()]
    return [replace(one, combined=combined[one.name]) for one in judged], design


def _arm_pairs(scores: Scores, question: Question, arm: str, notes: list[Note]) -> dict[str, Pairs]:
    """Data set -> pairs. Raises UserError where there is none."""
    names = ", ".join(map(short_name, question.pair or ()))
    made: dict[str, Pairs] = {}
    alone: list[str] = []
    for dataset in datasets(scores):
        make = make_item_pairs if question.items else make_pairs
        pairs, left = make(scores, arm, question.baseline, dataset)
        alone += [f"{dataset} {unit}".strip() for unit in left]
        if pairs.units:
            made[dataset] = pairs
    if not made:
        raise UserError(say("share_no", arm=arm, baseline=question.baseline, names=names))
    if alone:
        shown = ", ".join(alone[:SHOWN]) + (", ..." if len(alone) > SHOWN else "")
        values: dict[str, str | int] = {"arm": arm, "count": len(alone), "units": shown}
        notes.append(Note("note_alone", values | {"pair": names}))
    return made


def _judged(arm: str, verdict: Verdict, sets: dict[str, Pairs], terms: Terms) -> Judged:
    own = np.concatenate([pairs.arm for pairs in sets.values()])
    base = np.concatenate([pairs.base for pairs in sets.values()])
    dots: dict[str, float] = {}
    for dataset, pairs in sets.items():
        d = effects.pair_differences(pairs).tolist()
        names = [f"{dataset} {unit}".strip() for unit in pairs.units]
        dots |= dict(zip(names, d, strict=True))
    table = {dataset: _judge_reliability(pairs, terms) for dataset, pairs in sets.items()}
    return Judged(
        name=arm,
        verdict=verdict,
        mean=finite_mean(own),
        baseline_mean=finite_mean(base),
        runs=(len(own), len(base)),
        items=_items(sets),
        differences=dots,
        reliability=table,
    )


def _items(sets: dict[str, Pairs]) -> Items | None:
    """How many items the intervals stand on, over all data sets."""
    with_items = [pairs for pairs in sets.values() if pairs.items is not None]
    if not with_items:
        return None
    return Items(
        count=sum(pairs.items.deviations.shape[1] for pairs in with_items if pairs.items),
        left_out=sum(pairs.left_out for pairs in with_items),
        dates=all(pairs.dates for pairs in with_items),
    )


def _judge_reliability(pairs: Pairs, terms: Terms) -> tuple[Reliability, str]:
    found = reliability(pairs.arm, pairs.base, terms.better, terms.alpha, terms.margin)
    return found, pairs.units[found.worst_at]


def _judge_unpaired(
    scores: Scores, question: Question, arms: list[str], terms: Terms, table: pd.DataFrame
) -> tuple[list[Judged], str]:
    given: dict[str, Verdict] = {}
    combined = {}
    for arm in arms:
        if question.over:
            one = [
                effects.unpaired_effect(d, *_both(scores, arm, question, d), terms.alpha)
                for d in datasets(scores)
                if all(map(len, _both(scores, arm, question, d)))
            ]
            given[arm], combined[arm] = effects.combine_sets(one, terms)
        else:
            given[arm] = effects.unpaired_verdict(*_both(scores, arm, question, WHOLE), terms)
    judged = []
    for arm, verdict in as_family(given, terms.alpha).items():
        own, base = (scores.of(name)["score"].to_numpy(float) for name in (arm, question.baseline))
        judged.append(
            Judged(
                name=arm,
                verdict=verdict,
                mean=finite_mean(own),
                baseline_mean=finite_mean(base),
                runs=(len(own), len(base)),
                differences={},
                reliability={},
                combined=combined.get(arm),
                saved=None if question.over else _saved(table, question, arm, terms.alpha),
            )
        )
    return judged, "over" if question.over else "unpaired"


def _both(scores: Scores, arm: str, question: Question, dataset: str) -> tuple[Floats, Floats]:
    own, base = (scores.of(name) for name in (arm, question.baseline))
    return tuple(  # type: ignore[return-value]
        rows["score"][rows["over"] == dataset].to_numpy(float) for rows in (own, base)
    )


def _saved(table: pd.DataFrame, question: Question, arm: str, alpha: float) -> float | None:
    """The share of Welch's interval that pairing by seed saves; None where nothing can say."""
    seed = match_column("seed", [str(column) for column in table.columns])
    if seed is None or seed in (question.group, question.over):
        return None
    try:
        paired_scores = read_scores(table, replace(question, pair=[seed]))
    except UserError:  # several runs of a seed: which make a pair is not known
        return None
    pairs, _ = make_pairs(paired_scores, arm, question.baseline, WHOLE)
    if len(pairs.units) < 3 or not np.isfinite([pairs.arm, pairs.base]).all():
        return None
    with_pairs = paired(effects.pair_differences(pairs), alpha)
    without = welch(pairs.arm, pairs.base, alpha)
    width = without.high - without.low
    return 1 - (with_pairs.high - with_pairs.low) / width if width > 0 else None


def finite_mean(x: Floats) -> float:
    """The mean of the scores that did not diverge; nan where all did."""
    finite = x[np.isfinite(x)]
    return float(finite.mean()) if len(finite) else float("nan")

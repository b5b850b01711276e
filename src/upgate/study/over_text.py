"""Several data sets in one table and one sentence, for a terminal of 80 characters."""

import math

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from upgate.console import new_table, print_lines
from upgate.messages import joined
from upgate.stats.data_sets import FEWEST_SETS
from upgate.study.over_result import DataSet, NewDataSet, OverResult
from upgate.study.result import ArmVerdict, Study
from upgate.study.text import (
    confidence,
    effect_cell,
    effect_unit,
    format_score,
    judge_others,
    metric_name,
    signed_effect,
    unit_of_table,
    with_look,
)
from upgate.study.texts import say


def summarize_over(result: OverResult) -> str:
    """The answer in one sentence."""
    question, one = result.question, result.together
    if one is None:
        return say("over_nothing")
    label = say(f"over_label_{one.verdict}", baseline=question.baseline)
    clauses: list[str] = [
        say("over_claim", arm=one.arm, label=label, why=why_or_effect(question, one))
    ]
    if result.more_sets is not None:
        clauses.append(say("more_sets", n=result.more_sets))
    if result.new is not None:
        clauses.append(describe_new(question, result.new))
    judged = judge_others(result.others)
    if judged:
        clauses.append(judged)
    return say("sentence", clauses=joined(clauses, "sentences"))


def why_or_effect(question: Study, one: ArmVerdict) -> str:
    """The effect over data sets with its interval, or why there is none."""
    if one.diverged:
        return say("over_diverged", n=one.diverged)
    if math.isnan(one.effect):
        return say("over_no_effect")
    effect = question.shown(one.effect)
    return say(
        "over_effect",
        metric=metric_name(question),
        size=f"{abs(effect):.2f}",
        unit=effect_unit(question),
        direction=say("better_lower" if effect < 0 else "better_higher"),
        baseline=question.baseline,
        level=confidence(one.level),
        low=signed_effect(question, one.low),
        high=signed_effect(question, one.high),
        sets=with_look(say("n_data_sets", n=one.n), question),
    )


def describe_new(question: Study, new: NewDataSet) -> str:
    """What to expect of one more data set."""
    if math.isnan(new.better):
        return say("new_needs", n=FEWEST_SETS)
    shares = {key: f"{getattr(new, key):.0%}" for key in ("better", "equivalent", "worse")}
    return say("on_new", **shares)


def print_over(console: Console, result: OverResult) -> None:
    """The table, what a reader must know, and the sentence."""
    console.print(over_table(result))
    print_lines(console, [*over_notes(result), result.sentence])


def over_table(result: OverResult) -> Table:
    """A row per data set; then all together, a new data set, and the other recipes."""
    question = result.question
    unit = unit_of_table(question)
    title = say(
        "over_title",
        metric=metric_name(question),
        better=say(f"better_{question.better}"),
        arm=question.primary_arm,
        baseline=question.baseline,
        unit=unit,
    )
    effect = say("effect", level=confidence(question.level))
    arms = (question.baseline, question.primary_arm)
    table = new_table(title, say("data_set"), *arms, effect, say("verdict"))
    for i, one in enumerate(result.sets):
        table.add_row(
            Text(one.name), *set_cells(question, one), end_section=i == len(result.sets) - 1
        )
    together, new = result.together, result.new
    if together is not None:
        cell = "" if math.isnan(together.effect) else effect_cell(question, together)
        verdict = say.of("verdict", together.verdict)
        table.add_row(say("all_together"), "", "", cell, verdict)
    if new is not None and not math.isnan(new.better):
        interval = f"[{signed_effect(question, new.low)}, {signed_effect(question, new.high)}]"
        shares = f"{new.better:.0%} / {new.equivalent:.0%} / {new.worse:.0%}"
        table.add_row(say("new_set"), "", "", interval, "")
        table.add_row(say("p_of_three"), "", "", shares, "")
    for other in result.others:
        cell = "" if math.isnan(other.effect) else effect_cell(question, other)
        verdict = say.of("verdict", other.verdict) if other.verdict else "–"
        table.add_row(say("arm_all", arm=other.arm), "", "", cell, verdict)
    return table


def set_cells(question: Study, one: DataSet) -> tuple[str, ...]:
    """The scores of both recipes, the effect with its interval, the label."""
    base, found = format_score(one.baseline_score), one.verdict
    if found is None:
        return base, "", "", say("nothing_yet")
    verdict = say.of("verdict", found.verdict)
    return base, format_score(found.score), effect_cell(question, found), verdict


def over_notes(result: OverResult) -> list[str]:
    """What a reader of the table must know."""
    question = result.question
    unit = effect_unit(question)
    margin = say("size", size=f"{question.shown(question.margin):.3g}", unit=unit)
    lines = [say("note_over"), describe_dependence(result), say("note_within", margin=margin)]
    if not math.isnan(result.spread):
        spread = f"{question.shown(result.spread):.2f}"
        lines.append(say("note_between", spread=spread, unit=unit))
    if len(result.sets) < FEWEST_SETS:
        lines.append(say("note_few_sets", n=len(result.sets), fewest=FEWEST_SETS))
    missing = sum(one.missing for one in result.sets)
    if missing:
        lines.append(say("note_missing_runs", n=missing))
    return lines


def describe_dependence(result: OverResult) -> str:
    """Whether the data sets share days, and what follows."""
    if math.isnan(result.correlation):
        return say("note_independent")
    return say("note_dates", correlation=f"{result.correlation:.2f}")


def over_rows(result: OverResult) -> pd.DataFrame:
    """The table for programs: effects in percent or points, as a reader sees them."""
    question = result.question
    rows = [
        _row(question, one.name, one.verdict, one.baseline_score) | {"study": one.study}
        for one in result.sets
    ]
    rows.append(_row(question, "all together", result.together, math.nan))
    if result.new is not None:
        low, high = question.shown(result.new.low), question.shown(result.new.high)
        rows.append({"data_set": "a new data set", "low": low, "high": high})
        rows[-1] |= {key: getattr(result.new, key) for key in ("better", "equivalent", "worse")}
    return pd.DataFrame(rows)


def _row(question: Study, name: str, one: ArmVerdict | None, base: float) -> dict[str, object]:
    row: dict[str, object] = {"data_set": name, "arm": question.primary_arm}
    row |= {question.baseline: base, "unit": question.unit}
    if one is None:
        return row
    effects = {key: question.shown(getattr(one, key)) for key in ("effect", "low", "high")}
    return row | {"score": one.score, **effects, "p": one.p, "n": one.n, "verdict": one.verdict}

"""Several data sets in one table and one sentence, for a terminal of 80 characters."""

import math

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from upgate.console import new_table, print_lines
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

LABELS = {  # label -> what the sentence says of the arm
    "helps": "helps over data sets",
    "hurts": "hurts over data sets",
    "equivalent": "is equivalent to {baseline} over data sets",
    "undecided": "is undecided over data sets",
}


def summarize_over(result: OverResult) -> str:
    """The answer in one sentence."""
    question, one = result.question, result.together
    if one is None:
        return "Nothing can be said yet: no data set has a seed with every run."
    label = LABELS[one.verdict].format(baseline=question.baseline)
    clauses = [f"{one.arm} {label}: {why_or_effect(question, one)}"]
    if result.more_sets is not None:
        clauses.append(f"about {result.more_sets} more data sets like these would decide")
    if result.new is not None:
        clauses.append(describe_new(question, result.new))
    judged = judge_others(result.others)
    if judged:
        clauses.append(judged)
    return f"{'; '.join(clauses)}."


def why_or_effect(question: Study, one: ArmVerdict) -> str:
    """The effect over data sets with its interval, or why there is none."""
    if one.diverged:
        return f"{one.diverged} of its comparisons have a run that diverged"
    if math.isnan(one.effect):
        return "an effect with a known error on at least two data sets is needed"
    unit = effect_unit(question)
    low, high = signed_effect(question, one.low), signed_effect(question, one.high)
    shown = question.shown(one.effect)
    direction = "lower" if shown < 0 else "higher"
    return (
        f"its {metric_name(question)} is {abs(shown):.2f}{unit} {direction} than"
        f" {question.baseline}'s ({confidence(one.level)} interval {low} to {high}{unit}"
        f" over {with_look(f'{one.n} data sets', question)})"
    )


def describe_new(question: Study, new: NewDataSet) -> str:
    """What to expect of one more data set."""
    if math.isnan(new.better):
        return f"what a new data set would show needs {FEWEST_SETS} data sets"
    return (
        f"on a new data set it is better with probability {new.better:.0%}, equivalent"
        f" {new.equivalent:.0%}, worse {new.worse:.0%}"
    )


def print_over(console: Console, result: OverResult) -> None:
    """The table, what a reader must know, and the sentence."""
    console.print(over_table(result))
    print_lines(console, [*over_notes(result), result.sentence])


def over_table(result: OverResult) -> Table:
    """A row per data set; then all together, a new data set, and the other recipes."""
    question = result.question
    unit = unit_of_table(question)
    title = (
        f"{metric_name(question)}, {question.better} is better; effect: {question.primary_arm}"
        f" minus {question.baseline}, {unit}"
    )
    heads = (
        question.baseline,
        question.primary_arm,
        f"effect [{confidence(question.level)} interval]",
    )
    table = new_table(title, "data set", *heads, "verdict")
    for i, one in enumerate(result.sets):
        table.add_row(
            Text(one.name), *set_cells(question, one), end_section=i == len(result.sets) - 1
        )
    together, new = result.together, result.new
    if together is not None:
        cell = "" if math.isnan(together.effect) else effect_cell(question, together)
        table.add_row("all together", "", "", cell, together.verdict)
    if new is not None and not math.isnan(new.better):
        interval = f"[{signed_effect(question, new.low)}, {signed_effect(question, new.high)}]"
        shares = f"{new.better:.0%} / {new.equivalent:.0%} / {new.worse:.0%}"
        table.add_row("a new data set", "", "", interval, "")
        table.add_row("P(better/equal/worse)", "", "", shares, "")
    for other in result.others:
        cell = "" if math.isnan(other.effect) else effect_cell(question, other)
        table.add_row(Text(f"{other.arm}, all"), "", "", cell, other.verdict or "–")
    return table


def set_cells(question: Study, one: DataSet) -> tuple[str, ...]:
    """The scores of both recipes, the effect with its interval, the label."""
    base, found = format_score(one.baseline_score), one.verdict
    if found is None:
        return base, "", "", "nothing yet"
    return base, format_score(found.score), effect_cell(question, found), found.verdict


def over_notes(result: OverResult) -> list[str]:
    """What a reader of the table must know."""
    question = result.question
    margin = f"{question.shown(question.margin):.3g}{effect_unit(question)}"
    lines = [
        "a data set's verdict is that of its own study; the answer is the row of all together, by"
        " random effects: about data sets of which these are a sample",
        describe_dependence(result),
        f"equivalent: within {margin}, the smallest effect of interest",
    ]
    if not math.isnan(result.spread):
        unit = effect_unit(question)
        lines.append(
            f"between data sets the effect differs by {question.shown(result.spread):.2f}"
            f"{unit} (standard deviation)"
        )
    if len(result.sets) < FEWEST_SETS:
        lines.append(
            f"{len(result.sets)} data sets: fewer than {FEWEST_SETS} say nothing of how much data"
            " sets differ, and are undecided"
        )
    missing = sum(one.missing for one in result.sets)
    if missing:
        lines.append(f"missing runs: {missing}; a seed counts where all its runs are finished")
    return lines


def describe_dependence(result: OverResult) -> str:
    """Whether the data sets share days, and what follows."""
    if math.isnan(result.correlation):
        return "the data sets are taken to be independent of each other"
    return (
        "the data sets share test dates: the mean correlation of their losses there is"
        f" {result.correlation:.2f}, and the interval of all together allows for it"
    )


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

"""Columns of anybody's table: found with or without MLflow's prefix, read as text."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from upgate import messages
from upgate.errors import UserError, did_you_mean
from upgate.referee.question import Question
from upgate.referee.texts import say

PREFIXES = ("params.", "tags.", "metrics.")
PAIRS = ("seed", "fold")


def resolve(question: Question, columns: Sequence[str]) -> Question:
    """The question with the table's own column names. Raises UserError for one not there."""
    if question.pair is None:
        found = [match for name in PAIRS if (match := match_column(name, columns))]
        used = (question.group, question.over, question.items)
        taken = {match_column(name, columns) for name in used if name}
        pair = [name for name in found if name not in taken]
    else:
        pair = [find_column("pair", name, columns) for name in question.pair]
    if question.items and not pair:
        raise UserError(say("items_need_seeds"))
    return replace(
        question,
        metric=find_column("metric", question.metric, columns, reversed(PREFIXES)),
        group=find_column("group", question.group, columns),
        over=find_column("over", question.over, columns) if question.over else None,
        items=find_column("items", question.items, columns) if question.items else None,
        pair=pair,
        better="lower" if question.direction == "lower" else "higher",
    )


def find_column(
    key: str, name: str, columns: Sequence[str], prefixes: Iterable[str] = PREFIXES
) -> str:
    """The column of a name. Raises UserError with the nearest one."""
    found = match_column(name, columns, prefixes)
    if found is None:
        short = {short_name(column) for column in columns}
        hint = did_you_mean(name, {*columns, *short})
        raise UserError(messages.say("no_column", key=key, name=name, hint=hint))
    return found


def match_column(
    name: str, columns: Sequence[str], prefixes: Iterable[str] = PREFIXES
) -> str | None:
    there = set(columns)
    return next((full for p in ("", *prefixes) if (full := f"{p}{name}") in there), None)


def short_name(column: str) -> str:
    """A column without MLflow's prefix."""
    for prefix in PREFIXES:
        column = column.removeprefix(prefix)
    return column


def as_text(values: pd.Series) -> pd.Series:
    """Values as text, None where missing; 3.0 is 3, for a column with gaps holds floats."""

    def one(value: object) -> str | None:
        if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
            return None
        if isinstance(value, float | np.floating) and float(value).is_integer():
            return str(int(value))
        return str(value)

    return pd.Series([one(value) for value in values.tolist()], index=values.index, dtype=object)

"""Records of JSON as a table: a list of them, one a line, or columns, as pandas writes them."""

import json
import re
from typing import Any

import pandas as pd

from upgate.data.texts import say
from upgate.errors import UserError

JSON = re.compile(r'\s*(?:\[\s*[\[{]|\{\s*")')


def is_json(text: str) -> bool:
    """Whether a text begins as JSON's lists and objects do."""
    return bool(JSON.match(text))


def read_json_records(text: str, where: str) -> pd.DataFrame:
    """The records of a text, in rows from 1. Raises UserError for anything else."""
    try:
        values = _parse_records(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(say("broken_json", where=where, reason=reason)) from error
    if isinstance(values, dict) and len(values) == 1:  # {"data": [...]}
        values = next(iter(values.values()))
    if isinstance(values, dict) and not any(isinstance(v, list | dict) for v in values.values()):
        values = [values]  # one record
    if isinstance(values, dict) and values and _are_columns(list(values.values())):
        frame = pd.DataFrame(values, dtype=object).reset_index(drop=True)
    elif isinstance(values, list) and values and all(isinstance(row, dict) for row in values):
        frame = pd.DataFrame.from_records(values).astype(object)
    else:
        raise UserError(say("json_no_records", where=where))
    nested = [name for name in frame if frame[name].map(lambda cell: isinstance(cell, dict)).any()]
    frame = frame.drop(columns=nested).where(frame.notna(), "").astype(str)
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def _parse_records(text: str) -> Any:
    # numbers stay as they are written: 000858 is text, 60.290 no float yet
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines[:2]):
        return [json.loads(line, parse_float=str, parse_int=str) for line in lines]
    return json.loads(text, parse_float=str, parse_int=str)


def _are_columns(values: list[Any]) -> bool:
    same = {type(value) for value in values}
    return len({len(value) for value in values if hasattr(value, "__len__")}) == 1 and (
        same == {list} or same == {dict}
    )

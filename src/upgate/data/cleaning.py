"""A table on its way from a file to its canonical form.

Rows that are dropped are counted; rows that cannot be right are refused.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from upgate.data.texts import say
from upgate.errors import UserError

LONGEST = 300  # characters of a row's name, and of its fault, in an error


@dataclass
class TableCleaner:
    """The index of `frame` names the rows as the user sees them.

    A line from 1, (file, line), or a file.
    """

    frame: pd.DataFrame
    where: str
    bad: str
    dropped: Counter[str] = field(default_factory=Counter)

    def row_name(self, row: pd.Series) -> str:
        """How a row is named in an error."""
        return format_row_name(row.name)

    def drop(self, mask: Any, reason: str) -> None:
        """Leave out the rows of a mask, (n,) bool, and count them."""
        rows = np.asarray(mask, dtype=bool)
        if rows.any():
            self.dropped[reason] += int(rows.sum())
            self.frame = self.frame[~rows]

    def describe_dropped(self) -> str:
        """Why rows were left out, behind what is said of the rest; empty where none was."""
        why = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items())
        return say("dropped_why", why=why) if why else ""

    def reject(self, mask: Any, reason: str, describe: Callable[[pd.Series], str]) -> None:
        """Raise UserError for rows that cannot be right; drop and count them for bad="drop"."""
        rows = np.asarray(mask, dtype=bool)
        if rows.any() and self.bad == "refuse":
            first = self.frame.iloc[int(rows.argmax())]
            name, fault = _shortened(self.row_name(first)), _shortened(describe(first))
            more = say("more_rows", count=int(rows.sum()) - 1) if rows.sum() > 1 else ""
            way_out = "" if rows.all() else say("drop_rows")
            where = {"where": self.where, "row": name}
            raise UserError(say("bad_row", **where, fault=fault, more=more, way_out=way_out))
        self.drop(rows, reason)


def _shortened(text: str) -> str:
    """On one line, and not as long as a cell can be."""
    short = " ".join(text.split())
    short = short if len(short) <= LONGEST else f"{short[:LONGEST]}…"
    return text if short == text else short  # a message that is short stays one


def format_row_name(name: object) -> str:
    if isinstance(name, tuple):
        return say("row_of", file=str(name[0]), row=format_row_name(name[1]))
    return name if isinstance(name, str) else say("row", number=str(name))

"""A table on its way from a file to its canonical form.

Rows that are dropped are counted; rows that cannot be right are refused.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

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

    def reject(self, mask: Any, reason: str, describe: Callable[[pd.Series], str]) -> None:
        """Raise UserError for rows that cannot be right; drop and count them for bad="drop"."""
        rows = np.asarray(mask, dtype=bool)
        if rows.any() and self.bad == "refuse":
            first = self.frame.iloc[int(rows.argmax())]
            more = f" (and {rows.sum() - 1} more such rows)" if rows.sum() > 1 else ""
            name, fault = _shortened(self.row_name(first)), _shortened(describe(first))
            message = f"{self.where}, {name}: {fault}{more}"
            message += "" if rows.all() else "; data.bad=drop drops such rows"
            raise UserError(message)
        self.drop(rows, reason)


def _shortened(text: str) -> str:
    """On one line, and not as long as a cell can be."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def format_row_name(name: object) -> str:
    if isinstance(name, tuple):
        return f"{name[0]}, {format_row_name(name[1])}"
    return name if isinstance(name, str) else f"row {name}"

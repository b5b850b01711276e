"""A table on its way from a file to its canonical form: what is dropped is counted, what cannot be right is refused."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from upgate.errors import UserError


@dataclass
class TableCleaner:
    """The index of `frame` names the rows as the user sees them: a line from 1, (file, line), or a file."""

    frame: pd.DataFrame
    where: str
    bad: str
    dropped: Counter[str] = field(default_factory=Counter)

    def place(self, row: pd.Series) -> str:
        """How a row is named in an error."""
        return named(row.name)

    def drop(self, mask: Any, reason: str) -> None:
        """Leave out the rows of a mask, (n,) bool, and count them."""
        found = np.asarray(mask, dtype=bool)
        if found.any():
            self.dropped[reason] += int(found.sum())
            self.frame = self.frame[~found]

    def reject(self, mask: Any, reason: str, tell: Callable[[pd.Series], str]) -> None:
        """Raise `UserError` for rows that cannot be right, or drop and count them where `bad` is "drop"."""
        found = np.asarray(mask, dtype=bool)
        if found.any() and self.bad == "refuse":
            row = self.frame.iloc[int(found.argmax())]
            more = f" (and {found.sum() - 1} more such rows)" if found.sum() > 1 else ""
            told = (
                f"{self.where}, {self.place(row)}: {tell(row)}{more}; data.bad=drop drops such rows"
            )
            raise UserError(" ".join(told.split()))  # a cell may hold a line break
        self.drop(found, reason)


def named(name: object) -> str:
    if isinstance(name, tuple):
        return f"{name[0]}, {named(name[1])}"
    return name if isinstance(name, str) else f"row {name}"

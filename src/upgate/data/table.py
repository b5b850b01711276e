"""A table of rows whose identity is its content: enough for a task that needs no cleaning."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd


class Table(Protocol):
    """What a task's reader returns."""

    @property
    def source(self) -> str: ...  # a phrase that says where the rows came from
    @property
    def dropped(self) -> Mapping[str, int]: ...  # reason -> number of rows left out
    def hash(self) -> str: ...  # of the content, the same on every machine


@dataclass(frozen=True, eq=False)
class DataTable:
    """`source`: a phrase that says where the rows came from; `dropped`: reason -> rows left out."""

    table: pd.DataFrame
    source: str
    dropped: Mapping[str, int] = field(default_factory=dict)

    def hash(self) -> str:
        """The sha256 of the rows as csv, in hex: the same on every machine."""
        text = self.table.to_csv(index=False, lineterminator="\n")
        return hashlib.sha256(text.encode()).hexdigest()

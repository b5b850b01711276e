"""What a task gives to the rest: everything stock- or text-shaped about a run stands behind this one value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pandas as pd
from torch import Tensor

from upgate.data.datamodule import FoldDataModule
from upgate.errors import UserError, did_you_mean
from upgate.model.module import RecipeModule


class Table(Protocol):
    """What every reader of data returns."""

    @property
    def source(self) -> str: ...  # a phrase that says where it came from
    @property
    def dropped(self) -> Mapping[str, int]: ...  # reason -> rows left out
    def hash(self) -> str: ...  # of the content, the same on every machine


@dataclass(frozen=True)
class Judgement:
    """metrics: one number each, those of a reference under its name (`har/mse_ratio`); tables: for people and later tests."""

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]


class Task:
    """One task. `columns`: metric, heading and format of the table at the end; `references` stand below the run there."""

    name: ClassVar[str]
    columns: ClassVar[tuple[tuple[str, str, str], ...]]
    references: ClassVar[tuple[str, ...]]
    pictures: ClassVar[tuple[str, ...]]  # files that `draw` makes

    def plain(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The task's own knobs, checked."""
        raise NotImplementedError

    def split(self, asked: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
        """The split's knobs, checked, in their one spelling."""
        raise NotImplementedError

    def load(self, source: Mapping[str, Any]) -> Any:
        """The table that a choice of `conf/data/` asks for."""
        raise NotImplementedError

    def data(
        self,
        table: Any,
        task: Mapping[str, Any],
        split: Mapping[str, Any],
        fold: int,
        config: Mapping[str, Any],
    ) -> FoldDataModule:
        """The tensors of a fold; `config` says what decides no numbers, such as where a cache lies."""
        raise NotImplementedError

    def learner(self, spec: dict[str, Any], data: Any) -> RecipeModule:
        raise NotImplementedError

    def judge(self, data: Any, part: str, output: Tensor) -> Judgement:
        """What the outputs of a part, in the order of its batches, are worth."""
        raise NotImplementedError

    def draw(
        self,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        twin: Path | None,
        name: str,
        spec: dict[str, Any],
    ) -> Sequence[str]:
        """Make the pictures of a run in its folder; return the names of the files."""
        raise NotImplementedError

    def profile(self, table: Any) -> dict[str, Any]:
        """The data in a few numbers, for the store."""
        raise NotImplementedError

    def about(self, table: Any) -> str:
        """The same as a phrase for people."""
        raise NotImplementedError

    def shown(self, metrics: Mapping[str, float]) -> list[tuple[str, str, str]]:
        """The columns that a run has numbers for."""
        return [column for column in self.columns if f"test/{column[0]}" in metrics]

    def title(self, metrics: Mapping[str, float]) -> str:
        """The heading of the table at the end."""
        raise NotImplementedError

    def sentence(self, metrics: Mapping[str, float]) -> str:
        """What the table says of a run."""
        raise NotImplementedError

    def gap(self, ours: float, theirs: float) -> str:
        """What it says of the run beside its twin, up to "than"."""
        raise NotImplementedError


def task_of(name: str) -> Task:
    """The task of that name; only its own modules are imported."""
    module = import_module(f"upgate.tasks.{name}.task")
    task: Task = module.TASK
    return task


def check_source(source: Mapping[str, Any], there: Mapping[str, Any], task: str) -> None:
    """Raise for data of the other task."""
    if source["source"] not in there:
        raise UserError(
            f"data={source['source']} is not for task={task}{did_you_mean(source['source'], there)}"
        )

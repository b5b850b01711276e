"""What a task trains: its data, its model, what it measures and draws."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from upgate.config.schema import build
from upgate.config.values import Section, SpecValues
from upgate.data.datamodule import FoldDataModule
from upgate.data.splits.stratified import SPLITS, check_stratified
from upgate.data.table import DataTable
from upgate.errors import UserError, did_you_mean
from upgate.model.export.network import Network
from upgate.model.module import RecipeModule
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.store.registry import Input
from upgate.tasks import figures
from upgate.tasks.blocks import Block
from upgate.tasks.facts import CURVES, TaskFacts
from upgate.tasks.facts import Column as Column  # a task from outside takes all from here
from upgate.tasks.facts import Metric as Metric
from upgate.tasks.search_blocks import BlockRequest, stratified_block
from upgate.tasks.texts import say

# Choice -> the function or class whose parameters are its knobs.
Declared = Mapping[str, Callable[..., Any]]
Fetch = Callable[[str], Path]  # a file of a stored run by its name, such as config.yaml


@dataclass(frozen=True)
class StoredRun:
    """What a store holds of a run. checkpoint: with the weights that are judged."""

    checkpoint: Section
    fetch: Fetch


@dataclass(frozen=True)
class NameOnly:
    """The section `task` of a task without settings."""

    name: str


@dataclass(frozen=True)
class Evaluation:
    """How good the outputs for one part are.

    metrics: by name; those of a reference under its name, such as `har/mse_ratio`.
    tables: by name; stored with the run, for people, reports and significance tests.
    """

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]


class ForecastPath(Protocol):
    """Forecasts that go on step by step, each by a run of its own.

    key: the setting of `task` that alone tells these runs apart, a whole number.
    """

    key: str

    def specs(self, spec: SpecValues, steps: Sequence[int]) -> Sequence[Sequence[SpecValues]]:
        """A run's spec with each value of `key`; several times where more than one is meant."""
        ...

    def predict(
        self, overrides: Sequence[str], checkpoints: Sequence[Section], fetch: Fetch
    ) -> tuple[list[pd.DataFrame], pd.DataFrame]:
        """What `Task.predict` gives for each run, with the date; and the past, for `draw`."""
        ...

    def draw(self, frame: pd.DataFrame, past: pd.DataFrame) -> Figure:
        """The picture of all."""
        ...


class Task(TaskFacts):
    """One task; a subclass is registered under its `name` and used through one instance.

    A new task gives `name`, `metric`, `load`, `datamodule`, `module` and `evaluate`; the rest has
    defaults. docs/adding-a-task.md is an example.
    """

    skips: ClassVar[bool] = False  # whether model.skip=reference has a reference to start from
    table_type: ClassVar[type] = DataTable  # a dataclass with a field `table`: what `load` returns
    predict_keys: ClassVar[tuple[str, ...]] = ("data.path",)  # of `upgate predict`, and all below
    inputs: ClassVar[tuple[Input, ...]] = ()  # columns of a served model's input
    options: ClassVar[Mapping[str, float]] = {}  # of a served model's predictions; defaults
    files: ClassVar[str] = ""  # the choice of `conf/data/` that reads the user's own, by data.path
    path: ClassVar[ForecastPath | None] = None  # of `upgate predict KEY=all`
    source: str | None = None  # sha256 of the code of a task from outside the package

    def declarations(self) -> Mapping[str, Declared]:
        """What checks the knobs of its choices of `task`, `data` and `split`, as far as is known.

        For `upgate schema`: here those of split=stratified and cross_validation.
        """
        return {"split": SPLITS}

    def settings(self, config: Section) -> dict[str, Any]:
        """The checked values of the section `task`; here it holds the name alone.

        Raises UserError.
        """
        return vars(build(NameOnly, config, "task"))

    def identify(self, settings: Section) -> dict[str, Any]:
        """The settings as they stand in a run's spec: with the hash of code from outside."""
        return {**settings} if self.source is None else {**settings, "source": self.source}

    def check_code(self, settings: Section) -> None:
        """Raise UserError where a spec's settings belong to other code of this task."""
        if settings.get("source") != self.source:
            raise UserError(say("other_task_code", name=self.name))

    def split(self, config: Section, settings: Section) -> dict[str, Any]:
        """The checked values of the section `split`, in canonical form; here of split=stratified.

        Raises UserError.
        """
        return check_stratified(config)

    def load(self, source: Section) -> Any:
        """The table that a choice of `conf/data/` names. Raises UserError for a bad file."""
        raise NotImplementedError

    def datamodule(
        self,
        table: Any,
        settings: Section,
        split: Section,
        fold: int,
        config: Section,
    ) -> FoldDataModule:
        """The tensors of a fold. `config` holds what decides no numbers, such as the cache."""
        raise NotImplementedError

    def module(self, spec: SpecValues, data: Any) -> RecipeModule:
        """The network with its recipe, initialised from the spec's seed."""
        raise NotImplementedError

    def finish(self, spec: SpecValues, data: Any, validation: Tensor) -> dict[str, Any]:
        """What is fitted to the kept weights' outputs for the validation part; here nothing.

        Tensors and plain values; they stand in the checkpoint as `finish`.
        """
        return {}

    def finished(self, data: Any, part: str, output: Tensor, finish: Section) -> Tensor:
        """The outputs for a part with what `finish` fitted; here as they are."""
        return output

    def measure_finish(
        self, data: Any, part: str, output: Tensor, finish: Section
    ) -> dict[str, float]:
        """Metrics of what `finish` fitted, on validation or test; none here. output: the net's."""
        return {}

    def evaluate(self, data: Any, part: str, output: Tensor) -> Evaluation:
        """Metrics and tables of the outputs for a part, which are in the order of its batches."""
        raise NotImplementedError

    def draw(
        self,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        twin: Path | None,
        name: str,
        spec: SpecValues,
    ) -> Sequence[str]:
        """Make a run's pictures in its folder, beside its twin's; return the files' names."""
        drawn = figures.draw_curves(tables["curve"], figures.stored(twin, "curve"), name)
        figures.save_figure(drawn, folder / CURVES)
        return (CURVES,)

    def search_blocks(self, request: BlockRequest) -> list[Block]:
        """How a search may cut the data; here for split=stratified. Raises UserError."""
        limit = int(1 / request.split["validation"] + 1e-9)
        reason = say("reason_validation", share=str(request.split["validation"]))
        refusal = say("nested_of_time")
        return [stratified_block(request, limit, reason, refusal)]

    def predict(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        """Predictions for new data, a row each, by the kept weights.

        overrides: `key=value` of `predict_keys`. checkpoint: `state_dict`, and `hyper_parameters`
        as the module was given them. Raises UserError.
        """
        raise UserError(say("cannot_predict", name=self.name))

    def predict_frame(
        self, frame: pd.DataFrame, checkpoint: Section, options: Mapping[str, Any]
    ) -> pd.DataFrame:
        """What `predict` gives for a file that holds this frame. Raises UserError."""
        raise UserError(say("cannot_predict_frame", name=self.name))

    def export(self, checkpoint: Section) -> Network:
        """The network of the kept weights as it is exported. Raises UserError."""
        raise UserError(say("cannot_export", name=self.name))

    def explain(self, run: StoredRun, twin: StoredRun, w: Translator) -> list[Html]:
        """Sections of a page: what made both forecasts where they differ most. Raises UserError."""
        raise UserError(say("cannot_explain", name=self.name))

    def example(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        """A small input of `predict_frame`; overrides: as of `predict`. Raises UserError."""
        raise UserError(say("cannot_predict_frame", name=self.name))

    def profile(self, table: Any) -> dict[str, Any]:
        """The data in a few numbers, for the store."""
        return {"rows": len(table.table)}

    def describe(self, table: Any) -> str:
        """The same as a phrase."""
        return ", ".join(f"{value} {name}" for name, value in self.profile(table).items())


def check_source(source: Section, available: Iterable[str], task: str) -> None:
    """Raise UserError for data of another task."""
    if source["source"] not in available:
        hint = did_you_mean(source["source"], available)
        raise UserError(say("not_for_task", source=str(source["source"]), task=task, hint=hint))

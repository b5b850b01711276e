"""What a task gives to the rest of the program: data, model, metrics, references, pictures."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import pandas as pd
from torch import Tensor

from upgate.config.schema import build
from upgate.config.values import Section, SpecValues
from upgate.data.datamodule import FoldDataModule
from upgate.data.splits.stratified import check_stratified
from upgate.data.table import DataTable
from upgate.errors import UserError, did_you_mean
from upgate.model.module import RecipeModule
from upgate.page.figure import Comparison
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.tasks import figures
from upgate.tasks.article import ArticleClaim
from upgate.tasks.search_blocks import Block, BlockRequest, stratified_block
from upgate.tasks.significance import BeyondSeeds, StudyRuns, UnitScores

CURVES = "curves.png"


class Table(Protocol):
    """What a task's reader returns."""

    @property
    def source(self) -> str: ...  # a phrase that says where the rows came from
    @property
    def dropped(self) -> Mapping[str, int]: ...  # reason -> number of rows left out
    def hash(self) -> str: ...  # of the content, the same on every machine


Fetch = Callable[[str], Path]  # a file of a stored run by its name, such as config.yaml


@dataclass(frozen=True)
class NameOnly:
    """The section `task` of a task without settings."""

    name: str


class Column(NamedTuple):
    """A column of the table at the end of a run. key: the metric's, without `test/`."""

    key: str
    heading: str
    format: str = ".4f"


@dataclass(frozen=True)
class Evaluation:
    """How good the outputs for one part are.

    metrics: by name; those of a reference under its name, such as `har/mse_ratio`.
    tables: by name; stored with the run, for people, reports and significance tests.
    """

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Metric:
    """The metric that decides between recipes.

    scale: "log" where effects are ratios, shown in percent, and means are geometric; "plain" where
    effects are differences, shown in points of 0.01.
    """

    key: str  # in the store, such as test/mse_ratio
    label: str  # in tables and sentences, such as MSE ratio
    phrase: str  # what it is and which direction is better, in one phrase
    higher_is_better: bool
    scale: Literal["log", "plain"]
    labels: Mapping[str, str] = field(default_factory=dict)  # language -> label, where not English

    @property
    def validation_key(self) -> str:
        """The same metric on the validation part."""
        return self.key.replace("test/", "val/", 1)

    def label_in(self, language: str) -> str:
        """The label in the language of a report, such as zh."""
        return self.labels.get(language, self.label)

    @property
    def worst(self) -> float:
        """The value of a diverged run."""
        return -math.inf if self.higher_is_better else math.inf

    def rank(self, metrics: Mapping[str, float]) -> float:
        """A run's validation loss, to sort by: lower is better, inf where there is none.

        Never its test score: who reads the first line of such a list has chosen by the test part.
        """
        return self.loss(metrics.get(self.validation_key))

    def loss(self, value: float | None) -> float:
        """The value on its scale, with the sign that makes lower better; inf for no value."""
        if value is None or math.isnan(value):
            return math.inf
        scaled = value
        if self.scale == "log":
            scaled = math.log(value) if value > 0 else -math.inf
        return -scaled if self.higher_is_better else scaled

    def value(self, loss: float) -> float:
        """The inverse of `loss`."""
        scaled = -loss if self.higher_is_better else loss
        return math.exp(scaled) if self.scale == "log" else scaled

    def change(self, candidate: float, baseline: float) -> float | None:
        """Candidate against baseline in percent or points; None for a ratio to 0."""
        if self.scale == "plain":
            return 100 * (candidate - baseline)
        return 100 * (candidate / baseline - 1) if baseline > 0 else None

    @property
    def unit(self) -> str:
        """What stands after a change: % or points."""
        return "%" if self.scale == "log" else " points"


class Task:
    """One task; a subclass is registered under its `name` and used through one instance.

    A new task gives `name`, `metric`, `load`, `datamodule`, `module` and `evaluate`; the rest has
    defaults. docs/adding-a-task.md is an example.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]
    columns: ClassVar[tuple[Column, ...]] = ()  # of the table at the end; empty: the metric alone
    references: ClassVar[tuple[str, ...]] = ()  # forecasts that cost nothing, rows of that table
    pictures: ClassVar[tuple[str, ...]] = (CURVES,)  # files that `draw` always makes
    skips: ClassVar[bool] = False  # whether model.skip=reference has a reference to start from
    article: ClassVar[ArticleClaim | None] = None  # what experiment=article checks
    test_items: ClassVar[str] = "items"  # what the test part consists of: items or dates
    texts: ClassVar[Path | None] = None  # a translations.yaml for reports
    test_texts: ClassVar[Mapping[str, str]] = {}  # significance test -> key of its name in `texts`
    tests_note: ClassVar[str] = ""  # key of a note on the significance tests
    table_type: ClassVar[type] = DataTable  # a dataclass with a field `table`: what `load` returns
    predict_keys: ClassVar[tuple[str, ...]] = ("data.path",)  # of `upgate predict`, and all below
    source: str | None = None  # sha256 of the code of a task from outside the package

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
            raise UserError(f"task={self.name}: its code here is not that of the run")

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
        reason = f"split.validation={request.split['validation']}"
        refusal = "tune.nested=true is for data in the order of time"
        return [stratified_block(request, limit, reason, refusal)]

    def predict(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        """Predictions for new data, a row each, by the kept weights.

        overrides: `key=value` of `predict_keys`. checkpoint: `state_dict`, and `hyper_parameters`
        as the module was given them. Raises UserError.
        """
        raise UserError(f"task={self.name} cannot predict")

    def significance(self, runs: StudyRuns) -> BeyondSeeds:
        """Tests of a study's arms on its test dates or items; here none."""
        return BeyondSeeds()

    def unit_scores(self, runs: StudyRuns) -> UnitScores:
        """What each test date or item adds to the arms' scores and the references'; here nothing.

        Without it a study's verdicts are over seeds only.
        """
        return UnitScores()

    def report_sections(self, comparison: Comparison, w: Translator) -> list[Html]:
        """What a study's report shows of the baseline and the chosen arm; here nothing."""
        return []

    def translator(self, w: Translator) -> Translator:
        """A translator that has the task's texts too."""
        return w if self.texts is None else w.extended(self.texts)

    def profile(self, table: Any) -> dict[str, Any]:
        """The data in a few numbers, for the store."""
        return {"rows": len(table.table)}

    def describe(self, table: Any) -> str:
        """The same as a phrase."""
        return ", ".join(f"{value} {name}" for name, value in self.profile(table).items())

    def table_columns(self, metrics: Mapping[str, float]) -> list[Column]:
        """The columns that a run has numbers for."""
        columns = self.columns or (
            Column(self.metric.key.removeprefix("test/"), self.metric.label),
        )
        return [column for column in columns if f"test/{column.key}" in metrics]

    def table_title(self, metrics: Mapping[str, float]) -> str:
        """The heading of the table at the end."""
        samples = int(metrics.get("test/samples", 0))
        return f"test part, {samples:,} samples; {self.metric.phrase}"

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        """A run's result, without the full stop."""
        return f"The run's {self.metric.label} is {metrics[self.metric.key]:.4f}"

    def difference_sentence(self, candidate: float, baseline: float) -> str:
        """The run against its twin, up to "than". The two values differ."""
        change = self.metric.change(candidate, baseline) or 0.0
        direction = "higher" if candidate > baseline else "lower"
        return f"its {self.metric.label} is {abs(change):.2f}{self.metric.unit} {direction} than"


def check_source(source: Section, available: Iterable[str], task: str) -> None:
    """Raise UserError for data of another task."""
    if source["source"] not in available:
        hint = did_you_mean(source["source"], available)
        raise UserError(f"data={source['source']} is not for task={task}{hint}")

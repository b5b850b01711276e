"""What a task says of stored runs: names, the metric that decides, tests, sentences for people.

No module here or in a task's `facts` imports PyTorch: lists, reports and verdicts answer without.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from upgate.config.values import Section
from upgate.messages import ENGLISH, Message, load_texts
from upgate.page.figure import Comparison
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.tasks.article import ArticleClaim
from upgate.tasks.significance import BeyondSeeds, StudyRuns, UnitScores
from upgate.tasks.texts import say

CURVES = "curves.png"


class Column(NamedTuple):
    """A column of the table at the end of a run. key: the metric's, without `test/`."""

    key: str
    heading: str
    format: str = ".4f"


@dataclass(frozen=True)
class Metric:
    """The metric that decides between recipes.

    unseen: the key of the same without the test items that training has too, which then decides.
    scale: "log" where effects are ratios, shown in percent, and means are geometric; "plain" where
    effects are differences, shown in points of 0.01.
    """

    key: str  # in the store, such as test/mse_ratio
    label: str  # in tables and sentences, such as MSE ratio
    phrase: str  # what it is and which direction is better, in one phrase
    higher_is_better: bool
    scale: Literal["log", "plain"]
    unseen: str = ""
    unseen_label: str = ""

    @property
    def validation_key(self) -> str:
        """The same metric on the validation part."""
        return self.key.replace("test/", "val/", 1)

    def label_of(self, key: str) -> str:
        """The label of the metric, or of what decides in its place; of another key, the key."""
        if key == self.key:
            return self.label
        return self.unseen_label if key == self.unseen else key

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
        return "%" if self.scale == "log" else say("points")


class TaskFacts:
    """The half of a task that needs no training; `Task` has the other one.

    A task of this package has a subclass in its module `facts`; one from outside is a `Task`.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]
    columns: ClassVar[tuple[Column, ...]] = ()  # of the table at the end; empty: the metric alone
    references: ClassVar[tuple[str, ...]] = ()  # forecasts that cost nothing, rows of that table
    own: ClassVar[frozenset[str]] = frozenset()  # parts of a run that have metrics as references do
    pictures: ClassVar[tuple[str, ...]] = (CURVES,)  # files that `draw` always makes
    explains: ClassVar[bool] = False  # whether `explain` says what forecasts are made of
    article: ClassVar[ArticleClaim | None] = None  # what experiment=article checks
    test_items: ClassVar[str] = "items"  # what the test part consists of: items or dates
    texts: ClassVar[Path | None] = None  # a translations.yaml for reports
    test_texts: ClassVar[Mapping[str, str]] = {}  # significance test -> key of its name in `texts`
    tests_note: ClassVar[str] = ""  # key of a note on the significance tests

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

    def test_label(self, name: str) -> str:
        """The name of a significance test, with that of the reports in other languages."""
        return self._translated(name, self.test_texts.get(name, ""))

    def claim_text(self, claim: str) -> str:
        """A phrase of the article's claim, with that of the reports in other languages."""
        phrase = self.article.texts[claim] if self.article else ""
        return self._translated(phrase, f"claim_{claim}")

    def _translated(self, text: str, key: str) -> str:
        """A text in English as it is, and in other languages as the task's own texts have it."""
        texts = {} if self.texts is None else load_texts(self.texts)
        if key not in texts:
            return text
        return Message({**texts[key], ENGLISH: "{text}"}, {"text": text})

    def table_columns(self, metrics: Mapping[str, float]) -> list[Column]:
        """The columns that a run has numbers for."""
        columns = self.columns or (
            Column(self.metric.key.removeprefix("test/"), self.metric.label),
        )
        return [column for column in columns if f"test/{column.key}" in metrics]

    def table_title(self, metrics: Mapping[str, float]) -> str:
        """The heading of the table at the end."""
        samples = f"{int(metrics.get('test/samples', 0)):,}"
        return say("table_title", samples=samples, phrase=self.metric.phrase)

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        """A run's result, without the full stop."""
        return say("result", label=self.metric.label, value=f"{metrics[self.metric.key]:.4f}")

    def worth_trying(self, metrics: Mapping[str, float], settings: Section) -> tuple[str, str]:
        """Why something else is worth trying after this run, and the override for it; else empty.

        settings: the run's own of `task`.
        """
        return "", ""

    def difference_sentence(self, candidate: float, baseline: float) -> str:
        """The run against its twin, up to "than" or "of". The two values differ."""
        change = self.metric.change(candidate, baseline) or 0.0
        label, unit = self.metric.label, self.metric.unit
        if abs(change) < 0.005:  # would be shown as 0.00
            return say("same_within", label=label, unit=unit)
        key = "is_higher" if candidate > baseline else "is_lower"
        return say(key, label=label, change=f"{abs(change):.2f}", unit=unit)

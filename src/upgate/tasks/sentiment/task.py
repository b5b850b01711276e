"""The sentiment task, as the rest of the program sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from upgate.config.schema import build
from upgate.data.reviews.sources import SOURCES, load_reviews
from upgate.data.reviews.table import Reviews
from upgate.page.figure import Comparison
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.tasks import figures
from upgate.tasks.base import Column, Evaluation, Fetch, Metric, Task, check_source
from upgate.tasks.registry import register_task
from upgate.tasks.search_blocks import Block, BlockRequest, stratified_block
from upgate.tasks.sentiment import article, report
from upgate.tasks.sentiment import figures as figures_text
from upgate.tasks.sentiment.datamodule import SentimentDataModule, SentimentTask
from upgate.tasks.sentiment.metrics import judge
from upgate.tasks.sentiment.module import SentimentModule
from upgate.tasks.sentiment.predict import predict
from upgate.tasks.sentiment.significance import significance
from upgate.tasks.significance import BeyondSeeds, StudyRuns


@register_task
class Sentiment(Task):
    name = "sentiment"
    metric = Metric(
        key="test/accuracy",
        label="accuracy",
        phrase="accuracy on the test part, higher is better",
        higher_is_better=True,
        scale="plain",
        labels={"zh": "准确率"},
    )
    columns = (
        Column("accuracy", "accuracy", ".4f"),
        Column("accuracy_unseen", "unseen", ".4f"),
        Column("macro_f1", "macro F1", ".4f"),
        Column("mcc", "Matthews", ".4f"),
        Column("loss", "loss", ".4f"),
        Column("ece", "calibration", ".4f"),
    )
    references = ("majority", "linear")
    pictures = ("confusion.png", "curves.png")
    article = article.CLAIM
    texts = report.TEXTS
    test_texts = report.TEST_TEXTS
    table_type = Reviews
    predict_keys = ("text", "data.path")

    def settings(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return build(SentimentTask, config, "task").plain()

    def load(self, source: Mapping[str, Any]) -> Reviews:
        check_source(source, SOURCES, self.name)
        return load_reviews(source)

    def datamodule(
        self,
        table: Reviews,
        settings: Mapping[str, Any],
        split: Mapping[str, Any],
        fold: int,
        config: Mapping[str, Any],
    ) -> SentimentDataModule:
        return SentimentDataModule(table, settings, split, fold, Path(config["cache"]))

    def module(self, spec: dict[str, Any], data: SentimentDataModule) -> SentimentModule:
        return SentimentModule(spec, data.state)

    def evaluate(self, data: SentimentDataModule, part: str, output: Tensor) -> Evaluation:
        logits = output[data.part(part).inverse()]
        leaked = data.leaked if part == "test" else data.leaked[:0]
        judged = judge(
            logits,
            data.labels(part),
            data.references(part),
            leaked,
            data.reviews.classes,
            data.texts(part),
        )
        ceiling = data.reviews.ceiling
        best = {} if ceiling is None or part != "test" else {"ceiling/accuracy": ceiling}
        return Evaluation(judged.metrics | best, {"predictions": judged.predictions})

    def draw(
        self,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        twin: Path | None,
        name: str,
        spec: dict[str, Any],
    ) -> Sequence[str]:
        predictions, theirs = tables["predictions"], figures.stored(twin, "predictions")
        classes = [
            column.removeprefix("p_") for column in map(str, predictions) if column.startswith("p_")
        ]
        figures.save(figures_text.confusion(predictions, classes, name), folder / "confusion.png")
        figures.save(
            figures.curves(tables["curve"], figures.stored(twin, "curve"), name),
            folder / "curves.png",
        )
        if theirs is None:
            return self.pictures
        figures_text.disagreements(predictions, theirs).to_csv(
            folder / "disagreements.csv", index=False
        )
        return (*self.pictures, "disagreements.csv")

    def search_blocks(self, request: BlockRequest) -> list[Block]:
        """An official validation part is the only fold."""
        validation, table = request.split["validation"], request.table.table
        limit, reason = int(1 / validation + 1e-9), f"split.validation={validation}"
        if "split" in table and bool((table["split"] == "validation").any()):
            limit, reason = 1, "these reviews have an official validation part"
        refusal = (
            "tune.nested=true is for prices: "
            "reviews have one test part, which a search leaves closed"
        )
        return [stratified_block(request, limit, reason, refusal)]

    def significance(self, runs: StudyRuns) -> BeyondSeeds:
        return significance(runs)

    def report_sections(self, comparison: Comparison, w: Translator) -> list[Html]:
        return report.sections(comparison, w)

    def predict(
        self, overrides: Sequence[str], checkpoint: Mapping[str, Any], fetch: Fetch
    ) -> pd.DataFrame:
        return predict(overrides, checkpoint)

    def profile(self, table: Reviews) -> dict[str, Any]:
        counts = table.table["label"].value_counts()
        return {
            "reviews": len(table.table),
            **{name: int(counts.get(label, 0)) for label, name in enumerate(table.classes)},
        }

    def describe(self, table: Reviews) -> str:
        counts = self.profile(table)
        classes = ", ".join(
            f"{count:,} {name}" for name, count in counts.items() if name != "reviews"
        )
        best = "" if table.ceiling is None else f"; best attainable accuracy {table.ceiling:.4f}"
        return f"{counts['reviews']:,} reviews ({classes}){best}"

    def table_title(self, metrics: Mapping[str, float]) -> str:
        samples = f"test part, {int(metrics.get('test/samples', 0)):,} reviews"
        best, leaked = metrics.get("test/ceiling/accuracy"), metrics.get("test/leaked", 0)
        said = "" if best is None else f"; best attainable accuracy {best:.4f}"
        return (
            samples
            + said
            + (
                f"; unseen: without the {int(leaked):,} that are in the training part too"
                if leaked
                else ""
            )
        )

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        lead = 100 * (metrics["test/accuracy"] - metrics["test/linear/accuracy"])
        beats = f"beats the linear model by {lead:.2f}" if lead > 0 else f"stays {-lead:.2f}"
        return f"The run gets {100 * metrics['test/accuracy']:.2f}% right and {beats} points" + (
            "" if lead > 0 else " below the linear model"
        )

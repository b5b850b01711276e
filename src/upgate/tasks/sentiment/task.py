"""The sentiment task, as the rest of the program sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from upgate.config.schema import build
from upgate.config.values import Section, SpecValues
from upgate.data.reviews.sources import SOURCES, load_reviews
from upgate.data.reviews.table import Reviews
from upgate.page.figure import Comparison
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.tasks import figures
from upgate.tasks.base import Column, Evaluation, Fetch, Metric, Task, check_source
from upgate.tasks.registry import register_task
from upgate.tasks.search_blocks import Block, BlockRequest, stratified_block
from upgate.tasks.sentiment import article, report, skip
from upgate.tasks.sentiment.datamodule import SentimentDataModule, SentimentTask
from upgate.tasks.sentiment.figures import draw_confusion, find_disagreements
from upgate.tasks.sentiment.metrics import evaluate_classifier
from upgate.tasks.sentiment.module import SentimentModule
from upgate.tasks.sentiment.predict import predict_labels
from upgate.tasks.sentiment.significance import compare_answers, item_scores
from upgate.tasks.significance import BeyondSeeds, StudyRuns, UnitScores


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
    references = ("majority", "linear", "nb_logistic")
    skips = True
    pictures = ("confusion.png", "curves.png")
    article = article.CLAIM
    texts = report.TEXTS
    test_texts = report.TEST_TEXTS
    table_type = Reviews
    predict_keys = ("text", "data.path")

    def settings(self, config: Section) -> dict[str, Any]:
        return build(SentimentTask, config, "task").to_dict()

    def load(self, source: Section) -> Reviews:
        check_source(source, SOURCES, self.name)
        return load_reviews(source)

    def datamodule(
        self,
        table: Reviews,
        settings: Section,
        split: Section,
        fold: int,
        config: Section,
    ) -> SentimentDataModule:
        return SentimentDataModule(table, settings, split, fold, Path(config["cache"]))

    def module(self, spec: SpecValues, data: SentimentDataModule) -> SentimentModule:
        return SentimentModule(spec, data.state)

    def finish(
        self, spec: SpecValues, data: SentimentDataModule, validation: Tensor
    ) -> dict[str, Any]:
        """With model.skip=reference: the weights of the linear model's log-odds and the LSTM's."""
        if "skip" not in spec["model"]:
            return {}
        logits = validation[data.part("validation").inverse()]
        odds = torch.from_numpy(data.log_odds("validation"))
        weights = skip.fit_weights(odds, logits, data.labels("validation"))
        return {**skip.keep(data.linear_model, weights)}

    def finished(
        self, data: SentimentDataModule, part: str, output: Tensor, finish: Section
    ) -> Tensor:
        if not finish:
            return output
        order = data.part(part).inverse().argsort()  # the batches'
        odds = torch.from_numpy(data.log_odds(part))[order]
        return skip.add_log_odds(odds, output, finish["weights"])

    def evaluate(self, data: SentimentDataModule, part: str, output: Tensor) -> Evaluation:
        evaluation = evaluate_classifier(
            logits=output[data.part(part).inverse()],
            y=data.labels(part),
            references=data.references(part),
            leaked=data.leaked if part == "test" else data.leaked[:0],
            classes=data.reviews.classes,
            texts=data.texts(part),
        )
        if part == "test" and data.reviews.ceiling is not None:
            evaluation.metrics["ceiling/accuracy"] = data.reviews.ceiling
        return evaluation

    def draw(
        self,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        twin: Path | None,
        name: str,
        spec: SpecValues,
    ) -> Sequence[str]:
        predictions, other = tables["predictions"], figures.stored(twin, "predictions")
        columns = [str(column) for column in predictions]
        classes = [column.removeprefix("p_") for column in columns if column.startswith("p_")]
        figures.save_figure(draw_confusion(predictions, classes, name), folder / "confusion.png")
        super().draw(folder, tables, twin, name, spec)
        if other is None:
            return self.pictures
        find_disagreements(predictions, other).to_csv(folder / "disagreements.csv", index=False)
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

    def unit_scores(self, runs: StudyRuns) -> UnitScores:
        return item_scores(runs)

    def significance(self, runs: StudyRuns) -> BeyondSeeds:
        return compare_answers(runs)

    def report_sections(self, comparison: Comparison, w: Translator) -> list[Html]:
        return report.review_sections(comparison, w)

    def predict(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        return predict_labels(overrides, checkpoint)

    def profile(self, table: Reviews) -> dict[str, Any]:
        counts = table.table["label"].value_counts()
        return {
            "reviews": len(table.table),
            **{name: int(counts.get(label, 0)) for label, name in enumerate(table.classes)},
        }

    def describe(self, table: Reviews) -> str:
        counts = self.profile(table)
        total = counts.pop("reviews")
        classes = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        best = "" if table.ceiling is None else f"; best attainable accuracy {table.ceiling:.4f}"
        return f"{total:,} reviews ({classes}){best}"

    def table_title(self, metrics: Mapping[str, float]) -> str:
        title = f"test part, {int(metrics.get('test/samples', 0)):,} reviews"
        best, leaked = metrics.get("test/ceiling/accuracy"), int(metrics.get("test/leaked", 0))
        if best is not None:
            title += f"; best attainable accuracy {best:.4f}"
        if leaked:
            title += f"; unseen: without the {leaked:,} that are in the training part too"
        return title

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        accuracy, linear = metrics["test/accuracy"], metrics["test/linear/accuracy"]
        correct, lead = f"The run gets {100 * accuracy:.2f}% right", 100 * (accuracy - linear)
        if lead > 0:
            return f"{correct} and beats the linear model by {lead:.2f} points"
        return f"{correct} and stays {-lead:.2f} points below the linear model"

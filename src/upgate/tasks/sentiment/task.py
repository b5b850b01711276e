"""The sentiment task, as the rest of the program sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from upgate.config.schema import build
from upgate.config.values import Section, SpecValues
from upgate.data.reviews.sources import SOURCES, load_reviews
from upgate.data.reviews.table import Reviews
from upgate.data.splits.stratified import SPLITS
from upgate.files import write_atomic
from upgate.messages import joined
from upgate.model.export.network import Network
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.store.registry import Input
from upgate.tasks import figures
from upgate.tasks.base import Declared, Evaluation, Fetch, StoredRun, Task, check_source
from upgate.tasks.blocks import Block
from upgate.tasks.registry import register_task
from upgate.tasks.search_blocks import BlockRequest, stratified_block
from upgate.tasks.sentiment import skip
from upgate.tasks.sentiment.datamodule import SentimentDataModule, SentimentTask
from upgate.tasks.sentiment.explained import explain_words
from upgate.tasks.sentiment.export import export_reviews
from upgate.tasks.sentiment.facts import SentimentFacts
from upgate.tasks.sentiment.figures import draw_confusion, find_disagreements
from upgate.tasks.sentiment.metrics import evaluate_classifier
from upgate.tasks.sentiment.module import SentimentModule
from upgate.tasks.sentiment.predict import (
    EXAMPLE,
    MOST,
    frame_texts,
    label,
    parse_texts,
    predict_labels,
    texts,
)
from upgate.tasks.sentiment.texts import say


@register_task
class Sentiment(SentimentFacts, Task):
    skips = True
    table_type = Reviews
    files = "texts"
    predict_keys = ("text", "data.path")
    inputs = (Input(None, "string"),)  # unnamed, so that a list of texts is an input too

    def declarations(self) -> Mapping[str, Declared]:
        return {"task": {self.name: SentimentTask}, "data": SOURCES, "split": SPLITS}

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

    def measure_finish(
        self, data: SentimentDataModule, part: str, output: Tensor, finish: Section
    ) -> dict[str, float]:
        """What the LSTM alone gets right, beside its sum with the linear model."""
        if not finish:
            return {}
        logits, y = output[data.part(part).inverse()].double(), data.labels(part)
        accuracy = (logits.argmax(-1) == y).double().mean()
        return {
            "lstm/accuracy": float(accuracy),
            "lstm/loss": float(F.cross_entropy(logits, y)),
        }

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
        text = find_disagreements(predictions, other).to_csv(index=False)
        write_atomic(folder / "disagreements.csv", lambda file: file.write(text.encode()))
        return (*self.pictures, "disagreements.csv")

    def search_blocks(self, request: BlockRequest) -> list[Block]:
        """An official validation part is the only fold."""
        validation, table = request.split["validation"], request.table.table
        limit, reason = int(1 / validation + 1e-9), f"split.validation={validation}"
        if "split" in table and bool((table["split"] == "validation").any()):
            limit, reason = 1, say("official_validation")
        refusal = say("nested_of_prices")
        return [stratified_block(request, limit, reason, refusal)]

    def predict(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        return predict_labels(overrides, checkpoint)

    def predict_frame(
        self, frame: pd.DataFrame, checkpoint: Section, options: Mapping[str, Any]
    ) -> pd.DataFrame:
        return label(checkpoint, frame_texts(frame))

    def export(self, checkpoint: Section) -> Network:
        return export_reviews(checkpoint)

    def explain(self, run: StoredRun, twin: StoredRun, w: Translator) -> list[Html]:
        return explain_words(run, twin, self.translator(w))

    def example(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        words = overrides or [f"text={EXAMPLE}"]
        return pd.DataFrame({"text": texts(parse_texts(words))[:MOST]})

    def profile(self, table: Reviews) -> dict[str, Any]:
        counts = table.table["label"].value_counts()
        return {
            "reviews": len(table.table),
            **{name: int(counts.get(label, 0)) for label, name in enumerate(table.classes)},
        }

    def describe(self, table: Reviews) -> str:
        counts = self.profile(table)
        total = counts.pop("reviews")
        classes = joined([f"{count:,} {name}" for name, count in counts.items()])
        about = say("about_reviews", total=f"{total:,}", classes=classes)
        if table.ceiling is None:
            return about
        return say("with_best", about=about, best=f"{table.ceiling:.4f}")

"""The sentiment task, as the rest of the program sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from upgate.config.schema import build
from upgate.data.reviews.sources import SOURCES, load_reviews
from upgate.data.reviews.table import Reviews
from upgate.data.splits.stratified import check_split
from upgate.tasks import figures
from upgate.tasks.base import Judgement, Task, check_source
from upgate.tasks.sentiment import figures as figures_text
from upgate.tasks.sentiment.datamodule import SentimentDataModule, SentimentTask
from upgate.tasks.sentiment.metrics import judge
from upgate.tasks.sentiment.module import SentimentModule


class Sentiment(Task):
    name = "sentiment"
    columns = (
        ("accuracy", "accuracy", ".4f"),
        ("accuracy_unseen", "unseen", ".4f"),
        ("macro_f1", "macro F1", ".4f"),
        ("mcc", "Matthews", ".4f"),
        ("loss", "loss", ".4f"),
        ("ece", "calibration", ".4f"),
    )
    references = ("majority", "linear")
    pictures = ("confusion.png", "curves.png")

    def plain(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return build(SentimentTask, asked, "task").plain()

    def split(self, asked: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
        return check_split(asked)

    def load(self, source: Mapping[str, Any]) -> Reviews:
        check_source(source, SOURCES, self.name)
        return load_reviews(source)

    def data(
        self,
        table: Reviews,
        task: Mapping[str, Any],
        split: Mapping[str, Any],
        fold: int,
        config: Mapping[str, Any],
    ) -> SentimentDataModule:
        return SentimentDataModule(table, task, split, fold, Path(config["cache"]))

    def learner(self, spec: dict[str, Any], data: SentimentDataModule) -> SentimentModule:
        return SentimentModule(spec, data.state)

    def judge(self, data: SentimentDataModule, part: str, output: Tensor) -> Judgement:
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
        return Judgement(judged.metrics | best, {"predictions": judged.predictions})

    def draw(
        self,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        twin: Path | None,
        name: str,
        spec: dict[str, Any],
    ) -> Sequence[str]:
        predictions, theirs = tables["predictions"], figures.kept(twin, "predictions")
        classes = [
            column.removeprefix("p_") for column in map(str, predictions) if column.startswith("p_")
        ]
        figures.save(figures_text.confusion(predictions, classes, name), folder / "confusion.png")
        figures.save(
            figures.curves(tables["curve"], figures.kept(twin, "curve"), name),
            folder / "curves.png",
        )
        if theirs is None:
            return self.pictures
        figures_text.disagreements(predictions, theirs).to_csv(
            folder / "disagreements.csv", index=False
        )
        return (*self.pictures, "disagreements.csv")

    def profile(self, table: Reviews) -> dict[str, Any]:
        counts = table.table["label"].value_counts()
        return {
            "reviews": len(table.table),
            **{name: int(counts.get(label, 0)) for label, name in enumerate(table.classes)},
        }

    def about(self, table: Reviews) -> str:
        counts = self.profile(table)
        classes = ", ".join(
            f"{count:,} {name}" for name, count in counts.items() if name != "reviews"
        )
        best = "" if table.ceiling is None else f"; best attainable accuracy {table.ceiling:.4f}"
        return f"{counts['reviews']:,} reviews ({classes}){best}"

    def title(self, metrics: Mapping[str, float]) -> str:
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

    def sentence(self, metrics: Mapping[str, float]) -> str:
        lead = 100 * (metrics["test/accuracy"] - metrics["test/linear/accuracy"])
        beats = f"beats the linear model by {lead:.2f}" if lead > 0 else f"stays {-lead:.2f}"
        return f"The run gets {100 * metrics['test/accuracy']:.2f}% right and {beats} points" + (
            "" if lead > 0 else " below the linear model"
        )

    def gap(self, ours: float, theirs: float) -> str:
        change = 100 * (ours - theirs)
        return (
            f"its accuracy is {abs(change):.2f} points {'higher' if change > 0 else 'lower'} than"
        )


TASK = Sentiment()

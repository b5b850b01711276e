"""The sentiment LightningDataModule: reviews, a task and a fold in; length buckets of tokens out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from upgate.config.schema import PositiveInt
from upgate.data.bucketed_loader import BucketedLoader
from upgate.data.datamodule import FoldDataModule
from upgate.data.reviews.baselines import linear, majority
from upgate.data.reviews.table import Reviews, leaked
from upgate.data.reviews.tokenizer import fit_tokenizer, take, tokenize, vocabulary_size
from upgate.data.splits.stratified import parts_of


@dataclass(frozen=True)
class SentimentTask:
    """How text becomes vectors: at most `vocabulary` tokens, of each review the first `max_tokens`, each `embedding` wide."""

    name: str
    tokenizer: Literal["words", "subwords"]
    vocabulary: PositiveInt
    max_tokens: PositiveInt
    embedding: PositiveInt

    def plain(self) -> dict[str, Any]:
        return dict(vars(self))


class SentimentDataModule(FoldDataModule):
    """The tokens of one fold and their loaders; the tokenizer and the references are fitted on the training part only.

    `state`: plain values for the checkpoint, all that a prediction needs. What takes long lies in the folder `cache`.
    """

    evaluation_batch = 256

    def __init__(
        self,
        reviews: Reviews,
        task: Mapping[str, Any],
        split: Mapping[str, Any],
        fold: int,
        cache: Path,
    ) -> None:
        super().__init__()
        self.reviews, self.cache = reviews, cache
        labels = reviews.table["label"].to_numpy(copy=True)
        official = reviews.table["split"].to_numpy(object) if "split" in reviews.table else None
        self.rows, self.y = parts_of(labels, official, split, fold), torch.from_numpy(labels)
        tokenizer = fit_tokenizer(self.texts("train"), task["tokenizer"], task["vocabulary"])
        self.corpus = tokenize(tokenizer, reviews.table["text"].tolist(), task["max_tokens"], cache)
        self.state = {
            "tokenizer": tokenizer,
            "vocabulary": vocabulary_size(tokenizer),
            "max_tokens": task["max_tokens"],
            "classes": list(reviews.classes),
        }
        self.leaked = leaked(self.texts("train"), self.texts("test"))
        self._references: dict[str, dict[str, np.ndarray]] = {}

    def texts(self, part: str) -> list[str]:
        return self.reviews.table["text"].to_numpy()[self.rows[part].numpy()].tolist()

    def labels(self, part: str) -> Tensor:
        return self.y[self.rows[part]]

    def batches(self, part: str, batch_size: int, seed: int | None) -> BucketedLoader:
        rows, lengths = self.rows[part], self.corpus.lengths
        return BucketedLoader(take(self.corpus, self.y), rows, lengths, batch_size, seed)

    def part(self, name: str) -> BucketedLoader:
        return self.batches(name, self.evaluation_batch, None)

    def references(self, part: str) -> dict[str, np.ndarray]:
        """Class probabilities, (n, K), of the references for validation or test; both are made when one is first asked for."""
        if not self._references:
            y, classes, ends = (
                self.labels("train").numpy(),
                len(self.reviews.classes),
                self.sizes["validation"],
            )
            both = linear(
                self.texts("train"),
                y,
                self.texts("validation") + self.texts("test"),
                classes,
                self.cache,
            )
            for name, own in (("validation", both[:ends]), ("test", both[ends:])):
                self._references[name] = {"majority": majority(y, classes, len(own)), "linear": own}
        return self._references[part]

    @property
    def sizes(self) -> dict[str, int]:
        return {part: len(rows) for part, rows in self.rows.items()}

    @property
    def notes(self) -> dict[str, int]:
        cut = int((self.corpus.lengths == self.state["max_tokens"]).sum())
        return {
            f"reviews of {self.state['max_tokens']} tokens or more (only their first ones are read)": cut,
            "test reviews that are in the training part too (counted in accuracy, not in accuracy_unseen)": int(
                self.leaked.sum()
            ),
        }

"""The LightningDataModule of reviews: a table, a task and a fold in; batches of tokens out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from torch import Tensor

from upgate.config.compose import compose
from upgate.config.keywords import Part, keyword_overrides
from upgate.config.schema import NonNegativeInt, PositiveInt, build
from upgate.config.values import Section, Value
from upgate.data.bucketed_loader import BucketedLoader
from upgate.data.datamodule import FoldDataModule
from upgate.data.reviews.baselines import linear, majority
from upgate.data.reviews.nb_logistic import LogOdds, log_odds
from upgate.data.reviews.ngram_ratios import kept_ratios, with_ratios
from upgate.data.reviews.sources import to_reviews
from upgate.data.reviews.table import Reviews, leaked
from upgate.data.reviews.tokenizer import (
    Keep,
    cached_tokenizer,
    token_batches,
    tokenize,
    vocabulary_size,
)
from upgate.data.splits.stratified import check_stratified, split_rows
from upgate.errors import UserError
from upgate.tasks.sentiment.texts import say


@dataclass(frozen=True)
class SentimentTask:
    """How text becomes vectors.

    Of `vocabulary` tokens at most `max_tokens` of each review (`keep` says which), each `embedding`
    wide, beside it the log-count ratios of its n-grams up to `ngrams`.
    """

    name: str
    tokenizer: Literal["words", "subwords"]
    vocabulary: PositiveInt
    max_tokens: PositiveInt
    embedding: PositiveInt
    keep: Keep = "head"
    ngrams: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.vocabulary**self.ngrams >= 2**63:
            longest = int(63 / math.log2(self.vocabulary))
            raise UserError(
                say(
                    "ngrams_too_long",
                    ngrams=self.ngrams,
                    vocabulary=f"{self.vocabulary:,}",
                    longest=longest,
                )
            )

    def to_dict(self) -> dict[str, Any]:
        """Without what older runs did not say: their keys stay."""
        later = {"keep": "head", "ngrams": 0}
        return {key: value for key, value in vars(self).items() if later.get(key) != value}


class SentimentDataModule(FoldDataModule):
    """The tokens of one fold and their loaders.

    The tokenizer and the references are fitted on the training part only. `state`: plain values for
    the checkpoint, all that a prediction needs. The folder `cache` keeps what takes long.
    """

    evaluation_batch = 256

    def __init__(
        self,
        reviews: Reviews,
        task: Section,
        split: Section,
        fold: int,
        cache: Path,
    ) -> None:
        super().__init__()
        self.settings = dict(task)
        self.reviews, self.cache = reviews, cache
        labels = reviews.table["label"].to_numpy(copy=True)
        official = reviews.table["split"].to_numpy(object) if "split" in reviews.table else None
        self.rows, self.y = (
            split_rows(labels, official, split, fold, reviews.classes),
            torch.from_numpy(labels),
        )
        tokenizer = cached_tokenizer(
            self.texts("train"), task["tokenizer"], task["vocabulary"], cache
        )
        limit = {"max_tokens": task["max_tokens"], "keep": task.get("keep", "head")}
        self.corpus = tokenize(tokenizer, reviews.table["text"].tolist(), folder=cache, **limit)
        self.state = {
            "tokenizer": tokenizer,
            "vocabulary": vocabulary_size(tokenizer),
            "classes": list(reviews.classes),
            **limit,
        }
        self.take = token_batches(self.corpus, self.y)
        if longest := task.get("ngrams", 0):
            self._add_ratios(longest)
        self.leaked = leaked(self.texts("train"), self.texts("test"))
        # both are filled at the first need, and shared by the views of all runs
        self._references: dict[str, dict[str, np.ndarray]] = {}
        self._linear: list[tuple[LogOdds, np.ndarray]] = []

    @classmethod
    def create(
        cls,
        reviews: Reviews | pd.DataFrame | Path | str | None = None,
        *,
        task: Mapping[str, Value] | None = None,
        split: Part | None = None,
        fold: int = 0,
        batch_size: int | None = None,
        seed: int = 0,
        cache: Path | str = "data/prepared",
    ) -> Self:
        """For a Trainer of one's own: the loaders of one fold.

        reviews: a frame with the columns text and label, or a file or folder of texts; None: the
        generated reviews. task: tokenizer, vocabulary, max_tokens, embedding, ...; what is not
        given is as in `conf/`. Raises UserError.
        """
        words = {"split": split, "batch_size": batch_size}
        words |= {"task": {"name": "sentiment", **(task or {})}}
        config = compose(keyword_overrides(words))
        settings = build(SentimentTask, config["task"], "task").to_dict()
        table = to_reviews(reviews, config["data"])
        data = cls(table, settings, check_stratified(config["split"]), fold, Path(cache))
        return data.with_batching(config["batch_size"], seed)

    def _add_ratios(self, longest: int) -> None:
        """Batches and checkpoints hold the n-grams' ratios from now on."""
        rows, vocabulary = self.rows["train"], self.state["vocabulary"]
        labels, classes = self.labels("train"), len(self.reviews.classes)
        ratios, fold = kept_ratios(
            self.corpus, rows, labels, classes, longest, vocabulary, self.cache
        )
        self.take = with_ratios(self.take, ratios, fold)
        self.state["ratios"] = ratios.to_dict()

    def texts(self, part: str) -> list[str]:
        return self.reviews.table["text"].to_numpy()[self.rows[part].numpy()].tolist()

    def labels(self, part: str) -> Tensor:
        return self.y[self.rows[part]]

    def batches(self, part: str, batch_size: int, seed: int | None) -> BucketedLoader:
        rows, lengths = self.rows[part], self.corpus.lengths
        return BucketedLoader(self.take, rows, lengths, batch_size, seed)

    def part(self, name: str) -> BucketedLoader:
        return self.batches(name, self.evaluation_batch, None)

    def references(self, part: str) -> dict[str, np.ndarray]:
        """Class probabilities, (n, K), of the references for validation or test.

        Both are computed at the first call.
        """
        if not self._references:
            y, classes = self.labels("train").numpy(), len(self.reviews.classes)
            new = self.texts("validation") + self.texts("test")
            both = linear(self.texts("train"), y, new, classes, self.cache)
            end = self.sizes["validation"]
            for name, p in (("validation", both[:end]), ("test", both[end:])):
                self._references[name] = {
                    "majority": majority(y, classes, len(p)),
                    "linear": p,
                    "nb_logistic": softmax(self.log_odds(name).astype(np.float64), axis=1),
                }
        return self._references[part]

    @property
    def _fitted(self) -> tuple[LogOdds, np.ndarray]:
        """The naive-Bayes-weighted linear model, and its logits for validation, then test."""
        if not self._linear:
            y, classes = self.labels("train").numpy(), len(self.reviews.classes)
            new = self.texts("validation") + self.texts("test")
            self._linear.append(log_odds(self.texts("train"), y, new, classes, self.cache))
        return self._linear[0]

    @property
    def linear_model(self) -> LogOdds:
        """Logistic regression on naive-Bayes-weighted n-grams of the training part."""
        return self._fitted[0]

    def log_odds(self, part: str) -> np.ndarray:
        """Its logits for validation or test, (n, K) float32."""
        end = self.sizes["validation"]
        return self._fitted[1][:end] if part == "validation" else self._fitted[1][end:]

    @property
    def sizes(self) -> dict[str, int]:
        return {part: len(rows) for part, rows in self.rows.items()}

    @property
    def notes(self) -> dict[str, int]:
        limit, keep = self.state["max_tokens"], self.state["keep"]
        return {
            say(f"cut_{keep}", limit=limit): int((self.corpus.lengths == limit).sum()),
            say("leaked"): int(self.leaked.sum()),
        }

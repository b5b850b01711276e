"""What the n-grams that end at a token say of the classes: naive Bayes' log-count ratios.

Of an n-gram that p of P training texts of a class hold, and q of the Q others,
r = log((p + 1) / (P + 2)) - log((q + 1) / (Q + 2)) (the ratio of Wang and Manning 2012, ACL, for
texts that hold an n-gram or not). They stand beside the embedding of the n-gram's last token: the
network need not learn them from a few thousand labels.

A training text's own label must not stand in its input: the training texts are cut into FOLDS
parts, and a part sees the ratios of the others. Each class's texts are cut in their order, not at
random: collections keep the texts of one film or one shop together, and what its name says does
not help with another's.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from upgate.data.reviews.tokenizer import PADDING, Corpus
from upgate.files import make_once
from upgate.types import Batch

FOLDS = 5
RULE = 1  # of the counting: another one, where it changes, forgets what was kept
LEAST = 2  # texts that hold an n-gram; of one text, no other part could tell anything

Counts = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NgramRatios:
    """The n-grams of up to `longest` tokens, and their ratios.

    keys: (M + 1,) int64, ascending; the last one is of no n-gram. values: (F, M + 1, C) float32,
    the last ones 0; C is 1 for two classes (the second's ratios), else one for each class.
    values[0] is of all training texts, values[1 + f] without those of fold f.
    """

    longest: int
    vocabulary: int
    keys: Tensor
    values: Tensor

    def __call__(self, tokens: Tensor, fold: Tensor) -> Tensor:
        """(B, T) int64 tokens, (B,) rows of `values` -> (B, T, longest * C)."""
        found = []
        for key in ngram_keys(tokens, self.longest, self.vocabulary):
            at = torch.searchsorted(self.keys, key)
            at = torch.where(self.keys[at] == key, at, len(self.keys) - 1)
            found.append(self.values[fold[:, None], at])
        return torch.cat(found, dim=-1)

    @property
    def width(self) -> int:
        """The numbers beside each token."""
        return self.longest * self.values.shape[-1]

    def to_dict(self) -> dict[str, Any]:
        """What a prediction needs, for a checkpoint: without the folds."""
        return {**vars(self), "values": self.values[:1].clone()}


def ngram_keys(tokens: Tensor, longest: int, vocabulary: int) -> list[Tensor]:
    """The n-grams that end at each token, as one number: (B, T) for n = 1, ..., longest.

    0 where a text has not begun n tokens before; PADDING, 0, stands in no text.
    """
    keys, before = [tokens], tokens
    for n in range(1, longest):
        before = F.pad(before, (1, 0), value=PADDING)[:, : tokens.shape[1]]
        longer = keys[-1] + before * vocabulary**n
        keys.append(torch.where(before == PADDING, PADDING, longer))
    return keys


def with_ratios(
    take: Callable[[Tensor], Batch], ratios: NgramRatios, fold: Tensor
) -> Callable[[Tensor], Batch]:
    """Batches that hold "ratios", (B, T, `ratios.width`), too. fold: of every row, (n,)."""

    def batch(rows: Tensor) -> Batch:
        taken = take(rows)
        return {**taken, "ratios": ratios(taken["x"], fold[rows])}

    return batch


def kept_ratios(
    corpus: Corpus,
    rows: Tensor,
    labels: Tensor,
    classes: int,
    longest: int,
    vocabulary: int,
    folder: Path,
) -> tuple[NgramRatios, Tensor]:
    """`fit_ratios`, kept in `folder` under the sha256 of all it depends on."""
    settings = [RULE, FOLDS, LEAST, classes, longest, vocabulary]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for part in (corpus.tokens, corpus.ends, rows.numpy(), labels.numpy()):
        digest.update(f" {part.dtype} {len(part)} ".encode())
        digest.update(np.ascontiguousarray(part).data)
    path = folder / f"ngrams-{digest.hexdigest()}.npz"

    def count() -> Callable[[BinaryIO], object]:
        made, _ = fit_ratios(corpus, rows, labels, classes, longest, vocabulary)
        return partial(np.savez, keys=made.keys.numpy(), values=made.values.numpy())

    make_once(path, count)
    with np.load(path) as kept:
        both = torch.from_numpy(kept["keys"]), torch.from_numpy(kept["values"])
    return NgramRatios(longest, vocabulary, *both), _fold_of_texts(corpus, rows, labels)


def fit_ratios(
    corpus: Corpus, rows: Tensor, labels: Tensor, classes: int, longest: int, vocabulary: int
) -> tuple[NgramRatios, Tensor]:
    """The ratios of the training texts `rows`, whose labels are `labels`, both (n,).

    And the fold of every text of the corpus: 0, and 1 to FOLDS for training texts.
    """
    held = [_held(corpus, int(row), longest, vocabulary) for row in rows]
    text = np.repeat(np.arange(len(held)), [len(one) for one in held])
    keys, at, found = np.unique(np.concatenate(held), return_inverse=True, return_counts=True)
    often = found >= LEAST
    text, at = text[often[at]], (np.cumsum(often) - 1)[at[often[at]]]
    y, own = labels.numpy(), cut_folds(labels).numpy()
    wanted = range(classes) if classes > 2 else (1,)
    columns = [_ratios(at, text, y == k, own, int(often.sum())) for k in wanted]
    values = torch.from_numpy(np.pad(np.stack(columns, axis=-1), ((0, 0), (0, 1), (0, 0))))
    kept = torch.from_numpy(np.append(keys[often], np.iinfo(np.int64).max))
    return NgramRatios(longest, vocabulary, kept, values), _fold_of_texts(corpus, rows, labels)


def _fold_of_texts(corpus: Corpus, rows: Tensor, labels: Tensor) -> Tensor:
    """The row of `values` that each text of the corpus sees, (len(corpus),)."""
    fold = torch.zeros(len(corpus.ends) - 1, dtype=torch.int64)
    fold[rows] = 1 + cut_folds(labels)
    return fold


def cut_folds(labels: Tensor) -> Tensor:
    """The fold of each training text, (n,): each class's texts in FOLDS runs of equal length."""
    fold = torch.empty_like(labels)
    for label in labels.unique():
        (rows,) = torch.where(labels == label)
        fold[rows] = torch.arange(len(rows)) * FOLDS // len(rows)
    return fold


def _held(corpus: Corpus, row: int, longest: int, vocabulary: int) -> NDArray[np.int64]:
    """The different n-grams of a text, (m,)."""
    text = torch.from_numpy(corpus.tokens[corpus.ends[row] : corpus.ends[row + 1]]).long()
    keys = torch.cat(ngram_keys(text[None], longest, vocabulary)).unique()
    return keys[keys != PADDING].numpy()


def _ratios(
    at: NDArray[np.int64], text: NDArray[np.int64], positive: np.ndarray, fold: np.ndarray, m: int
) -> Counts:
    """One class against the others, (1 + FOLDS, m): of all texts, then without each fold.

    at, text: the n-gram and the text of each pair that is held.
    """
    group = 2 * fold + positive  # of each text
    held = np.bincount(group[text] * m + at, minlength=2 * FOLDS * m).reshape(FOLDS, 2, m)
    there = np.bincount(group, minlength=2 * FOLDS).reshape(FOLDS, 2)
    without = [held.sum(0), *(held.sum(0) - held)]
    others = [there.sum(0), *(there.sum(0) - there)]
    return np.stack([_log_count_ratio(*pair) for pair in zip(without, others, strict=True)])


def _log_count_ratio(held: NDArray[np.int64], there: NDArray[np.int64]) -> Counts:
    """held (2, m), there (2,): texts of the other classes and of the class. 0 where none holds."""
    share = np.log(held + 1.0) - np.log(there + 2.0)[:, None]
    ratio = np.where(held.any(axis=0), share[1] - share[0], 0)
    return ratio.astype(np.float32)

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
from collections.abc import Callable, Iterator
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
AT_ONCE = 2**22  # n-grams that are counted together: some 400 MB
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
    y, own = labels.numpy(), cut_folds(labels).numpy()
    wanted = range(classes) if classes > 2 else (1,)
    keys, values = [], []
    for found in _repeated(*_in_a_row(corpus, rows.numpy()), longest, vocabulary):
        keys.append(found.keys)
        values.append(np.stack([_ratios(found, y == k, own) for k in wanted], axis=-1))
    order = np.argsort(joined := np.concatenate(keys))
    padded = np.pad(np.concatenate(values, axis=1)[:, order], ((0, 0), (0, 1), (0, 0)))
    kept = torch.from_numpy(np.append(joined[order], np.iinfo(np.int64).max))
    ratios = NgramRatios(longest, vocabulary, kept, torch.from_numpy(padded))
    return ratios, _fold_of_texts(corpus, rows, labels)


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


@dataclass(frozen=True)
class Held:
    """Which n-grams stand in which texts.

    keys: (m,), ascending. at, text: the n-gram and the text of each pair that is held, (p,).
    """

    keys: NDArray[np.int64]
    at: NDArray[np.int64]
    text: NDArray[np.int32]


def _in_a_row(
    corpus: Corpus, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The tokens of these texts, one text after the other, and the text of each, from 0 on."""
    starts, lengths = corpus.ends[rows], np.diff(corpus.ends)[rows]
    before = np.cumsum(lengths) - lengths
    places = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
    return corpus.tokens[places], np.repeat(np.arange(len(rows), dtype=np.int32), lengths)


def _repeated(
    tokens: NDArray[np.int32], text: NDArray[np.int32], longest: int, vocabulary: int
) -> Iterator[Held]:
    """The n-grams that LEAST texts hold, of some AT_ONCE n-grams at a time: memory is bounded."""
    keys = tokens.astype(np.int64)
    for n in range(1, longest + 1):
        last = text[n - 1 :]  # the text of the n-gram that ends at each token but the first n - 1
        if n > 1:  # as `ngram_keys`, whose padding would take half as much memory again
            keys = keys[1:] + tokens[: len(last)] * np.int64(vocabulary ** (n - 1))
        inside = last == text[: len(last)]
        shares = -(-len(keys) // AT_ONCE)
        for share in range(shares):
            chosen = inside & (keys % shares == share)
            yield _often(keys[chosen], last[chosen])


def _often(keys: NDArray[np.int64], text: NDArray[np.int32]) -> Held:
    """The n-grams that stand in LEAST texts or more, given each where it stands, in text order."""
    order = np.argsort(keys, kind="stable")
    keys, text = keys[order], text[order]
    another = np.diff(keys, prepend=-1) != 0
    first = another | (np.diff(text, prepend=-1) != 0)  # of an n-gram in a text
    keys, text, another = keys[first], text[first], another[first]
    texts = np.diff(np.append(np.flatnonzero(another), len(keys)))  # of each n-gram
    often = texts >= LEAST
    at = np.repeat(np.arange(often.sum()), texts[often])
    return Held(keys[another][often], at, text[np.repeat(often, texts)])


def _ratios(found: Held, positive: np.ndarray, fold: np.ndarray) -> Counts:
    """One class against the others, (1 + FOLDS, m): of all texts, then without each fold."""
    m = len(found.keys)
    group = 2 * fold + positive  # of each text
    pairs = group[found.text] * m + found.at
    held = np.bincount(pairs, minlength=2 * FOLDS * m).reshape(FOLDS, 2, m)
    there = np.bincount(group, minlength=2 * FOLDS).reshape(FOLDS, 2)
    without = [held.sum(0), *(held.sum(0) - held)]
    others = [there.sum(0), *(there.sum(0) - there)]
    return np.stack([_log_count_ratio(*pair) for pair in zip(without, others, strict=True)])


def _log_count_ratio(held: NDArray[np.int64], there: NDArray[np.int64]) -> Counts:
    """held (2, m), there (2,): texts of the other classes and of the class. 0 where none holds."""
    share = np.log(held + 1.0) - np.log(there + 2.0)[:, None]
    ratio = np.where(held.any(axis=0), share[1] - share[0], 0)
    return ratio.astype(np.float32)

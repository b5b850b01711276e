"""What is kept of reviews is made again, to the same numbers, where its file is damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.files import DAMAGES
from upgate.data.reviews.baselines import linear
from upgate.data.reviews.nb_logistic import log_odds
from upgate.data.reviews.ngram_ratios import kept_ratios
from upgate.data.reviews.tokenizer import cached_tokenizer, fit_tokenizer, tokenize

TEXTS = ["a good film", "a bad film", "good , very good", "bad , so bad"]
Y = np.array([1, 0, 1, 0])


def tokens(folder: Path) -> tuple[Any, ...]:
    corpus = tokenize(fit_tokenizer(TEXTS, "words", 10), TEXTS, 9, folder)
    return np.array(corpus.tokens), corpus.ends


def tokenizer(folder: Path) -> tuple[Any, ...]:
    return (cached_tokenizer(TEXTS, "words", 10, folder),)


def tfidf(folder: Path) -> tuple[Any, ...]:
    return (linear(TEXTS, Y, ["good", "bad"], 2, folder),)


def bayes(folder: Path) -> tuple[Any, ...]:
    model, new = log_odds(TEXTS, Y, ["good", "bad"], 2, folder)
    return model.coefficients, model.intercept, new


def ratios(folder: Path) -> tuple[Any, ...]:
    corpus = tokenize(fit_tokenizer(TEXTS, "words", 10), TEXTS, 9, None)
    made, fold = kept_ratios(corpus, torch.arange(4), torch.from_numpy(Y), 2, 3, 12, folder)
    return made.keys, made.values, fold


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (tokens, "*.tokens.npy"),
        (tokens, "*.ends.npy"),
        (tokenizer, "*.tokenizer.json"),
        (tfidf, "linear-*.npy"),
        (bayes, "nb-logistic-*.npz"),
        (ratios, "ngrams-*.npz"),
    ],
)
def test_a_damaged_cache_is_made_again_with_a_word(
    make: Callable[[Path], tuple[Any, ...]],
    name: str,
    damage: Callable[[Path], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = make(tmp_path)
    (path,) = tmp_path.glob(name)
    whole = path.read_bytes()
    damage(path)
    for _ in range(2):
        assert all(map(np.array_equal, make(tmp_path), first))
        assert caplog.text.count("it is made again") == 1
    assert path.read_bytes() == whole

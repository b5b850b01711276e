"""Naive Bayes' ratios of n-grams: against a recount in plain Python, and what training may see."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from upgate.data.reviews import ngram_ratios
from upgate.data.reviews.ngram_ratios import (
    FOLDS,
    LEAST,
    cut_folds,
    fit_ratios,
    kept_ratios,
    with_ratios,
)
from upgate.data.reviews.tokenizer import Corpus, token_batches

VOCABULARY, LONGEST = 7, 3


def draw(texts: int, classes: int, seed: int = 0) -> tuple[Corpus, Tensor]:
    """Short texts over few words, and labels."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, texts)
    tokens = rng.integers(1, VOCABULARY, lengths.sum()).astype(np.int32)
    corpus = Corpus(tokens, np.cumsum([0, *lengths], dtype=np.int64))
    return corpus, torch.from_numpy(rng.integers(0, classes, texts))


def grams(corpus: Corpus, row: int) -> list[list[tuple[int, ...]]]:
    """The n-grams that end at each token of a text, n = 1, 2, 3."""
    text = corpus.tokens[corpus.ends[row] : corpus.ends[row + 1]].tolist()
    ends = range(1, len(text) + 1)
    return [[tuple(text[e - n : e]) for n in range(1, LONGEST + 1) if e >= n] for e in ends]


def recount(corpus: Corpus, rows: list[int], positive: set[int]) -> dict[tuple[int, ...], float]:
    """r of every n-gram of these texts, by the formula."""
    held: dict[bool, Counter[tuple[int, ...]]] = {True: Counter(), False: Counter()}
    for row in rows:
        held[row in positive].update({gram for at in grams(corpus, row) for gram in at})
    there = {kind: sum((row in positive) == kind for row in rows) for kind in held}

    def share(kind: bool, gram: tuple[int, ...]) -> float:
        return math.log((held[kind][gram] + 1) / (there[kind] + 2))

    return {g: share(True, g) - share(False, g) for g in held[True] | held[False]}


@pytest.mark.parametrize("classes", [2, 3])
def test_the_ratios_are_those_of_the_other_folds(classes: int) -> None:
    corpus, y = draw(90, classes)
    rows = torch.arange(60)
    ratios, fold = fit_ratios(corpus, rows, y[rows], classes, LONGEST, VOCABULARY)
    batches = with_ratios(token_batches(corpus, y), ratios, fold)
    given = batches(torch.arange(90))["ratios"].numpy()
    assert given.shape[-1] == ratios.width == LONGEST * (1 if classes == 2 else 3)
    holders = Counter(g for row in range(60) for g in {x for at in grams(corpus, row) for x in at})
    for column, k in enumerate([1] if classes == 2 else range(3)):
        positive = {row for row in range(60) if y[row] == k}
        for row in range(90):
            seen = [other for other in range(60) if row >= 60 or fold[other] != fold[row]]
            expected = recount(corpus, seen, positive)
            for at, ended in enumerate(grams(corpus, row)):
                found = given[row, at].reshape(LONGEST, -1)[:, column]
                wanted = [expected.get(g, 0.0) if holders[g] >= LEAST else 0.0 for g in ended]
                assert found == pytest.approx(wanted + [0.0] * (LONGEST - len(wanted)), abs=1e-5)


def test_counting_in_shares_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, y = draw(90, 3)
    rows = torch.randperm(90, generator=torch.Generator().manual_seed(0))[:60]
    whole, _ = fit_ratios(corpus, rows, y[rows], 3, LONGEST, VOCABULARY)
    monkeypatch.setattr(ngram_ratios, "AT_ONCE", 17)
    shared, _ = fit_ratios(corpus, rows, y[rows], 3, LONGEST, VOCABULARY)
    assert torch.equal(whole.keys, shared.keys) and torch.equal(whole.values, shared.values)


def test_fewer_words_than_an_n_gram_has() -> None:
    corpus = Corpus(np.array([1, 1, 2], np.int32), np.arange(4))
    ratios, _ = fit_ratios(corpus, torch.arange(3), torch.tensor([0, 1, 1]), 2, 9, VOCABULARY)
    assert ratios.keys.tolist() == [1, np.iinfo(np.int64).max]


def test_a_label_does_not_reach_its_own_text() -> None:
    """Other labels in a fold, as many of each class: the same input for all its texts."""
    corpus, y = draw(100, 2)
    rows = torch.arange(100)
    y[:] = rows % 2
    fold = cut_folds(y)
    turned = y.clone()
    (own,) = torch.where(fold == 2)
    turned[own] = 1 - turned[own]
    assert torch.equal(cut_folds(turned)[own], fold[own]), "the same fold with other labels"
    before, after = (fit_ratios(corpus, rows, labels, 2, 3, VOCABULARY) for labels in (y, turned))
    assert torch.equal(before[0].values[3], after[0].values[3])
    assert not torch.equal(before[0].values[0], after[0].values[0])


def test_neighbours_of_a_class_share_a_fold() -> None:
    """A collection keeps the texts of one film together; half of them would tell of the others."""
    fold = cut_folds(torch.tensor([0] * 50 + [1] * 20))
    assert fold.tolist() == [i // 10 for i in range(50)] + [i // 4 for i in range(20)]
    assert set(cut_folds(torch.tensor([0, 1, 1])).tolist()) <= set(range(FOLDS))


def test_padding_and_neighbours_in_the_batch_change_nothing() -> None:
    corpus, y = draw(40, 2)
    ratios, fold = fit_ratios(corpus, torch.arange(40), y, 2, LONGEST, VOCABULARY)
    batches = with_ratios(token_batches(corpus, y), ratios, fold)
    together = batches(torch.arange(40))
    for row, length in enumerate(together["lengths"].tolist()):
        alone = batches(torch.tensor([row]))["ratios"][0]
        assert torch.equal(together["ratios"][row, :length], alone)
        assert not together["ratios"][row, length:].any()


def test_texts_that_share_no_word_have_no_ratios() -> None:
    corpus = Corpus(np.array([1, 2, 3], np.int32), np.arange(4))
    y = torch.tensor([0, 1, 0])
    ratios, fold = fit_ratios(corpus, torch.arange(3), y, 2, LONGEST, VOCABULARY)
    assert not with_ratios(token_batches(corpus, y), ratios, fold)(torch.arange(3))["ratios"].any()


def test_ratios_are_counted_once_and_again_for_whatever_decides_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def count(*given: object) -> object:
        counted.append(given)
        return fit_ratios(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(ngram_ratios, "fit_ratios", count)
    corpus, y = draw(60, 3)
    rows, other = torch.arange(40), Corpus(corpus.tokens[::-1].copy(), corpus.ends)
    plain = (corpus, rows, y[rows], 3, LONGEST, VOCABULARY)
    fitted, fold = fit_ratios(*plain)
    for times in range(2):
        kept, its_fold = kept_ratios(*plain, tmp_path)
        assert torch.equal(kept.keys, fitted.keys) and torch.equal(kept.values, fitted.values)
        assert torch.equal(its_fold, fold) and len(counted) == 1, times
    varied = [
        (other, *plain[1:]),
        (corpus, rows + 1, *plain[2:]),
        (corpus, rows, y[rows + 1], *plain[3:]),
        (*plain[:4], 2, VOCABULARY),
        (*plain[:5], VOCABULARY + 1),
    ]
    for n, one in enumerate(varied):
        kept, _ = kept_ratios(*one, tmp_path)
        assert torch.equal(kept.values, fit_ratios(*one)[0].values) and len(counted) == n + 2

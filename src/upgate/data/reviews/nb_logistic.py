"""Logistic regression on 1- to 3-grams weighted by naive Bayes (Wang and Manning 2012, ACL).

An n-gram f that stands in a text counts r_f = log((p_f / |p|) / (q_f / |q|)), p and q being one
more than the texts of the class, and of the others, that hold it. Tokens are those of the TF-IDF
reference: English words, Chinese characters, whose 1- to 3-grams hold most Chinese words. They are
hashed into 2^20 places, so that the whole model is four megabytes and a checkpoint can hold it.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from upgate.data.reviews.baselines import TOKEN
from upgate.files import make_once

HASHING = {
    "token_pattern": TOKEN,
    "ngram_range": (1, 3),
    "n_features": 2**20,
    "binary": True,
    "norm": None,
    "alternate_sign": False,
}
# C: the lowest sum of losses on the development parts of SST-2 and ChnSentiCorp and a fifth of
# IMDb's training part: .872 with 1, .873 with .3, .921 with .1. newton-cg draws nothing.
LOGISTIC = {"C": 1.0, "solver": "newton-cg", "tol": 1e-4}
ABSENT = -30.0  # the log-odds of a class of which the training part has none

Floats = NDArray[np.float32]


class LogOdds:
    """A fitted model: `coefficients` (K, 2^20) and `intercept` (K,); of two classes, the second's.

    Then K is 1: the first class has log-odds of 0.
    """

    def __init__(self, coefficients: Floats, intercept: Floats) -> None:
        self.coefficients, self.intercept = coefficients, intercept

    def __call__(self, texts: Sequence[str]) -> Floats:
        """(n, K) float32 logits; (n, 2) of two classes."""
        found = count(texts) @ self.coefficients.T + self.intercept
        if found.shape[1] == 1:
            found = np.concatenate([np.zeros_like(found), found], axis=1)
        return np.asarray(found, np.float32)


def count(texts: Sequence[str]) -> sparse.csr_matrix:
    """Which n-grams stand in each text, (n, 2^20) of 0 and 1."""
    return HashingVectorizer(**HASHING, dtype=np.float32).transform(texts)


def fit_log_odds(texts: Sequence[str], y: np.ndarray, classes: int) -> LogOdds:
    """Each class against the others; of two classes, the second against the first."""
    x = count(texts)
    with threadpool_limits(1):
        fits = [_fit_one(x, y == k) for k in (range(classes) if classes > 2 else (1,))]
    coefficients, intercepts = zip(*fits, strict=True)
    return LogOdds(np.stack(coefficients), np.array(intercepts, np.float32))


def log_odds(
    texts: Sequence[str], y: np.ndarray, new: Sequence[str], classes: int, folder: Path
) -> tuple[LogOdds, Floats]:
    """The model of texts and labels y, and its logits for new texts, (len(new), K).

    Kept in `folder` under the sha256 of all it depends on: IMDb takes minutes.
    """
    settings = [{**HASHING, **LOGISTIC}, sklearn.__version__, classes]
    inputs = [*settings, list(texts), y.tolist(), list(new)]
    path = folder / f"nb-logistic-{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}.npz"

    def fit() -> Callable[[BinaryIO], object]:
        model = fit_log_odds(texts, y, classes)
        return partial(
            np.savez,
            coefficients=model.coefficients,
            intercept=model.intercept,
            new=model(new),
        )

    make_once(path, fit)
    with np.load(path) as kept:
        return LogOdds(kept["coefficients"], kept["intercept"]), kept["new"]


def _fit_one(x: sparse.csr_matrix, positive: np.ndarray) -> tuple[Floats, float]:
    """Coefficients (2^20,) and intercept of one class against the others."""
    if positive.all() or not positive.any():
        return np.zeros(x.shape[1], np.float32), -ABSENT if positive.all() else ABSENT
    p, q = (1 + np.asarray(x[rows].sum(axis=0)).ravel() for rows in (positive, ~positive))
    r = np.log((p / p.sum()) / (q / q.sum())).astype(np.float32)
    model = LogisticRegression(**LOGISTIC).fit(x @ sparse.diags(r), positive)
    return (model.coef_[0] * r).astype(np.float32), float(model.intercept_[0])

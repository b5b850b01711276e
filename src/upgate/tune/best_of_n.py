"""The expected best of n trials: without replacement, exactly, with a bootstrap band."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from upgate.seeds import derive

DRAWS, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Curve:
    """At n = 1, 2, ... trials: the expected best loss, and its band.

    inf: so few trials may all have diverged.
    """

    mean: list[float]
    low: list[float]
    high: list[float]


def expected_best(losses: ArrayLike) -> NDArray[np.float64]:
    """E[min of n] over all choices of n of the N losses, for n = 1 to N, (N,).

    The i-th smallest, from 1 on, is the least of n in C(N - i, n - 1) of the C(N, n) choices.
    """
    x = np.sort(np.asarray(losses, float))
    weights = _weights(len(x))
    bad = np.isinf(x)
    with np.errstate(invalid="ignore"):
        finite = weights @ np.where(bad, 0.0, x)
    return np.where((weights[:, bad] > 0).any(axis=1), np.inf, finite)


def _weights(n: int) -> NDArray[np.float64]:
    """(n, n): row m - 1 holds the chances that the i-th smallest is the least of m."""
    m, i = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)[None, :]
    possible = n - i >= m - 1
    log = _log_binomial(np.where(possible, n - i, m - 1), m - 1) - _log_binomial(n, m)
    return np.where(possible, np.exp(log), 0.0)


def _log_binomial(n: NDArray[np.int64] | int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    """log of n over k"""
    log: NDArray[np.float64] = (
        gammaln(np.asarray(n) + 1.0) - gammaln(k + 1.0) - gammaln(np.asarray(n) - k + 1.0)
    )
    return log


def best_of_n_curve(losses: Sequence[float], seed: int) -> Curve:
    """The curve of a search's losses, and its band from trials drawn again with replacement."""
    x = np.asarray(losses, float)
    if not len(x):
        return Curve([], [], [])
    rng = np.random.default_rng(derive(seed, "curve"))
    drawn = np.array([expected_best(x[rng.integers(len(x), size=len(x))]) for _ in range(DRAWS)])
    low = np.quantile(drawn, (1 - LEVEL) / 2, axis=0, method="lower")
    high = np.quantile(drawn, (1 + LEVEL) / 2, axis=0, method="higher")
    return Curve(expected_best(x).tolist(), low.tolist(), high.tolist())

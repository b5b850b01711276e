"""Folds of one data set share training data, so that their scores are not independent."""

import numpy as np

from upgate.stats.estimate import Estimate, Floats
from upgate.stats.students_t import t_isf, t_sf


def corrected(d: Floats, test_share: float, alpha: float = 0.05) -> Estimate:
    """Mean of differences over folds, (folds,), with the corrected resampled t-test.

    test_share: the test part's share of a fold's training and test data, .2 of five-fold
    cross-validation. The variance is (1/k + test/train) times the sample variance (Nadeau &
    Bengio 2003, Machine Learning 52).
    """
    k, mean = len(d), float(d.mean())
    if k < 2:
        return Estimate(mean, -np.inf, np.inf, 1.0, k)
    error = corrected_error(d, test_share)
    if error == 0:
        return Estimate(mean, mean, mean, float(mean == 0), k)
    half = t_isf(alpha / 2, k - 1) * error
    p = float(2 * t_sf(abs(mean) / error, k - 1))
    return Estimate(mean, mean - half, mean + half, p, k)


def corrected_error(d: Floats, test_share: float) -> float:
    """The standard error behind `corrected`."""
    factor = 1 / len(d) + test_share / (1 - test_share)
    return float(np.std(d, ddof=1) * np.sqrt(factor))

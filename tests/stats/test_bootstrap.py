"""Percentile intervals, widened for small samples."""

import numpy as np
import pytest
from scipy import stats

from upgate.stats.bootstrap import percentiles


def test_percentiles_of_normal_draws_are_the_t_interval_without_its_correction() -> None:
    drawn = np.random.default_rng(0).normal(size=200_000)
    for n in (6, 50):
        low, high = percentiles(drawn, 0.05, n)
        half = np.sqrt(n / (n - 1)) * stats.t.isf(0.025, n - 1)
        assert [low, high] == pytest.approx([-half, half], rel=0.03)


def test_what_is_not_a_number_could_be_any_and_a_single_unit_says_nothing() -> None:
    assert percentiles(np.array([np.nan, 0, 0, 0]), 0.5, 2) == (-np.inf, np.inf)
    assert percentiles(np.zeros(10), 0.05, 1) == (-np.inf, np.inf)

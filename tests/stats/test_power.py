"""Power, seeds, equivalence and Holm: against the PROTOCOL's published sizes, statsmodels, and
simulation.
"""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from upgate.stats.power import (
    detectable,
    equivalence_seeds,
    holm,
    power,
    seeds_needed,
    tost,
    tost_power,
)


def test_seeds_needed_are_the_published_ones() -> None:
    assert [seeds_needed(d) for d in (1, 1.5, 0.8, 0.5)] == [10, 6, 15, 34]  # the PROTOCOL's table
    assert seeds_needed(100) == 2
    assert seeds_needed(0) is None and seeds_needed(0.01) is None


@pytest.mark.parametrize(("d", "n"), [(0.0, 6), (0.5, 10), (1.5, 6), (-1.5, 6), (0.3, 200)])
def test_power_is_statsmodels(d: float, n: int) -> None:
    assert power(d, n) == pytest.approx(TTestPower().power(d, n, 0.05), abs=1e-9)


def test_power_is_a_number_wherever_it_is_asked_for() -> None:
    grid = np.array([[power(d, n) for d in np.linspace(0, 60, 61)] for n in (1, 2, 6, 100, 10_000)])
    assert (
        (np.diff(grid, axis=1) > -1e-9).all() and grid.max() <= 1 and grid[0].max() == 0
    )  # TTestPower has nan here


def test_detectable_turns_seeds_needed_round() -> None:
    assert power(detectable(6), 6) == pytest.approx(0.8)
    assert detectable(1) == np.inf
    assert detectable(2) > detectable(3) > detectable(6) == pytest.approx(1.4345, abs=1e-3)


def test_equivalence_is_two_one_sided_tests() -> None:
    d = np.array([0.1, -0.2, 0.05, 0.3, -0.1, 0.0, 0.15])
    low = scipy_stats.ttest_1samp(d, -0.4, alternative="greater").pvalue
    high = scipy_stats.ttest_1samp(d, 0.4, alternative="less").pvalue
    assert tost(d, 0.4) == pytest.approx(max(low, high))
    assert [tost(np.zeros(4), 0.1), tost(np.full(4, 0.1), 0.1), tost(np.array([0.0]), 9)] == [
        0,
        1,
        1,
    ]


def test_size_and_power_of_equivalence() -> None:
    rng, studies = np.random.default_rng(0), 20_000
    for n, d, margin in (
        (6, 1.0, 1.0),
        (20, 0.8, 0.8),
        (6, 0.0, 1.5),
        (20, 0.3, 1.0),
        (40, 0.2, 0.5),
    ):
        x = rng.normal(d, 1, (studies, n))
        half = scipy_stats.t.isf(0.05, n - 1) * x.std(axis=1, ddof=1) / np.sqrt(n)
        said = float(np.mean(np.abs(x.mean(axis=1)) + half <= margin))
        claimed = tost_power(d, margin, n)
        assert said == pytest.approx(
            claimed, abs=4 * np.sqrt(claimed * (1 - claimed) / studies) + 1e-3
        )
        if d == margin:
            assert said <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / studies)
        for one in x[:40]:
            assert (tost(one, margin) <= 0.05) == (
                abs(one.mean()) + scipy_stats.t.isf(0.05, n - 1) * scipy_stats.sem(one) <= margin
            )


def test_seeds_for_equivalence() -> None:
    n = equivalence_seeds(0.0, 0.5)
    assert (
        n == 36
    )  # (z.05 + z.10)^2 / margin^2 = 34.3 for the normal distribution, a little more for t
    assert tost_power(0, 0.5, n) >= 0.8 > tost_power(0, 0.5, n - 1)
    assert equivalence_seeds(0.5, 0.5) is None and equivalence_seeds(0.9, 0.5) is None


def test_holm_is_statsmodels_and_keeps_the_family_at_its_level() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )  # by hand: 2 x .03, .06 carried, 3 x .01, 4 x .005
    p = np.random.default_rng(1).random((2_000, 7))
    for row in p[:10]:
        assert holm(row) == pytest.approx(multipletests(row, method="holm")[1])
    family = np.mean([holm(row).min() <= 0.05 for row in p])
    assert family == pytest.approx(1 - (1 - 0.05 / 7) ** 7, abs=4 * np.sqrt(0.05 / 2_000))  # .0490

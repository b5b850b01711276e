"""Paired differences: exact enumerations, published numbers, other implementations, and the size
and power that they claim.
"""

from itertools import product

import numpy as np
import pytest
from scipy import stats as scipy_stats

from upgate.stats.paired import differences, paired, ranked, sign_flip, signed_ranks
from upgate.stats.power import power

# Darwin's maize, crossed minus self-fertilised, eighths of an inch; t = 2.148, p = .0497; Fisher
# (1935) counted 863 of 32,768 sign patterns
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], float)


def within(rate: float, expected: float, n: int) -> bool:
    """A simulated rate within four standard errors."""
    return abs(rate - expected) <= 4 * np.sqrt(max(expected * (1 - expected), 1e-3) / n)


def test_a_paired_difference_on_darwins_maize() -> None:
    found = paired(DARWIN)
    theirs = scipy_stats.ttest_1samp(DARWIN, 0)
    assert (found.effect, found.p) == pytest.approx((20.933, 0.0497), abs=5e-4)
    assert found.p == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(theirs.confidence_interval(0.95))
    assert sign_flip(DARWIN) == pytest.approx(2 * 863 / 2**15)


@pytest.mark.parametrize("n", [2, 5, 6, 11])
def test_sign_flips_are_counted_out(n: int) -> None:
    d = np.random.default_rng(n).integers(-3, 5, n).astype(float)  # ties and zeros too
    totals = np.array(list(product((-1, 1), repeat=n))) @ d
    assert sign_flip(d) == pytest.approx(np.mean(np.abs(totals) >= abs(d.sum()) - 1e-9))


def test_a_sign_flip_never_falls_below_its_floor() -> None:
    assert [sign_flip(np.ones(n)) for n in (1, 2, 5, 6)] == [1, 0.5, 0.0625, 0.03125]
    many = np.random.default_rng(0).normal(0.4, 1, 40)  # drawn, not counted out
    assert sign_flip(many) == sign_flip(many) == pytest.approx(paired(many).p, abs=0.01)


@pytest.mark.parametrize("n", [17, 40])
def test_drawn_sign_flips_are_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    for d in (rng.normal(0.3, 1, n), rng.integers(-3, 5, n).astype(float)):  # ties and zeros too
        test = scipy_stats.permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=2**16, batch=4096, rng=0
        )
        assert sign_flip(d) == test.pvalue


def test_diverged_runs_rank_last_and_two_of_them_differ_by_nothing() -> None:
    d = differences([1.0, np.inf, np.inf, 2.0], [2.0, np.inf, 5.0, np.inf])
    assert d.tolist() == [-1, 0, np.inf, -np.inf]
    assert signed_ranks(d).tolist() == [-2, 0, 3.5, -3.5]


def test_ranked_is_wilcoxons_test_with_the_hodges_lehmann_interval() -> None:
    # Hollander & Wolfe, table 3.1, depression scores of 9 patients: T+ = 5, two-sided p = .039;
    # estimate -.46, 96% interval (-.786, -.010)
    x = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    y = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    found = ranked(y - x)
    assert (found.effect, found.low, found.high, found.p) == pytest.approx(
        (-0.46, -0.786, -0.010, 0.0390625), abs=1e-9
    )
    assert found.p == pytest.approx(scipy_stats.wilcoxon(y - x, method="exact").pvalue)


def test_infinite_differences_leave_a_finite_effect_and_honest_bounds() -> None:
    found = ranked(np.array([1.0, 2, 3, np.inf, 5, 6]))
    assert (found.effect, found.low, found.high, found.p) == (4, 1, np.inf, 0.03125)
    assert ranked(np.array([1.0, 2, 3, 4, np.inf]))[1:3] == (
        -np.inf,
        np.inf,
    )  # five seeds cannot reject
    assert ranked(np.arange(1.0, 7), alpha=2 / 2**6)[1:4] == (
        1,
        6,
        2 / 2**6,
    )  # six reject at exactly this level
    assert ranked(np.array([np.inf, -np.inf])).effect == 0
    assert ranked(np.full(6, np.inf)).effect == np.inf


@pytest.mark.parametrize("n", [6, 9])
def test_the_rank_interval_and_its_p_say_the_same(n: int) -> None:
    rng = np.random.default_rng(1)
    for d in np.where(
        rng.random((60, n)) < 0.15,
        rng.choice([-np.inf, np.inf], (60, n)),
        rng.normal(0.8, 1, (60, n)),
    ):
        found = ranked(d)
        assert (found.p <= 0.05) <= (not found.low < 0 < found.high)


def test_one_number_is_no_evidence_and_equal_numbers_have_no_spread() -> None:
    assert paired(np.array([0.3])) == (0.3, -np.inf, np.inf, 1, 1)
    assert paired(np.zeros(6)) == (0, 0, 0, 1, 6)
    assert paired(np.full(4, 0.5)) == (0.5, 0.5, 0.5, 0, 4)


def test_size_and_power_of_the_paired_tests() -> None:
    rng, n, studies = np.random.default_rng(2), 6, 20_000
    null = rng.normal(size=(studies, n))
    for effect in (0, 0.5, 1, 1.5):
        d = null + effect
        t = d.mean(axis=1) / d.std(axis=1, ddof=1) * np.sqrt(n)
        assert within(
            float(np.mean(np.abs(t) > scipy_stats.t.isf(0.025, n - 1))), power(effect, n), studies
        )
    for d in null[:200]:  # what was simulated is what is computed
        assert (paired(d).p <= 0.05) == (
            abs(d.mean()) * np.sqrt(n) > scipy_stats.t.isf(0.025, n - 1) * d.std(ddof=1)
        )
    flips = np.array([sign_flip(d) <= 0.05 for d in null[:2000]])
    assert within(float(flips.mean()), 2 / 64, 2000)  # its level at six seeds: only all of one sign
    wilcoxon = np.array(
        [ranked(np.where(np.abs(d) > 1.5, np.inf * d, d)).p <= 0.05 for d in null[:1500]]
    )
    assert within(float(wilcoxon.mean()), 2 / 64, 1500)

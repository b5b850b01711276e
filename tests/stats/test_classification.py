"""Classifiers on the same items."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from upgate.stats.classification import item_bootstrap, mcnemar


def answers(both: int, arm: int, base: int, none: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, arm, base, none)
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


@pytest.mark.parametrize("counts", [(50, 9, 2, 3), (0, 5, 0, 0), (10, 7, 7, 1)])
def test_mcnemar_is_the_sign_test_of_the_disagreements(counts: tuple[int, int, int, int]) -> None:
    assert mcnemar(*answers(*counts)) == pytest.approx(
        scipy_stats.binomtest(counts[1], counts[1] + counts[2]).pvalue
    )


def test_mcnemar_on_no_disagreement_and_counted_out() -> None:
    assert mcnemar(*answers(5, 0, 0, 5)) == 1
    assert mcnemar(*answers(3, 8, 1, 0)) == pytest.approx(2 * (1 + 9) / 2**9)


def test_the_item_bootstrap_is_plain_resampling_of_items() -> None:
    rng = np.random.default_rng(0)
    arm, base = rng.random((3, 400)) < 0.85, rng.random((3, 400)) < 0.8
    found = item_bootstrap(arm, base)
    d = arm.mean(axis=0) - base.mean(axis=0)
    plain = d[rng.integers(400, size=(10_000, 400))].mean(axis=1)
    assert found.effect == pytest.approx(arm.mean() - base.mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=2e-3)
    assert found == item_bootstrap(arm, base)
    assert item_bootstrap(arm, arm) == (0, 0, 0)


def test_size_and_power_on_items() -> None:
    rng, n, studies = np.random.default_rng(1), 800, 1000
    hard = rng.random((studies, n, 1))
    right = hard + 0.15 * rng.normal(size=(studies, n, 2)) < 0.85
    assert np.mean([mcnemar(*one.T) <= 0.05 for one in right]) <= 0.06
    misses = [
        not found.low <= 0 <= found.high
        for found in (item_bootstrap(*one.T, draws=1000) for one in right)
    ]
    assert 0.03 <= np.mean(misses) <= 0.075
    better = right.copy()
    better[..., 0] |= hard[..., 0] + 0.15 * rng.normal(size=(studies, n)) < 0.85
    only = better[..., 0] != better[..., 1]
    share = (better[..., 0] & only).sum() / only.sum()
    m = int(only.sum(axis=1).mean())
    claimed = sum(
        scipy_stats.binom.pmf(k, m, share)
        for k in range(m + 1)
        if scipy_stats.binomtest(k, m).pvalue <= 0.05
    )
    assert np.mean([mcnemar(*one.T) <= 0.05 for one in better]) == pytest.approx(claimed, abs=0.08)

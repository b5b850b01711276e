"""Ranks of arms over data sets against the worked example of Demsar 2006, and profiles."""

import numpy as np
import pytest
from scipy import stats

from upgate.errors import UserError
from upgate.stats.ranks import performance_profile, rank_arms

# Table 6 of Demsar 2006: AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets. The paper
# ranks `voting` (the last but one) by more digits than it prints: .975 is 2 and 3 there.
AUC = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.9749],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
TIES = 60 + 6 + 6 + 6  # of t^3 - t: mushroom, iris, lung cancer, primary tumor


def test_the_worked_example_of_demsar() -> None:
    found = rank_arms(-AUC)
    assert found.mean == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    # the paper's 9.28 is not corrected for ties
    assert found.statistic * (1 - TIES / (14 * 4 * 15)) == pytest.approx(9.28, abs=0.01)
    assert found.difference == pytest.approx(1.25, abs=0.01)
    assert rank_arms(-AUC, 0.10).difference == pytest.approx(1.12, abs=0.01)
    apart = np.abs(np.subtract.outer(found.mean, found.mean)) > found.difference
    assert not apart.any()  # "not powerful enough to detect any significant differences"


def test_pairs_are_wilcoxons_by_holm() -> None:
    rng = np.random.default_rng(0)
    losses = rng.normal(size=(12, 3)) + np.array([0, 0.2, 2])
    found = rank_arms(losses)
    plain = [stats.wilcoxon(losses[:, i], losses[:, j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
    smallest = min(plain)
    own = [found.pairs[0, 1], found.pairs[0, 2], found.pairs[1, 2]]
    assert min(own) == pytest.approx(3 * smallest)
    assert all(p <= q for p, q in zip(plain, own, strict=True))
    assert np.array_equal(found.pairs, found.pairs.T) and (np.diag(found.pairs) == 1).all()


def test_ranks_ignore_size_and_a_diverged_run_is_last() -> None:
    losses = np.array([[1.0, 2, 3], [1, 2, 3], [1, 2, 3]])
    same = rank_arms(losses * [1, 1, 100])
    assert same.mean.tolist() == rank_arms(losses).mean.tolist() == [1, 2, 3]
    losses[:, 0] = np.inf
    assert rank_arms(losses).mean == pytest.approx([3, 1, 2])
    alike = rank_arms(np.ones((4, 3)))
    assert (alike.p, alike.statistic) == (1, 0) and (alike.pairs == 1).all()
    with pytest.raises(UserError, match="at least three arms"):
        rank_arms(np.ones((4, 2)))


def test_a_profile_counts_data_sets_within_a_factor_of_the_best() -> None:
    costs = np.array([[1.0, 2.0], [3.0, 2.0], [1.0, np.inf], [5.0, 5.0]])
    found = performance_profile(costs)
    assert found.factors == pytest.approx([1, 1.5, 2])
    assert found.shares == pytest.approx(np.array([[0.75, 1, 1], [0.5, 0.5, 0.75]]))
    rng = np.random.default_rng(1)
    many = performance_profile(rng.lognormal(size=(20, 4)))
    assert (np.diff(many.shares, axis=1) >= 0).all() and (many.shares[:, -1] == 1).all()
    assert many.shares[:, 0].sum() == pytest.approx(1)  # without ties one arm is the best
    with pytest.raises(UserError, match="above 0"):
        performance_profile(np.array([[0.0, 1.0]]))

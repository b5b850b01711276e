"""Split conformal intervals against hand-made ranks, and by what they promise."""

import math

import numpy as np
import pytest
from scipy import stats

from upgate.stats.conformal import LEVELS, conformal_radii, conformal_radius

TRIALS = 4000


@pytest.mark.parametrize(
    ("n", "level", "rank"),
    [(9, 0.9, 9), (10, 0.9, 10), (99, 0.9, 90), (100, 0.9, 91), (19, 0.95, 19), (4, 0.8, 4)],
)
def test_the_radius_is_the_ranked_error(n: int, level: float, rank: int) -> None:
    residuals = np.random.default_rng(n).permutation(np.arange(1.0, n + 1)) * (-1) ** np.arange(n)
    assert conformal_radius(residuals, level) == rank


def test_too_few_errors_give_no_radius_for_a_level() -> None:
    assert conformal_radius(np.ones(8), 0.9) == math.inf
    found = {n: set(conformal_radii(np.arange(float(n)))) for n in (0, 3, 4, 8, 9, 18, 19)}
    assert found == {0: set(), 3: set(), 4: {"80"}, 8: {"80"}} | {
        9: {"80", "90"},
        18: {"80", "90"},
        19: set(LEVELS),
    }


def test_errors_without_a_bound_give_no_radius() -> None:
    assert conformal_radii(np.full(100, np.inf)) == {} == conformal_radii(np.full(100, np.nan))


ENOUGH = [
    (n, level) for n in (10, 60) for level in LEVELS.values() if math.ceil((n + 1) * level) <= n
]


@pytest.mark.parametrize(("n", "level"), ENOUGH)
def test_exchangeable_errors_are_covered_as_often_as_promised(n: int, level: float) -> None:
    """The rank of a new error among n exchangeable ones is uniform: held with rank / (n + 1).

    The errors of a trial share a scale, so they are exchangeable and not independent. The bound is
    the exact binomial one; a false alarm is one in a million.
    """
    rng = np.random.default_rng(7)
    errors = rng.standard_t(2, (TRIALS, n + 1)) * np.exp(rng.normal(size=(TRIALS, 1)))
    held = sum(abs(row[-1]) <= conformal_radius(row[:-1], level) for row in errors)
    promised = math.ceil((n + 1) * level) / (n + 1)
    low, high = stats.binom.interval(1 - 1e-6, TRIALS, promised)
    assert promised >= level and low <= held <= high

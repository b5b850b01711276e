"""Points as pure functions of seed and number: one shared list, a grid that is complete, Sobol's
evenness, the exact curve.
"""

import itertools
import math
from statistics import fmean

import numpy as np
import pytest
from scipy.stats import qmc

from upgate.tune.best_of_n import best_of_n_curve, expected_best
from upgate.tune.samplers import (
    generation_of,
    grid_count,
    grid_point,
    map_point,
    random_point,
    shared_point,
    sobol_point,
)
from upgate.tune.space import Dimension
from upgate.tune.trial import clearly_worse

SPACE = [
    Dimension("lr", "float", 1e-4, 1e-1, True),
    Dimension("n", "int", 1, 2),
    Dimension("p", "choice", choices=["a", "b", "c"]),
]
KEYS = ["lr", "n", "p"]


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_a_point_depends_on_seed_and_number_alone(sampler: str) -> None:
    once = [shared_point(sampler, 3, n, KEYS) for n in range(1, 20)]
    assert [shared_point(sampler, 3, n, KEYS) for n in reversed(range(1, 20))] == once[::-1]
    assert [shared_point(sampler, 4, n, KEYS) for n in range(1, 20)] != once
    assert all(0 <= u < 1 for point in once for u in point.values())


def test_arms_share_the_coordinates_of_the_keys_that_they_share() -> None:
    for n in range(1, 9):
        assert random_point(0, n, ["lr", "n"]).items() <= random_point(0, n, KEYS).items()
        values = map_point(SPACE, sobol_point(0, n, KEYS))
        assert map_point(SPACE[:1], sobol_point(0, n, KEYS)) == {"lr": values["lr"]}


def test_sobol_points_are_spread_more_evenly_than_random_ones() -> None:
    def points(sampler: str) -> np.ndarray:
        return np.array([list(shared_point(sampler, 0, n, KEYS).values()) for n in range(1, 65)])

    assert qmc.discrepancy(points("sobol")) < 0.5 * qmc.discrepancy(points("random"))
    for column in points("sobol").T:
        assert np.bincount((column * 64).astype(int), minlength=64).max() == 1  # one in each 64th


def test_a_longer_sobol_list_begins_with_the_shorter_one() -> None:
    assert [sobol_point(0, n, KEYS) for n in (1, 8)] == [sobol_point(0, n, KEYS) for n in (1, 8)]
    early = sobol_point(1, 5, KEYS)
    sobol_point(1, 200, KEYS)
    assert sobol_point(1, 5, KEYS) == early


def test_a_grid_has_every_combination_once() -> None:
    count = grid_count(SPACE, 4)
    found = [tuple(grid_point(SPACE, 4, n).values()) for n in range(1, count + 1)]
    assert count == 4 * 2 * 3 and found == list(itertools.product(*(one.axis(4) for one in SPACE)))


def test_generations_tile_the_numbers() -> None:
    assert [list(generation_of(n, 4)) for n in (0, 1, 4, 5)] == [
        [0],
        [1, 2, 3, 4],
        [1, 2, 3, 4],
        [5, 6, 7, 8],
    ]


@pytest.mark.parametrize(
    "losses", [[3.0, 1.0, 2.0, 2.0, 5.0], [0.5], [math.inf, 1.0, 2.0, math.inf]]
)
def test_the_expected_best_of_n_is_the_mean_over_all_choices(losses: list[float]) -> None:
    brute = [
        fmean(min(some) for some in itertools.combinations(losses, n))
        for n in range(1, len(losses) + 1)
    ]
    assert expected_best(losses).tolist() == pytest.approx(brute)


def test_the_curve_ends_at_the_best_and_its_band_holds_it() -> None:
    losses = np.random.default_rng(0).normal(size=40).tolist()
    found = best_of_n_curve(losses, 0)
    assert found.mean[-1] == pytest.approx(min(losses)) and found.mean[0] == pytest.approx(
        fmean(losses)
    )
    low, mean, high = np.array(found.low), np.array(found.mean), np.array(found.high)
    assert len(low) == len(high) == 8  # beyond a fifth of the trials it is not believed
    assert (low <= mean[:8]).all() and (mean[:8] <= high).all()
    assert best_of_n_curve([1.0, 2.0, math.inf], 0).low == []
    assert found.mean == sorted(found.mean, reverse=True) and best_of_n_curve(losses, 0) == found


@pytest.mark.parametrize("name", ["normal", "lognormal", "quadratic"])
def test_the_band_covers_the_expected_best_up_to_a_fifth_of_the_trials(name: str) -> None:
    """300 searches of 30 trials; 90% less 2 standard errors."""
    rng = np.random.default_rng(5)
    draw = {
        "normal": lambda size: rng.normal(size=size),
        "lognormal": lambda size: rng.lognormal(size=size),
        "quadratic": lambda size: rng.uniform(-1, 1, size) ** 2 + rng.normal(0, 0.05, size),
    }[name]
    sizes = (1, 2, 4, 6)
    truth = [draw((40_000, n)).min(axis=1).mean() for n in sizes]
    covered = np.zeros(len(sizes))
    for searched in draw((300, 30)):
        found = best_of_n_curve(searched.tolist(), 0)
        for k, n in enumerate(sizes):
            covered[k] += found.low[n - 1] <= truth[k] <= found.high[n - 1]
    assert (covered / 300 >= 0.9 - 2 * np.sqrt(0.9 * 0.1 / 300)).all(), covered / 300


def test_the_expected_best_of_thousands_stays_exact() -> None:
    assert expected_best(np.arange(2000.0))[999] == pytest.approx(
        2001 / 1001 - 1
    )  # the least of 1000 out of 0..1999


def test_only_what_is_clearly_worse_is_pruned() -> None:
    best = {f"100/{k}": 0.0 for k in range(6)}
    worse = {key: 0.1 + 0.01 * k for k, key in enumerate(best)}
    assert clearly_worse(dict(list(worse.items())[:4]), best) and not clearly_worse(
        dict(list(worse.items())[:3]), best
    )
    assert not clearly_worse({key: -value for key, value in worse.items()}, best)
    assert not clearly_worse({"100/0": 1.0, "100/1": -0.9, "100/2": 1.0, "100/3": -0.8}, best)
    assert clearly_worse({"100/0": math.inf}, best)

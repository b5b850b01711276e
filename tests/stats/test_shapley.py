"""Shapley values from sampled orders: exact where they must be, unbiased, with honest intervals."""

from itertools import permutations, product
from math import factorial

import numpy as np
import pytest

from upgate.errors import UserError
from upgate.stats.attribution import attribute, shapley_weights, share_weights
from upgate.stats.shapley import draw_orders, order_weights, prefixes, share_sampling

NAMES = "abcdef"


def arms(k: int, count: int, seed: int = 0) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """The arms of study=parts with those of the orders: (arms, k) levels."""
    orders = draw_orders(k, count, seed)
    one = [frozenset([i]) for i in range(k)]
    rest = [frozenset(range(k)) - part for part in one]
    sets = dict.fromkeys([frozenset[int](), *one, *rest, frozenset(range(k)), *prefixes(orders)])
    return np.array([[i in part for i in range(k)] for part in sets]), orders


def full(k: int) -> np.ndarray:
    return np.array(list(product([False, True], repeat=k)))


def random_game(k: int, seed: int) -> dict[tuple[bool, ...], float]:
    values = np.random.default_rng(seed).normal(size=2**k)
    return {tuple(row): value for row, value in zip(full(k).tolist(), values, strict=True)}


def play(levels: np.ndarray, game: dict[tuple[bool, ...], float]) -> np.ndarray:
    return np.array([game[tuple(row)] for row in levels.tolist()])


def exact(k: int, game: dict[tuple[bool, ...], float]) -> np.ndarray:
    return shapley_weights(full(k)) @ play(full(k), game)


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_orders_are_antithetic_distinct_and_nested(k: int) -> None:
    orders = draw_orders(k, 6)
    assert orders[1::2] == [order[::-1] for order in orders[::2]]
    assert len(set(orders)) == 6 and draw_orders(k, 4) == orders[:4] == draw_orders(k, 4)
    assert set(draw_orders(k, 10**6)) == set(permutations(range(k))) if k < 6 else True
    assert len(draw_orders(9, 40)) == 40 == len(set(draw_orders(9, 40)))
    with pytest.raises(UserError, match="come in pairs"):
        draw_orders(k, 5)


@pytest.mark.parametrize("k", [3, 4, 5])
def test_all_orders_are_the_exact_values(k: int) -> None:
    levels, orders = arms(k, factorial(k))
    assert len(levels) == 2**k
    game = random_game(k, k)
    sampled = order_weights(levels, orders).mean(axis=0) @ play(levels, game)
    assert sampled == pytest.approx(exact(k, game))
    found = attribute(NAMES[:k], names(levels), np.tile(play(levels, game)[:, None], 6))
    assert found.exact and found.method == "exact"
    errors = share_sampling(levels, orders, np.tile(play(levels, game)[:, None], 6))
    assert [one.variance for one in errors] == [0] * k


def names(levels: np.ndarray) -> list[frozenset[str]]:
    return [frozenset(NAMES[i] for i in np.flatnonzero(row)) for row in levels]


@pytest.mark.parametrize("k", [5, 6])
def test_additive_parts_and_pairs_are_exact_from_four_orders(k: int) -> None:
    rng = np.random.default_rng(k)
    main, pair = rng.normal(size=k), np.triu(rng.normal(size=(k, k)), 1)
    levels, orders = arms(k, 4)
    x = levels.astype(float)
    scores = x @ main + np.einsum("ri,ij,rj->r", x, pair, x)
    found = attribute(NAMES[:k], names(levels), np.tile(scores[:, None], 6), orders=orders)
    assert found.method == "sampled" and not found.exact
    expected = main + (pair.sum(axis=0) + pair.sum(axis=1)) / 2
    for i, share in enumerate(found.shares.values()):
        assert share.share.effect == pytest.approx(expected[i])
        assert share.share.high - share.share.low == pytest.approx(0, abs=1e-9)


def test_shares_sum_to_the_full_difference_whatever_interacts() -> None:
    levels, orders = arms(6, 8)
    scores = np.random.default_rng(1).normal(size=(len(levels), 6))
    found = attribute(NAMES, names(levels), scores, orders=orders)
    total = sum(share.share.effect for share in found.shares.values())
    assert total == pytest.approx(found.full.effect)
    assert found.remainder.effect == pytest.approx(0, abs=1e-12)
    assert share_weights(levels, orders).sum(axis=0) != pytest.approx(
        share_weights(levels).sum(axis=0)
    )


def test_any_one_of_them_is_split_evenly_within_its_interval() -> None:
    """OR of three parts of six: main effects say nothing of it, for each alone gives all."""
    k, seeds = 6, 12
    shares = []
    for seed in range(40):
        levels, orders = arms(k, 12, seed)
        scores = levels[:, :3].any(axis=1) * 3.0
        values = scores[:, None] + np.random.default_rng(seed).normal(0, 0.05, (len(levels), seeds))
        found = attribute(NAMES, names(levels), values, orders=orders)
        shares.append([share.share for share in found.shares.values()])
    means = np.array([[one.effect for one in row] for row in shares]).mean(axis=0)
    assert means == pytest.approx([1, 1, 1, 0, 0, 0], abs=0.15)
    covered = [one.low <= 1 <= one.high for row in shares for one in row[:3]]
    assert np.mean(covered) >= 0.88
    main = main_shares(full(6))
    assert main[:3] == pytest.approx([1.5] * 3) and sum(main) != pytest.approx(3)


def main_shares(levels: np.ndarray) -> list[float]:
    """Halfway between added alone and left out, of the same game."""
    lookup = {frozenset(np.flatnonzero(row).tolist()): 3.0 * row[:3].any() for row in levels}
    everything = frozenset(range(6))
    found = []
    for i in range(6):
        add = lookup[frozenset([i])] - lookup[frozenset()]
        leave = lookup[everything] - lookup[everything - {i}]
        found.append((add + leave) / 2)
    return found


def test_the_sample_is_unbiased_and_its_variance_is_what_it_says() -> None:
    k, game = 5, random_game(5, 3)
    values = play(full(k), game)[:, None]
    estimates, variances = [], []
    for seed in range(2000):
        orders = draw_orders(k, 6, seed)
        estimates.append(order_weights(full(k), orders).mean(axis=0) @ values[:, 0])
        variances.append([one.variance for one in share_sampling(full(k), orders, values)])
    found, spread = np.array(estimates), np.array(estimates).var(axis=0, ddof=1)
    error = np.sqrt(spread / len(found))
    assert (np.abs(found.mean(axis=0) - exact(k, game)) < 4 * error).all()
    assert np.mean(variances, axis=0) == pytest.approx(spread, rel=0.15)

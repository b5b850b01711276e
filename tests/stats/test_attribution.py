"""Shares: the definition counted out, sums that close, intervals that cover, and what a factorial
saves.
"""

from itertools import permutations

import numpy as np
import pytest

from upgate.errors import UserError
from upgate.experiment.designs import two_level
from upgate.stats.attribution import (
    attribute,
    main_weights,
    pair_weights,
    shapley_weights,
)

NAMES = "abcdefgh"
RNG = np.random.default_rng(0)


def one_at_a_time(k: int) -> np.ndarray:
    singles = np.eye(k, dtype=bool)
    found = np.vstack([np.zeros((1, k), bool), singles, ~singles, np.ones((1, k), bool)])
    return found[np.sort(np.unique(found, axis=0, return_index=True)[1])]


def sets(levels: np.ndarray) -> list[frozenset[str]]:
    return [frozenset(NAMES[i] for i in np.flatnonzero(row)) for row in levels]


def truth(levels: np.ndarray, main: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Scores of arms from coefficients of +-1 levels; `pair` is upper triangular."""
    x = np.where(levels, 1, -1)
    return x @ main + np.einsum("ri,ij,rj->r", x, pair, x)


DESIGNS = {
    f"{name}{k}": make
    for k in (1, 2, 3, 5, 7, 8)
    for name, make in (("factorial", two_level(k) > 0), ("parts", one_at_a_time(k)))
}


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_full_factorial_gives_the_shapley_values_of_the_definition(k: int) -> None:
    """The mean, over all orders in which the parts can be added, of what each adds then."""
    levels = two_level(k) > 0
    scores = dict(zip(sets(levels), RNG.normal(size=2**k), strict=True))
    expected = np.zeros(k)
    orders = list(permutations(range(k)))
    for order in orders:
        for i, part in enumerate(order):
            before = frozenset(NAMES[j] for j in order[:i])
            expected[part] += (scores[before | {NAMES[part]}] - scores[before]) / len(orders)
    assert shapley_weights(levels) @ np.array(list(scores.values())) == pytest.approx(expected)


@pytest.mark.parametrize("name", DESIGNS)
def test_the_shares_and_the_remainder_sum_to_the_whole(name: str) -> None:
    levels = DESIGNS[name]
    k = levels.shape[1]
    scores = RNG.normal(size=(len(levels), 6)) * 100
    found = attribute(NAMES[:k], sets(levels), scores)
    assert found.full.effect == pytest.approx(
        (scores[levels.all(axis=1)] - scores[~levels.any(axis=1)]).mean()
    )
    total = sum(share.share.effect for share in found.shares.values())
    assert total + found.remainder.effect == pytest.approx(found.full.effect, abs=1e-10)
    if found.exact:
        assert len(levels) == 2**k and found.remainder.effect == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", DESIGNS)
def test_with_interactions_of_two_the_share_is_the_main_effect(name: str) -> None:
    levels = DESIGNS[name]
    k = levels.shape[1]
    main, pair = RNG.normal(size=k), np.triu(RNG.normal(size=(k, k)), 1)
    found = attribute(NAMES[:k], sets(levels), np.tile(truth(levels, main, pair)[:, None], 6))
    assert [share.share.effect for share in found.shares.values()] == pytest.approx(2 * main)
    assert found.remainder.effect == pytest.approx(0, abs=1e-12)
    for i, share in enumerate(found.shares.values()):
        if share.add_one and share.leave_one_out and share.interaction:
            assert share.share.effect == pytest.approx(
                (share.add_one.effect + share.leave_one_out.effect) / 2
            )
            assert share.interaction.effect == pytest.approx((pair + pair.T)[i].sum())
        else:
            assert name in ("factorial5", "factorial7", "factorial8")
    for pairs, estimate in found.interactions.items():
        assert estimate.effect == pytest.approx(
            sum(pair[NAMES.index(a), NAMES.index(b)] for a, b in pairs)
        )


def test_which_interactions_can_be_told_apart() -> None:
    assert [len(pairs) for pairs in pair_weights(NAMES[:4], two_level(4) > 0)] == [1] * 6
    assert [len(pairs) for pairs in pair_weights(NAMES[:7], two_level(7) > 0)] == [3] * 7
    assert [len(pairs) for pairs in pair_weights(NAMES, two_level(8) > 0)] == [4] * 7
    assert pair_weights(NAMES[:7], one_at_a_time(7)) == {}


def test_an_interaction_of_three_shows_in_the_remainder() -> None:
    levels = one_at_a_time(5)
    x = np.where(levels, 1, -1)
    triple = x[:, 0] * x[:, 1] * x[:, 2] * 0.5
    found = attribute(NAMES[:5], sets(levels), np.tile(triple[:, None], 6))
    assert abs(found.remainder.effect) > 0.5 and found.full.effect == 1
    shares = {part: share.share.effect for part, share in found.shares.items()}
    assert shares["d"] == shares["e"] == 0  # the parts that do nothing get nothing of it


@pytest.mark.long
def test_a_factorials_interval_is_narrower_at_the_same_number_of_runs() -> None:
    """Seven parts, 16 arms each, 6 seeds, noise of one run 1; and 8 arms adding one part each on 12
    seeds: 96 runs all three.
    """
    k, studies = 7, 300
    main, pair = RNG.normal(size=k), np.triu(RNG.normal(size=(k, k)), 1)
    width, covered = {}, {}
    for name, levels in (("factorial", two_level(k) > 0), ("parts", one_at_a_time(k))):
        assert len(levels) == 16
        shares = [
            share.share
            for _ in range(studies)
            for share in attribute(
                NAMES[:k],
                sets(levels),
                truth(levels, main, pair)[:, None] + RNG.normal(size=(16, 6)),
            ).shares.values()
        ]
        width[name] = np.mean([one.high - one.low for one in shares])
        covered[name] = np.mean(
            [
                one.low <= 2 * m <= one.high
                for one, m in zip(shares, np.tile(main, studies), strict=True)
            ]
        )
    add = RNG.normal(size=(2, studies * k, 12))
    width["add one"] = np.mean(2 * 2.201 * (add[1] - add[0]).std(axis=1, ddof=1) / np.sqrt(12))
    assert (
        width["factorial"] < 0.6 * width["parts"] and width["factorial"] < 0.65 * width["add one"]
    )
    assert all(
        rate == pytest.approx(0.95, abs=0.025) for rate in covered.values()
    )  # seven correlated shares a study


def test_variances_are_those_of_the_design() -> None:
    """In variances of one run: main effects of a 16-run factorial 4/16, of one-at-a-time 1: half
    the standard error (PROTOCOL).
    """
    fraction, single = two_level(7) > 0, one_at_a_time(7)
    assert (main_weights(fraction) ** 2).sum(axis=1) == pytest.approx(0.25) and (
        main_weights(single) ** 2
    ).sum(axis=1) == pytest.approx(1)


def test_what_a_seed_does_to_all_arms_cancels() -> None:
    levels = two_level(3) > 0
    scores = RNG.normal(size=(8, 6))
    shifted = attribute("abc", sets(levels), scores + 100 * RNG.normal(size=6))
    found = attribute("abc", sets(levels), scores)
    for part in "abc":
        assert tuple(shifted.shares[part].share) == pytest.approx(
            tuple(found.shares[part].share), abs=1e-9
        )


def test_diverged_runs_count_as_the_worst_one() -> None:
    levels = two_level(3) > 0
    scores = RNG.random((8, 6))
    scores[levels[:, 1], 0] = np.inf
    found = attribute("abc", sets(levels), scores)
    assert found.diverged == 4 and found.shares["b"].share.effect > 0
    capped = np.where(np.isinf(scores), scores[np.isfinite(scores)].max(), scores)
    assert found.shares == attribute("abc", sets(levels), capped).shares
    with pytest.raises(UserError, match="finite, or -inf for a diverged run"):
        attribute("abc", sets(levels), scores, better="higher")
    with pytest.raises(UserError, match="some finite ones"):
        attribute("abc", sets(levels), np.full((8, 6), np.inf))


def test_arms_that_do_not_tell_parts_apart_are_refused() -> None:
    cells = sets(two_level(3) > 0)
    scores = np.zeros((8, 6))
    for wrong in (cells[:-1], [*cells[:-1], cells[0]]):
        with pytest.raises(UserError, match="each arm once, its opposite"):
            attribute("abc", wrong, scores[: len(wrong)])
    with pytest.raises(UserError, match="do not tell the parts apart"):
        attribute(
            "abc", [frozenset(), frozenset("a"), frozenset("bc"), frozenset("abc")], scores[:4]
        )


def test_one_seed_gives_shares_without_intervals() -> None:
    levels = two_level(2) > 0
    found = attribute("ab", sets(levels), RNG.normal(size=(4, 1)))
    assert found.shares["a"].share.low == -np.inf and found.shares["a"].share.p == 1

"""Shapley values from sampled orders in which the parts are added.

A part's share is its mean gain over the orders; each order's gains sum to the full difference, so
no remainder is left, whatever the interactions. Orders come in antithetic pairs, an order and its
reverse (Mitchell et al. 2022, Journal of Machine Learning Research 23): with interactions of two
parts a pair gives the exact values. The error of the sample is the spread between pairs, with the
correction for a finite number of orders; it is added to the error over seeds.
"""

from collections.abc import Sequence
from itertools import permutations
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from upgate.errors import UserError
from upgate.stats.estimate import Estimate, Floats
from upgate.stats.paired import paired
from upgate.stats.two_way import satterthwaite, t_test

Order = tuple[int, ...]
MOST_LISTED = 7  # parts up to which all orders are listed and shuffled


class Sampling(NamedTuple):
    """The variance that the choice of the orders adds, and its degrees of freedom."""

    variance: float
    df: float


def draw_orders(k: int, count: int, seed: int = 0) -> list[Order]:
    """Orders of k parts: pairs of an order and its reverse, no pair twice; all k! if count has
    them. More of them begin with the fewer ones. Raises UserError for an odd count.
    """
    if count % 2:
        raise UserError(f"orders come in pairs, an order and its reverse; {count} is odd")
    rng = np.random.default_rng(seed)
    pairs = min(count, factorial(k)) // 2
    drawn: list[Order] = []
    if k <= MOST_LISTED:
        listed = [order for order in permutations(range(k)) if order[0] < order[-1]]
        drawn = [listed[i] for i in rng.permutation(len(listed))[:pairs].tolist()]
    while len(drawn) < pairs:
        order = tuple(rng.permutation(k).tolist())
        order = order if order[0] < order[-1] else order[::-1]
        if order not in drawn:
            drawn.append(order)
    return [order for first in drawn for order in (first, first[::-1])]


def prefixes(orders: Sequence[Order]) -> list[frozenset[int]]:
    """The sets of parts that these orders pass through, each once, none and all left out."""
    sets: dict[frozenset[int], None] = {}
    for order in orders:
        for size in range(1, len(order)):
            sets[frozenset(order[:size])] = None
    return list(sets)


def order_weights(levels: NDArray[np.bool_], orders: Sequence[Order]) -> Floats:
    """Contrasts (orders, parts, arms): what a part adds to those before it in an order.

    levels: (arms, parts). Raises UserError where an arm is missing.
    """
    rows = {frozenset(np.flatnonzero(row).tolist()): i for i, row in enumerate(levels)}
    weights = np.zeros((len(orders), levels.shape[1], len(levels)))
    for contrasts, order in zip(weights, orders, strict=True):
        for position, part in enumerate(order):
            before, after = frozenset(order[:position]), frozenset(order[: position + 1])
            if before not in rows or after not in rows:
                raise UserError("an arm that the orders pass through is missing")
            contrasts[part, rows[after]] += 1
            contrasts[part, rows[before]] -= 1
    return weights


def pair_gains(levels: NDArray[np.bool_], orders: Sequence[Order], values: Floats) -> Floats:
    """What each part adds, mean of an order and its reverse: (parts, pairs, seeds).

    values: scores (arms, seeds).
    """
    gains = order_weights(levels, orders) @ values  # (orders, parts, seeds)
    return np.asarray((gains[::2] + gains[1::2]).swapaxes(0, 1) / 2)


def sampling(gains: Floats) -> Sampling:
    """What the choice of the pairs adds to the variance of a part's mean gain, (pairs, seeds).

    Spread between pairs without what the seeds make of it, as the two-way variance has it; nan for
    one pair. `finite` corrects for drawing without repeats.
    """
    pairs, seeds = gains.shape
    if pairs < 2:
        return Sampling(np.nan, np.nan)
    per_pair, per_seed = gains.mean(axis=1), gains.mean(axis=0)
    variance = float(per_pair.var(ddof=1)) / pairs
    if seeds > 1:
        cells = gains - per_pair[:, None] - per_seed + gains.mean()
        noise = float((cells**2).sum()) / ((seeds - 1) * (pairs - 1) * seeds * pairs)
        variance = max(0.0, variance - noise)
    return Sampling(variance, pairs - 1.0)


def finite(one: Sampling, k: int) -> Sampling:
    """Corrected for the share of all k!/2 pairs that was drawn; 0 for all of them."""
    left = 1 - (one.df + 1) / (factorial(k) / 2)
    return one._replace(variance=max(0.0, left) * one.variance)


def share_sampling(
    levels: NDArray[np.bool_], orders: Sequence[Order], values: Floats
) -> list[Sampling]:
    """`Sampling` of each part's share."""
    k = levels.shape[1]
    return [finite(sampling(gains), k) for gains in pair_gains(levels, orders, values)]


def sampled_estimate(d: Floats, one: Sampling, alpha: float) -> Estimate:
    """A share, (seeds,), with its interval over seeds and orders."""
    estimate, n = paired(d, alpha), len(d)
    if n < 2 or np.isnan(one.variance):
        return Estimate(estimate.effect, -np.inf, np.inf, 1.0, n)
    own = float(d.var(ddof=1)) / n if np.ptp(d) else 0.0
    total = own + one.variance
    df = satterthwaite(total, [(n - 1.0, own), (one.df, one.variance)])
    low, high, p = t_test(estimate.effect, float(np.sqrt(total)), df, alpha)
    return Estimate(estimate.effect, low, high, p, n)

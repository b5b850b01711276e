"""How much of the full difference each part brings.

Where all 2^k recipes ran, the Shapley values: exact, and their sum is that difference. Where the
arms of sampled orders ran, Shapley values of these orders (`shapley.py`). Elsewhere a
part's share is its main effect, halfway between what it adds alone and what is lost without it,
which is exact where no three parts interact. What the shares do not sum to is the remainder, a row
of its own: spread over the parts, it would make parts look useful that do nothing.

Every answer is a contrast, one weight per arm, applied to each seed's scores; its interval is the
paired t interval over seeds, so what a seed does to all arms alike cancels. The cost in time is the
same sum over seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upgate.errors import UserError
from upgate.stats.estimate import Estimate, Floats
from upgate.stats.paired import paired
from upgate.stats.shapley import Order, order_weights, sampled_estimate, share_sampling

Levels = NDArray[np.bool_]  # (arms, parts): which parts are at the upgraded choice
Pairs = tuple[tuple[str, str], ...]
Method = Literal["main", "exact", "sampled"]


@dataclass(frozen=True)
class Share:
    """A part's share, beside its two simpler effects and their interaction.

    add_one: the part alone, added to the traditional recipe. leave_one_out: what is lost when the
    upgraded recipe lacks the part. interaction: (leave_one_out - add_one)/4, the sum of the part's
    interactions with each other part, +-1 coded. None where the arms are not in the design.
    """

    share: Estimate
    add_one: Estimate | None
    leave_one_out: Estimate | None
    interaction: Estimate | None


@dataclass(frozen=True)
class Attribution:
    """full: upgraded minus traditional, the sum of the shares and the remainder.

    remainder: what interactions of three parts and more add; shares are to be believed where it is
    equivalent to nothing. exact: Shapley values of all arms, which assume nothing. method: how the
    shares were obtained: exact, sampled (Shapley values of sampled orders, whose intervals cover
    the choice of the orders too), or main (main effects). interactions: of
    two parts, +-1 coded, from a factorial; several pairs in one key are confounded, and the value
    is their sum. diverged: how many runs did; each counts as the worst finite score of the study,
    so the shares understate what it cost.
    """

    full: Estimate
    shares: dict[str, Share]
    remainder: Estimate
    exact: bool
    interactions: dict[Pairs, Estimate]
    diverged: int
    method: Method = "main"


def attribute(
    parts: Sequence[str],
    on: Sequence[frozenset[str]],
    scores: ArrayLike,
    better: str = "lower",
    alpha: float = 0.05,
    orders: Sequence[Order] = (),
) -> Attribution:
    """Attribute the scores (arms, seeds) of the arms that have these parts on.

    The arms are those of a `parts` or `factorial` design, and those that `orders` pass through:
    then the shares are Shapley values of these orders of the parts. Scores are on a scale that
    adds up: log MSE ratio, accuracy. Raises UserError for nan, and for arms that do not identify
    the parts.
    """
    values, diverged = bounded(np.asarray(scores, float), better)
    levels = levels_of(parts, on)
    weights, full = share_weights(levels, orders), full_weights(levels)
    method = share_method(levels, orders)
    errors = share_sampling(levels, orders, values) if method == "sampled" else []

    def estimate(contrast: Floats) -> Estimate:
        return paired(contrast @ values, alpha)

    def share(i: int) -> Share:
        own = estimate(weights[i])
        if errors:
            own = sampled_estimate(weights[i] @ values, errors[i], alpha)
        singles = (None if row is None else estimate(row) for row in single_weights(levels, i))
        return Share(own, *singles)

    return Attribution(
        full=estimate(full),
        shares={part: share(i) for i, part in enumerate(parts)},
        remainder=estimate(full - weights.sum(axis=0)),
        exact=is_full(levels),
        interactions={key: estimate(row) for key, row in pair_weights(parts, levels).items()},
        diverged=diverged,
        method=method,
    )


def share_method(levels: Levels, orders: Sequence[Order] = ()) -> Method:
    """How `share_weights` obtains the shares."""
    if is_full(levels):
        return "exact"
    return "sampled" if orders else "main"


def levels_of(parts: Sequence[str], on: Sequence[frozenset[str]]) -> Levels:
    """Which parts each arm has: (arms, parts) from the arms' sets of parts."""
    levels = np.zeros((len(on), len(parts)), dtype=bool)
    for row, arm in zip(levels, on, strict=True):
        row[:] = [part in arm for part in parts]
    return levels


def bounded(scores: Floats, better: str) -> tuple[Floats, int]:
    """The scores with each diverged run's as the worst finite one, and how many diverged.

    A diverged score is inf, or -inf where higher is better. Raises UserError for anything else that
    is not finite, and where nothing is finite.
    """
    worst = -np.inf if better == "higher" else np.inf
    finite = scores[np.isfinite(scores)]
    diverged = scores == worst
    if not finite.size or finite.size + diverged.sum() < scores.size:
        raise UserError(
            f"an attribution needs scores that are finite, or {worst} for a diverged run,"
            " and some finite ones"
        )
    bound = finite.min() if better == "higher" else finite.max()
    return np.where(diverged, bound, scores), int(diverged.sum())


def share_weights(levels: Levels, orders: Sequence[Order] = ()) -> Floats:
    """Contrasts (parts, arms) of the shares. Raises UserError where the arms do not give them."""
    _check(levels)
    method = share_method(levels, orders)
    if method == "exact":
        return shapley_weights(levels)
    if method == "sampled":
        return np.asarray(order_weights(levels, orders).mean(axis=0))
    return main_weights(levels)


def remainder_weights(levels: Levels) -> Floats:
    """The contrast (arms,) of what main effects do not sum to; 0 in all of a full factorial."""
    return np.asarray(full_weights(levels) - share_weights(levels).sum(axis=0))


def is_full(levels: Levels) -> bool:
    """Whether all 2^k recipes are there."""
    return bool(len(levels) == 2 ** levels.shape[1])


def shapley_weights(levels: Levels) -> Floats:
    """Contrasts (parts, arms) of the exact Shapley values of all 2^k arms (Shapley 1953).

    A part's mean gain over all orders in which the parts may be added.
    """
    k = levels.shape[1]
    size = levels.sum(axis=1)
    weights = np.zeros((k, len(levels)))
    for row, column in zip(weights, levels.T, strict=True):
        row[column] = [1 / (k * comb(k - 1, s - 1)) for s in size[column].tolist()]
        row[~column] = [-1 / (k * comb(k - 1, s)) for s in size[~column].tolist()]
    return weights


def _check(levels: Levels) -> None:
    """Raise UserError where the arms do not tell the parts apart."""
    rows = {tuple(row) for row in levels.tolist()}
    opposite = {tuple(row) for row in (~levels).tolist()}
    if len(rows) < len(levels) or rows != opposite or (False,) * levels.shape[1] not in rows:
        raise UserError(
            "an attribution needs each arm once, its opposite, and both full recipes;"
            " take study=parts or study=factorial"
        )
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(levels)), levels])) <= levels.shape[1]:
        raise UserError(
            "these arms do not tell the parts apart; take the arms of study=parts or"
            " study=factorial"
        )


def full_weights(levels: Levels) -> Floats:
    """All parts on minus none."""
    return levels.all(axis=1).astype(float) - (~levels.any(axis=1)).astype(float)


def single_weights(levels: Levels, i: int) -> tuple[Floats | None, Floats | None, Floats | None]:
    """Part i added alone to the traditional recipe; its gain within the upgraded one; a quarter of
    the second minus the first, their interaction.

    None where an arm is missing.
    """
    only = np.arange(levels.shape[1]) == i
    added, left = ((levels == row).all(axis=1).astype(float) for row in (only, ~only))
    add = added - ~levels.any(axis=1) if added.any() else None
    leave = levels.all(axis=1) - left if left.any() else None
    both = None if add is None or leave is None else (leave - add) / 4
    return add, leave, both


def main_weights(levels: Levels) -> Floats:
    """Main effects (parts, arms), their sum not constrained.

    Halfway between added alone and left out; where these arms are missing, the mean with the part
    minus the mean without it.
    """
    rows = []
    for i, column in enumerate(levels.T):
        add, leave, _ = single_weights(levels, i)
        if add is None or leave is None:
            rows.append(column / column.sum() - ~column / (~column).sum())
        else:
            rows.append((add + leave) / 2)
    return np.array(rows)


def pair_weights(parts: Sequence[str], levels: Levels) -> dict[Pairs, Floats]:
    """Interactions of two parts: the mean of the scores times both levels, +-1 coded.

    Pairs with the same product share a key. Empty where the arms are not a factorial.
    """
    n, k = levels.shape
    x = np.where(levels, 1, -1)
    if (x.T @ x != n * np.eye(k)).any() or x.sum(axis=0).any():
        return {}
    alike: dict[tuple[int, ...], list[tuple[str, str]]] = {}
    for i, j in combinations(range(k), 2):
        alike.setdefault(tuple((x[:, i] * x[:, j]).tolist()), []).append((parts[i], parts[j]))
    return {tuple(pairs): np.array(product) / n for product, pairs in alike.items()}

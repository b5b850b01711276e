"""How much of the whole difference each part brings: Shapley values, whose sum is the whole difference, seed by seed.

Every answer is a contrast, one weight per arm, applied to each seed's scores; its interval is the paired t interval over seeds, so what a
seed does to all arms alike cancels. The cost in time is the same sum over seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upgate.errors import UserError
from upgate.stats.paired import Estimate, Floats, paired

Levels = NDArray[np.bool_]  # (arms, parts): which parts are at the upgraded choice
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Share:
    """A part's Shapley value; what it brings alone, added to the traditional recipe; what is lost when the upgraded one lacks it.

    interaction: (leave_one_out - add_one)/4, the sum of its interactions with each other part, +-1 coded. None where the arms are not
    in the design.
    """

    share: Estimate
    add_one: Estimate | None
    leave_one_out: Estimate | None
    interaction: Estimate | None


@dataclass(frozen=True)
class Attribution:
    """whole: upgraded minus traditional, the sum of the shares. remainder: what interactions of three and more add; 0 is assumed.

    interactions: of two parts, +-1 coded, from a factorial; several pairs in one key cannot be told apart, theirs is a sum.
    diverged: how many runs did; each counts as the worst finite score of the study, so the shares understate what it cost.
    """

    whole: Estimate
    shares: dict[str, Share]
    remainder: Estimate
    interactions: dict[Pairs, Estimate]
    diverged: int


def attribute(
    parts: Sequence[str],
    on: Sequence[frozenset[str]],
    scores: ArrayLike,
    better: str = "lower",
    alpha: float = 0.05,
) -> Attribution:
    """Attribute the scores (arms, seeds) of the arms that have these parts on; the arms are `design.parts` or `design.factorial`.

    A full factorial gives exact Shapley values, the others do so where no three parts interact. Scores are on a scale that adds up: log
    MSE ratio, accuracy. Raises UserError for nan, and for arms that do not tell the parts apart.
    """
    values, diverged = bounded(np.asarray(scores, float), better)
    levels = np.array([[part in arm for part in parts] for arm in on], dtype=bool).reshape(
        len(on), len(parts)
    )
    weights, whole = shapley_weights(levels), whole_weights(levels)
    alone = [
        (single_weights(levels, i), single_weights(levels, i, left_out=True))
        for i in range(len(parts))
    ]

    def estimate(contrast: Floats) -> Estimate:
        return paired(contrast @ values, alpha)

    return Attribution(
        whole=estimate(whole),
        shares={
            part: Share(
                share=estimate(row),
                add_one=None if add is None else estimate(add),
                leave_one_out=None if leave is None else estimate(leave),
                interaction=None if add is None or leave is None else estimate((leave - add) / 4),
            )
            for part, row, (add, leave) in zip(parts, weights, alone, strict=True)
        },
        remainder=estimate(whole - main_weights(levels).sum(axis=0)),
        interactions={key: estimate(row) for key, row in pair_weights(parts, levels).items()},
        diverged=diverged,
    )


def bounded(scores: Floats, better: str) -> tuple[Floats, int]:
    """Diverged runs' scores, inf (-inf where higher is better), as the worst finite one; and how many there were."""
    worst = -np.inf if better == "higher" else np.inf
    finite = scores[np.isfinite(scores)]
    diverged = scores == worst
    if not finite.size or finite.size + diverged.sum() < scores.size:
        raise UserError(
            f"an attribution needs scores that are finite, or {worst} for a diverged run, and some finite ones"
        )
    return np.where(diverged, finite.min() if better == "higher" else finite.max(), scores), int(
        diverged.sum()
    )


def shapley_weights(levels: Levels) -> Floats:
    """Contrasts (parts, arms) of the shares: least squares of the arms' gains on their parts, the sum held at the whole difference.

    With all 2^k arms and the Shapley kernel as weights these are the exact values (Charnes et al. 1988; Lundberg & Lee 2017). With fewer
    arms, each beside its opposite, interactions of two parts cancel (Covert & Lee 2021), and equal weights vary least.
    """
    n, k = levels.shape
    _check(levels)
    size = levels.sum(axis=1)
    inner = (size > 0) & (size < k)
    x, start = levels[inner].astype(float), np.eye(n)[size == 0]
    w = np.array(
        [(k - 1) / (comb(k, s) * s * (k - s)) if n == 2**k else 1.0 for s in size[inner].tolist()]
    )
    normal = np.block([[x.T * w @ x, np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
    if np.linalg.matrix_rank(normal) <= k:
        raise UserError(
            "these arms do not tell the parts apart; take the arms of study=parts or study=factorial"
        )
    gains = np.vstack([x.T * w @ (np.eye(n)[inner] - start), whole_weights(levels)])
    return np.linalg.solve(normal, gains)[:k]


def _check(levels: Levels) -> None:
    rows = {tuple(row) for row in levels.tolist()}
    opposite = {tuple(not level for level in row) for row in rows}
    if len(rows) < len(levels) or rows != opposite or (False,) * levels.shape[1] not in rows:
        raise UserError(
            "an attribution needs each arm once, its opposite, and both whole recipes; take study=parts or study=factorial"
        )


def whole_weights(levels: Levels) -> Floats:
    """All parts on minus none."""
    return levels.all(axis=1).astype(float) - (~levels.any(axis=1)).astype(float)


def single_weights(levels: Levels, i: int, left_out: bool = False) -> Floats | None:
    """Part i added alone to the traditional recipe, or its gain in the upgraded one; None where an arm is missing."""
    only = np.arange(levels.shape[1]) == i
    arm = (levels == (~only if left_out else only)).all(axis=1).astype(float)
    if not arm.any():
        return None
    return levels.all(axis=1) - arm if left_out else arm - (~levels.any(axis=1))


def main_weights(levels: Levels) -> Floats:
    """Main effects (parts, arms), not held at any sum: halfway between added alone and left out, else the mean on minus the mean off."""
    rows = []
    for i, column in enumerate(levels.T):
        add, leave = single_weights(levels, i), single_weights(levels, i, left_out=True)
        rows.append(
            column / column.sum() - ~column / (~column).sum()
            if add is None or leave is None
            else (add + leave) / 2
        )
    return np.array(rows)


def pair_weights(parts: Sequence[str], levels: Levels) -> dict[Pairs, Floats]:
    """Interactions of two parts: mean of the scores times both levels of +-1; pairs with one product together. Empty if not a factorial."""
    n, k = levels.shape
    x = np.where(levels, 1, -1)
    if (x.T @ x != n * np.eye(k)).any() or x.sum(axis=0).any():
        return {}
    alike: dict[tuple[int, ...], list[tuple[str, str]]] = {}
    for i, j in combinations(range(k), 2):
        alike.setdefault(tuple((x[:, i] * x[:, j]).tolist()), []).append((parts[i], parts[j]))
    return {tuple(pairs): np.array(product) / n for product, pairs in alike.items()}

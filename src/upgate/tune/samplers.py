"""Points of a search as pure functions of the seed and the number.

So a resumed search has the same points, bit for bit. Number 0 is the baseline itself. Random and
Sobol points are one list for all arms: a coordinate belongs to a key, so arms that share a key get
the same value of it.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from upgate.seeds import derive
from upgate.tune.space import Dimension, Values

Point = dict[str, float]  # key -> coordinate in [0, 1)


def random_point(seed: int, number: int, keys: Sequence[str]) -> Point:
    """The number-th point; a key's coordinate does not depend on which other keys there are."""
    return {
        key: float(np.random.default_rng(derive(seed, "tune", number, key)).random())
        for key in keys
    }


def sobol_point(seed: int, number: int, keys: Sequence[str]) -> Point:
    """The number-th point, from 1 on, of a scrambled Sobol sequence over the keys of all arms."""
    points = _sobol(seed, len(keys), max(3, math.ceil(math.log2(number + 1))))
    return dict(zip(keys, points[number - 1].tolist(), strict=True))


@lru_cache(maxsize=8)
def _sobol(seed: int, dimensions: int, power: int) -> NDArray[np.float64]:
    """(2^power, dimensions): the first points; a longer sequence begins with a shorter one."""
    return qmc.Sobol(
        dimensions, scramble=True, rng=np.random.default_rng(derive(seed, "sobol"))
    ).random_base2(power)


def shared_point(sampler: str, seed: int, number: int, keys: Sequence[str]) -> Point:
    return (sobol_point if sampler == "sobol" else random_point)(seed, number, keys)


def map_point(space: Sequence[Dimension], point: Mapping[str, float]) -> Values:
    """The values of a shared point in one arm's space."""
    return {dim.key: dim.value(point[dim.key]) for dim in space}


def grid_count(space: Sequence[Dimension], per_axis: int) -> int:
    return math.prod(len(dim.axis(per_axis)) for dim in space)


def grid_point(space: Sequence[Dimension], per_axis: int, number: int) -> Values:
    """The number-th point of the grid, from 1 on; the last axis moves fastest."""
    left, values = number - 1, {}
    for dim in reversed(space):
        axis = dim.axis(per_axis)
        left, i = divmod(left, len(axis))
        values[dim.key] = axis[i]
    return {dim.key: values[dim.key] for dim in space}


def generation_of(number: int, size: int) -> range:
    """The numbers of the generation that a number belongs to; the baseline is one by itself."""
    if number == 0:
        return range(1)
    start = (number - 1) // size * size + 1
    return range(start, start + size)

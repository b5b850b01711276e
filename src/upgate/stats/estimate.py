"""What estimates are: an effect with its interval. SciPy is not imported here."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """An effect with its two-sided interval and its p-value against no effect.

    A single number has no interval: (-inf, inf), p = 1.
    """

    effect: float
    low: float
    high: float
    p: float
    n: int


class Interval(NamedTuple):
    effect: float
    low: float
    high: float

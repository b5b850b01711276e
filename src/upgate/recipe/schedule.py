"""schedule: the learning rate over the run, as a share of each group's own rate."""

import math
from collections.abc import Callable

from upgate.schema import Fraction, NonNegative

Schedule = Callable[[float], float]  # share of the steps done, 0 to 1 -> share of the learning rate


def constant() -> Schedule:
    """The null choice."""
    return lambda done: 1.0


def cosine(final: NonNegative) -> Schedule:
    """Half a cosine from 1 down to `final` (Loshchilov & Hutter 2017)."""
    return lambda done: anneal(1.0, final, done)


def onecycle(warmup: Fraction) -> Schedule:
    """Up from 1/25 to 1 over the share `warmup` of the steps, then down to 1/250,000, both in half cosines (Smith 2018)."""

    def share(done: float) -> float:
        if done < warmup:
            return anneal(1 / 25, 1.0, done / warmup)
        return anneal(1.0, 1 / 250_000, (done - warmup) / (1 - warmup))

    return share


def anneal(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, done))) / 2

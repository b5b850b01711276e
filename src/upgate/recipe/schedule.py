"""schedule: the learning rate over the run, as a share of each group's own rate."""

import math
from collections.abc import Callable
from typing import Annotated

from upgate.config.schema import Fraction, NonNegative, PositiveInt, Range
from upgate.recipe.registry import register
from upgate.types import StateDict

Share = Annotated[
    float, Range("between 0 and 1, both excluded", {"exclusiveMinimum": 0, "exclusiveMaximum": 1})
]


class Schedule:
    """From the share of the steps done, 0 to 1, to the share of the learning rate."""

    def __init__(self, share: Callable[[float], float]) -> None:
        self.share = share

    def __call__(self, done: float) -> float:
        return self.share(done)

    def validated(self, loss: float) -> None:
        """Take a validation loss."""

    def engagement(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> StateDict:
        return {}

    def load_state_dict(self, state: StateDict) -> None: ...


@register("schedule", "constant")
def constant() -> Schedule:
    """The null choice."""
    return Schedule(lambda done: 1.0)


@register("schedule", "cosine")
def cosine(final: NonNegative) -> Schedule:
    """Half a cosine from 1 down to `final` (Loshchilov & Hutter 2017)."""
    return Schedule(lambda done: anneal(1.0, final, done))


@register("schedule", "onecycle")
def onecycle(warmup: Fraction) -> Schedule:
    """Up from 1/25 to 1 over the share `warmup` of the steps, then down to 1/250,000 (Smith 2018).

    Both in half cosines.
    """

    def share(done: float) -> float:
        if done < warmup:
            return anneal(1 / 25, 1.0, done / warmup)
        return anneal(1.0, 1 / 250_000, (done - warmup) / (1 - warmup))

    return Schedule(share)


@register("schedule", "warmup")
def warmup(warmup: Fraction) -> Schedule:
    """Up from 1/25 to 1 in a line over the share `warmup` of the steps, then constant.

    Goyal et al. 2017; 1/25 as in onecycle.
    """
    return Schedule(lambda done: 1.0 if done >= warmup else 1 / 25 + (1 - 1 / 25) * done / warmup)


@register("schedule", "plateau")
class ReduceOnPlateau(Schedule):
    """Times `factor` after every `patience` validations in a row without a loss below the best.

    Mikolov et al. 2010 halve it after one. A tie is no improvement, and neither is NaN. The new
    rate is in force from the second step after the validation.
    """

    def __init__(self, factor: Share, patience: PositiveInt) -> None:
        self.factor, self.patience = factor, patience
        self.scale, self.best, self.waited, self.cuts = 1.0, math.inf, 0, 0

    def __call__(self, done: float) -> float:
        return self.scale

    def validated(self, loss: float) -> None:
        better = loss < self.best
        self.best = loss if better else self.best
        self.waited = 0 if better else self.waited + 1
        if self.waited == self.patience:
            self.scale, self.waited, self.cuts = self.scale * self.factor, 0, self.cuts + 1

    def engagement(self) -> dict[str, float]:
        return {"rate_cuts": float(self.cuts)}

    def state_dict(self) -> StateDict:
        counts = {"waited": self.waited, "cuts": self.cuts}
        return {"now": self.scale, "best": self.best, **counts}

    def load_state_dict(self, state: StateDict) -> None:
        self.scale, self.best = state["now"], state["best"]
        self.waited, self.cuts = state["waited"], state["cuts"]


def anneal(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, done))) / 2

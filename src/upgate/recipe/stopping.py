"""stopping: when a run ends, and which of its weights are kept."""

import math

from upgate.config.schema import NonNegative, PositiveInt
from upgate.recipe.registry import register
from upgate.types import StateDict


@register("stopping", "none")
class NoStopping:
    """The null choice: the whole budget, the last weights."""

    keeps_best = False

    def update(self, value: float, epoch: int) -> bool:
        """Take a validation loss; return whether these weights are the best so far."""
        return True

    def done(self) -> bool:
        return False

    def state_dict(self) -> StateDict:
        return {}

    def load_state_dict(self, state: StateDict) -> None: ...


@register("stopping", "early")
class EarlyStopping(NoStopping):
    """Stop after `patience` epochs without a loss below best - min_delta; keep the best weights.

    Prechelt 1998. A tie is no improvement, and neither is NaN.
    """

    keeps_best = True

    def __init__(self, patience: PositiveInt, min_delta: NonNegative) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.waited = math.inf, -1, 0

    def update(self, value: float, epoch: int) -> bool:
        better = value < self.best - (self.min_delta if math.isfinite(self.best) else 0.0)
        if better:
            self.best, self.best_epoch, self.waited = value, epoch, 0
        else:
            self.waited += 1
        return better

    def done(self) -> bool:
        return self.waited >= self.patience

    def state_dict(self) -> StateDict:
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: StateDict) -> None:
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.waited = state["waited"]

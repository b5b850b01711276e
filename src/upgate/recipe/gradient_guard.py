"""Between backward and step: measures the gradients, skips non-finite ones, clips, and counts."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from upgate.recipe.clip.base import Clip
from upgate.types import StateDict

GIVE_UP = 20  # non-finite gradients in a row after which a run has diverged


class Diverged(Exception):
    """The run's gradients stayed non-finite; a result like any other, ranked last."""


class GradientGuard:
    """Guard, measure and clip the gradients of the parameters that are about to be stepped.

    One inf among the gradients makes a norm clip write NaN into all of them, so a non-finite
    gradient skips the step (an optimizer passes over parameters without a gradient) and is counted.
    Called once for all parameters or once per layer; `end_step` then makes one step of it, so that
    the counts are of steps either way.
    """

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.norms: list[float] = []
        self.clipped = self.skipped = self.in_a_row = 0
        self._norms: list[float] = []  # of this step
        self._engaged = False

    def __call__(self, params: Sequence[nn.Parameter]) -> None:
        grads = [p.grad for p in params if p.grad is not None]
        if not grads:
            return
        norm = nn.utils.get_total_norm(grads)
        self._norms.append(float(norm))
        if math.isfinite(self._norms[-1]):
            self._engaged |= self.clip(params, norm)
            return
        for p in params:
            p.grad = None

    def end_step(self) -> bool:
        """Count the step and return whether all of it was taken.

        Raises Diverged when GIVE_UP steps in a row were not.
        """
        norms, engaged = self._norms, self._engaged
        self._norms, self._engaged = [], False
        if not norms:
            return True
        self.norms.append(math.hypot(*norms))
        self.clipped += engaged
        if math.isfinite(self.norms[-1]):
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= GIVE_UP:
            raise Diverged(f"gradients were not finite {GIVE_UP} steps in a row")
        return False

    def engagement(self) -> dict[str, float]:
        """Share of steps clipped or skipped, quantiles of the norms, and the clip's own numbers."""
        if not self.norms:
            return {}
        finite = [n for n in self.norms if math.isfinite(n)] or [math.nan]
        norms = torch.tensor(finite, dtype=torch.float64)
        numbers = {"clipped_share": self.clipped / len(self.norms)}
        numbers["skipped_steps"] = float(self.skipped)
        for percent in (5, 50, 95):
            numbers[f"grad_norm_p{percent}"] = float(norms.quantile(percent / 100))
        return numbers | self.clip.engagement()

    def state_dict(self) -> StateDict:
        counts = {"clipped": self.clipped, "skipped": self.skipped, "in_a_row": self.in_a_row}
        return {"norms": self.norms, **counts, "clip": self.clip.state_dict()}

    def load_state_dict(self, state: StateDict) -> None:
        self.norms, self.clipped = list(state["norms"]), state["clipped"]
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]
        self.clip.load_state_dict(state["clip"])

"""averaging: the weights that are evaluated and kept, when they are not the last ones."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from upgate.schema import Fraction


class none:
    """The null choice: the weights as they are."""

    def start(self, params: Sequence[nn.Parameter], total_steps: int) -> None:
        """Called once, before the first step of a run or of its continuation."""

    def after_step(self) -> None: ...

    def swap(self) -> None:
        """Exchange the weights and their average; a second call undoes it."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class ema(none):
    """s = d s + (1 - d) w after each step (Polyak & Juditsky 1992); the first steps average plainly, d = (1 + t) / (10 + t)."""

    def __init__(self, decay: Fraction | None) -> None:
        self.decay = decay
        self.average: list[Tensor] = []
        self.steps = 0

    def start(self, params: Sequence[nn.Parameter], total_steps: int) -> None:
        self.params = [p.detach() for p in params]
        self.d = fitted_decay(total_steps) if self.decay is None else self.decay
        if not self.average:
            self.average = [p.clone() for p in self.params]
        self.average = [a.to(p.device) for a, p in zip(self.average, self.params, strict=True)]

    def after_step(self) -> None:
        self.steps += 1
        d = min(self.d, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, self.params, 1 - d)

    def swap(self) -> None:
        held = [p.clone() for p in self.params]
        torch._foreach_copy_(self.params, self.average)
        torch._foreach_copy_(self.average, held)

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.average, self.steps = list(state["average"]), state["steps"]


def fitted_decay(steps: int) -> float:
    """.98 for 400 steps, .999 for 2,000 and more, a power law between (and below)."""
    return 1 - min(0.5, max(0.001, 0.02 * (400 / max(1, steps)) ** 1.8614))

"""averaging: the weights that are evaluated and kept, when they are not the last ones."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from upgate.config.schema import Fraction
from upgate.recipe.registry import register
from upgate.types import StateDict


@register("averaging", "none")
class NoAveraging:
    """The null choice: the weights as they are."""

    def start(self, params: Sequence[nn.Parameter], total_steps: int) -> None:
        """Called once, before the first step of a run or of its continuation."""

    def after_step(self) -> None: ...

    def validated(self, loss: float) -> None:
        """Take a validation loss, that of the average where there is one."""

    def engagement(self) -> dict[str, float]:
        return {}

    def swap(self) -> None:
        """Exchange the weights and their average; a second call undoes it."""

    def state_dict(self) -> StateDict:
        return {}

    def load_state_dict(self, state: StateDict) -> None: ...


class Average(NoAveraging):
    """s += rate (w - s) after each step; what `rate` is at step t makes the kind of average."""

    def __init__(self) -> None:
        self.average: list[Tensor] = []
        self.steps = 0

    def rate(self, t: int) -> float:
        raise NotImplementedError

    def start(self, params: Sequence[nn.Parameter], total_steps: int) -> None:
        self.params = [p.detach() for p in params]
        if not self.average:
            self.average = [p.clone() for p in self.params]
        self.average = [a.to(p.device) for a, p in zip(self.average, self.params, strict=True)]

    def after_step(self) -> None:
        self.steps += 1
        torch._foreach_lerp_(self.average, self.params, self.rate(self.steps))

    def swap(self) -> None:
        weights = [p.clone() for p in self.params]
        torch._foreach_copy_(self.params, self.average)
        torch._foreach_copy_(self.average, weights)

    def state_dict(self) -> StateDict:
        return {"average": self.average, "steps": self.steps}

    def load_state_dict(self, state: StateDict) -> None:
        self.average, self.steps = list(state["average"]), state["steps"]


@register("averaging", "ema")
class ExponentialMovingAverage(Average):
    """s = d s + (1 - d) w after each step (Polyak & Juditsky 1992).

    The first steps average plainly: d = (1 + t) / (10 + t).
    """

    def __init__(self, decay: Fraction | None) -> None:
        super().__init__()
        self.decay = decay

    def start(self, params: Sequence[nn.Parameter], total_steps: int) -> None:
        super().start(params, total_steps)
        self.d = fitted_decay(total_steps) if self.decay is None else self.decay

    def rate(self, t: int) -> float:
        return 1 - min(self.d, (1 + t) / (10 + t))


@register("averaging", "swa")
class StochasticWeightAverage(Average):
    """The plain mean of the weights after each step, from the share `begin` of the steps on.

    Izmailov et al. 2018 average at the end of each epoch; runs of ten epochs would leave two or
    three points. Until then the weights as they are.
    """

    def __init__(self, begin: Fraction) -> None:
        super().__init__()
        self.begin = begin

    def start(self, params: Sequence[nn.Parameter], total_steps: int) -> None:
        super().start(params, total_steps)
        self.after = int(self.begin * total_steps)

    def rate(self, t: int) -> float:
        return 1 / max(1, t - self.after)

    def engagement(self) -> dict[str, float]:
        return {"averaged_steps": float(max(0, self.steps - self.after))}


class NonMonotone(Average):
    """The plain mean from the first validation on whose loss is worse than min(losses[:-n]).

    `losses` are all before it: so says Merity et al.'s code (2018); their algorithm 1 compares with
    the last n losses too, which would trigger sooner. NaN is worse than any loss.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.losses: list[float] = []
        self.after: int | None = None  # steps before the average

    def validated(self, loss: float) -> None:
        loss = math.inf if math.isnan(loss) else loss
        if self.after is None and len(self.losses) > self.n and loss > min(self.losses[: -self.n]):
            self.after = self.steps
        self.losses.append(loss)

    def rate(self, t: int) -> float:
        return 1.0 if self.after is None else 1 / (t - self.after)

    def engagement(self) -> dict[str, float]:
        return {"averaged_steps": 0.0 if self.after is None else float(self.steps - self.after)}

    def state_dict(self) -> StateDict:
        return {**super().state_dict(), "losses": list(self.losses), "after": self.after}

    def load_state_dict(self, state: StateDict) -> None:
        super().load_state_dict(state)
        self.losses, self.after = list(state["losses"]), state["after"]


def fitted_decay(steps: int) -> float:
    """.98 for 400 steps, .999 for 2,000 and more, a power law between (and below)."""
    return 1 - min(0.5, max(0.001, 0.02 * (400 / max(1, steps)) ** 1.8614))

"""The optimizers that PyTorch has not: Lion, and Schedule-Free AdamW."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.recipe.layerwise.in_backward import evaluated


class PerParameterOptimizer(Optimizer):
    """A rule that is written for one parameter and its own state."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = evaluated(closure)
        for p, group in self.members():
            if p.grad is not None:
                self.update(p, p.grad, self.state[p], group)
        return loss

    def members(self) -> Iterator[tuple[nn.Parameter, dict[str, Any]]]:
        return ((p, group) for group in self.param_groups for p in group["params"])

    def update(
        self, w: nn.Parameter, g: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        raise NotImplementedError


class Lion(PerParameterOptimizer):
    """w -= lr (sign(b1 m + (1 - b1) g) + weight_decay w), then m = b2 m + (1 - b2) g (Chen et al. 2023, algorithm 2)."""

    def update(
        self, w: nn.Parameter, g: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        b1, b2 = group["betas"]
        m = state.setdefault("m", torch.zeros_like(w))
        w.mul_(1 - group["lr"] * group["weight_decay"]).sub_(
            torch.sign(m.lerp(g, 1 - b1)), alpha=group["lr"]
        )
        m.lerp_(g, 1 - b2)


class ScheduleFree(PerParameterOptimizer):
    """Schedule-Free AdamW (Defazio et al. 2024, algorithm 1): gradients at y, steps of z, and x, an average of z, is the result.

    The net holds y while it is trained; `swap` exchanges it with x, and a second call undoes that bit for bit.
    """

    def update(
        self, y: nn.Parameter, g: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if not state:
            state.update(
                step=0,
                weight=0.0,
                x=y.detach().clone(),
                z=y.detach().clone(),
                v=torch.zeros_like(y),
            )
        x, z, v, (b1, b2) = state["x"], state["z"], state["v"], group["betas"]
        state["step"] += 1
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        lr = group["lr"] * (1 - b2 ** state["step"]) ** 0.5  # Adam's correction of v
        z.addcdiv_(g, v.sqrt().add_(group["eps"]), value=-lr).sub_(
            y, alpha=lr * group["weight_decay"]
        )
        state["weight"] += lr**2
        x.lerp_(z, lr**2 / state["weight"])
        y.copy_(z.lerp(x, b1))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights that are trained (y) and those that are judged and kept (x)."""
        for p, _ in self.members():
            if "x" in self.state[p]:
                held = p.detach().clone()
                p.copy_(self.state[p]["x"])
                self.state[p]["x"].copy_(held)

"""Schedule-Free AdamW, whose average of the weights takes the schedule's place."""

import torch
from torch import Tensor, nn

from upgate.recipe.optimizer.base import PerParameterOptimizer, State
from upgate.recipe.param_groups import TorchGroup


class ScheduleFree(PerParameterOptimizer):
    """Gradients at y, steps of z, and x, an average of z, is the result.

    Defazio et al. 2024, algorithm 1. The net holds y while it is trained; `swap` exchanges it with
    x, and a second call undoes that bit for bit.
    """

    def update(self, y: nn.Parameter, g: Tensor, state: State, group: TorchGroup) -> None:
        if not state:
            state.update(step=0, weight=0.0, x=y.detach().clone(), z=y.detach().clone())
            state["v"] = torch.zeros_like(y)
        x, z, v, (b1, b2) = state["x"], state["z"], state["v"], group["betas"]
        state["step"] += 1
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        lr = group["lr"] * (1 - b2 ** state["step"]) ** 0.5  # Adam's correction of v
        z.addcdiv_(g, v.sqrt().add_(group["eps"]), value=-lr)
        z.sub_(y, alpha=lr * group["weight_decay"])
        state["weight"] += lr**2
        x.lerp_(z, lr**2 / state["weight"])
        y.copy_(z.lerp(x, b1))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights that are trained (y) and those that are judged and kept (x)."""
        for p, _ in self.members():
            if "x" in self.state[p]:
                trained = p.detach().clone()
                p.copy_(self.state[p]["x"])
                self.state[p]["x"].copy_(trained)

"""Lion, which PyTorch has not: steps of one size, by the sign of a momentum."""

import torch
from torch import Tensor, nn

from upgate.recipe.optimizer.base import PerParameterOptimizer, State
from upgate.recipe.param_groups import TorchGroup


class Lion(PerParameterOptimizer):
    """w -= lr (sign(b1 m + (1 - b1) g) + weight_decay w), then m = b2 m + (1 - b2) g.

    Chen et al. 2023, algorithm 2.
    """

    def update(self, w: nn.Parameter, g: Tensor, state: State, group: TorchGroup) -> None:
        b1, b2 = group["betas"]
        m = state.setdefault("m", torch.zeros_like(w))
        direction = torch.sign(m.lerp(g, 1 - b1))
        w.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=group["lr"])
        m.lerp_(g, 1 - b2)

"""regularization: what keeps the weights small; biases and embeddings are left alone."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.config.schema import NonNegative
from upgate.recipe.param_groups import TorchGroup
from upgate.recipe.registry import register
from upgate.recipe.regularization.base import Regularizer


@register("regularization", "l1")
class L1(Regularizer):
    """Proximal: w = sign(w) max(|w| - lr lam, 0) after the step.

    So weights become exactly 0, where a subgradient never gets.
    """

    def __init__(self, lam: NonNegative) -> None:
        self.strength = lam

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            if w := decayed_weights(group):
                size = torch._foreach_abs(w)
                torch._foreach_sub_(size, group["lr"] * self.strength)
                torch._foreach_clamp_min_(size, 0.0)
                sign = list(torch._foreach_sign(w))
                torch._foreach_copy_(w, torch._foreach_mul(list(size), sign))


@register("regularization", "l2")
class L2(Regularizer):
    """Coupled: lam/2 |w|^2 in the training loss.

    Under Adam this is not weight decay: large gradients shrink their own penalty.
    """

    def __init__(self, lam: NonNegative) -> None:
        self.strength = lam

    def penalty(self, weights: Sequence[nn.Parameter]) -> Tensor:
        return 0.5 * self.strength * torch.stack([w.square().sum() for w in weights]).sum()


@register("regularization", "decay")
class WeightDecay(Regularizer):
    """Decoupled: w *= 1 - lr lam after the step, at the group's rate in force.

    Loshchilov & Hutter 2019, whatever the optimizer. AdamW's own decay comes before its step, on w
    alone: the two differ by lr^2 lam times the update. With an optimizer that decays by itself it
    is refused: two decays that add up are one decay with a number that nobody chose.
    """

    def __init__(self, lam: NonNegative) -> None:
        self.strength = lam

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            if w := decayed_weights(group):
                torch._foreach_mul_(w, 1 - group["lr"] * self.strength)
                self.record(share_per_step=group["lr"] * self.strength)


def decayed_weights(group: TorchGroup) -> list[Tensor]:
    """A group's weights that a decay or an l1 may change.

    None of a group without decay, and none that a layerwise choice has frozen.
    """
    return [] if group["no_decay"] else [w for w in group["params"] if w.requires_grad]


def exact_zeros(weights: Sequence[nn.Parameter]) -> float:
    """Share of the weights that are exactly 0."""
    return sum(int((w == 0).sum()) for w in weights) / max(1, sum(w.numel() for w in weights))

"""regularization: what keeps the weights small or the model unsure; several at once.

The penalty enters the training step only: validation loss and metrics are free of it. Biases and embeddings are exempt.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from upgate.recipe.layerwise import split_exempt
from upgate.schema import Fraction, NonNegative


class Regularizer:
    """What a regularizer may do; each default does nothing."""

    generator: Generator  # this part's own random stream, set before the first step

    def attach(self, net: nn.Module) -> None:
        """Hang work into the net's forward pass: `net.taps[place]` are functions of (activations) -> activations."""

    def penalty(self, weights: Sequence[nn.Parameter]) -> Tensor | None:
        """A scalar added to the training loss."""
        return None

    def after_step(self, optimizer: Optimizer) -> None:
        """Change the weights after the optimizer's step."""

    def engagement(self) -> dict[str, float]:
        return {}


class l1(Regularizer):
    """Proximal: w = sign(w) max(|w| - lr lam, 0) after the step, so that weights become exactly 0 (a subgradient never gets there)."""

    def __init__(self, lam: NonNegative) -> None:
        self.lam = lam

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            if not group["exempt"]:
                w = group["params"]
                size = torch._foreach_abs(w)
                torch._foreach_sub_(size, group["lr"] * self.lam)
                torch._foreach_clamp_min_(size, 0.0)
                torch._foreach_copy_(w, torch._foreach_mul(size, torch._foreach_sign(w)))


class l2(Regularizer):
    """Coupled: lam/2 |w|^2 in the training loss. Under Adam this is not weight decay: large gradients shrink their own penalty."""

    def __init__(self, lam: NonNegative) -> None:
        self.lam = lam

    def penalty(self, weights: Sequence[nn.Parameter]) -> Tensor:
        return 0.5 * self.lam * torch.stack([w.square().sum() for w in weights]).sum()


class dropout(Regularizer):
    """Each activation zeroed with probability p, between layers and before the head (Srivastava et al. 2014)."""

    def __init__(self, p: Fraction) -> None:
        self.p = p

    def attach(self, net: nn.Module) -> None:
        for place in ("between", "head"):
            net.taps[place].append(self.drop)  # type: ignore[index, union-attr]

    def drop(self, h: Tensor) -> Tensor:
        return h * keep_mask(h, self.p, self.generator)


def keep_mask(like: Tensor, p: float, generator: Generator) -> Tensor:
    """0 with probability p, else 1 / (1 - p), in the type of `like`; the draws come from the part's own stream, the same in every type.

    On a CPU `rand` draws twice as fast as `bernoulli_`.
    """
    drawn = torch.rand(like.shape, dtype=torch.float32, device=like.device, generator=generator)
    return drawn.ge_(p).mul_(1 / (1 - p)).to(like.dtype)


def exact_zeros(weights: Sequence[nn.Parameter]) -> float:
    """Share of the weights that are exactly 0."""
    return sum(int((w == 0).sum()) for w in weights) / max(1, sum(w.numel() for w in weights))


def penalised(net: nn.Module) -> list[nn.Parameter]:
    return split_exempt(net)[0]

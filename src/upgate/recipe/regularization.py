"""regularization: what keeps the weights small or the model unsure; several at once.

The penalty enters the training step only: validation loss and metrics are free of it. Biases and embeddings are exempt.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from upgate.errors import UserError
from upgate.recipe.layerwise import split_exempt
from upgate.schema import Fraction, NonNegative

NEEDS_TOKENS = "regularization=word needs tokens: take task=sentiment; for prices, regularization=locked or regularization=dropout"


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


class locked(Regularizer):
    """One mask for all time steps of a sequence, on embedded tokens, between layers and on what leaves the last (Gal & Ghahramani 2016).

    A mask drawn anew at each step, as dropout's is, averages out over a sequence. Features of prices are not masked: the units of an
    embedding share what they say, while a feature gone for a whole window is gone (volatility, p .5, 3 seeds: 0.84 of persistence's error
    without, 1.02 with).
    """

    def __init__(self, p: Fraction) -> None:
        self.p = p

    def attach(self, net: nn.Module) -> None:
        places = ("input", "between", "output") if "tokens" in net.taps else ("between", "output")  # type: ignore[operator]
        for place in places:
            net.taps[place].append(self.drop)  # type: ignore[index, union-attr]

    def drop(self, h: Tensor) -> Tensor:  # (B, T, D), masked alike for every t, and the same for any T
        return h * keep_mask(h[:, :1], self.p, self.generator)


class word(Regularizer):
    """Each occurrence of a token dropped with probability p, the whole of it: its vector is 0 (Iyyer et al. 2015).

    It becomes the padding token in its place: positions and lengths stay those of the text. What is kept is not scaled up, as in the
    source: a token looks in training as it does in evaluation.
    """

    def __init__(self, p: Fraction) -> None:
        self.p = p

    def attach(self, net: nn.Module) -> None:
        if "tokens" not in net.taps:  # type: ignore[operator]
            raise UserError(NEEDS_TOKENS)
        net.taps["tokens"].append(self.drop)  # type: ignore[index, union-attr]

    def drop(self, tokens: Tensor) -> Tensor:  # (B, T)
        return tokens * uniform(tokens, self.generator).ge_(self.p).to(tokens.dtype)


def keep_mask(like: Tensor, p: float, generator: Generator) -> Tensor:
    """0 with probability p, else 1 / (1 - p), in the type of `like`; the draws are the same in every type."""
    return uniform(like, generator).ge_(p).mul_(1 / (1 - p)).to(like.dtype)


def uniform(like: Tensor, generator: Generator) -> Tensor:
    """Draw a float32 for each number of `like`, from [0, 1), out of the part's own stream; a batch's shape decides which comes where.

    On a CPU `rand` draws twice as fast as `bernoulli_`.
    """
    return torch.rand(like.shape, dtype=torch.float32, device=like.device, generator=generator)


def exact_zeros(weights: Sequence[nn.Parameter]) -> float:
    """Share of the weights that are exactly 0."""
    return sum(int((w == 0).sum()) for w in weights) / max(1, sum(w.numel() for w in weights))


def penalised(net: nn.Module) -> list[nn.Parameter]:
    return split_exempt(net)[0]

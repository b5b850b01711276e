"""regularization: what keeps the weights small or the model unsure; several at once.

All of it acts in training only: validation loss and metrics are free of it. Penalties and decay leave biases and embeddings alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from upgate.config.schema import Fraction, NonNegative
from upgate.recipe.layerwise.base import split_exempt
from upgate.recipe.optimizer.rules import Group
from upgate.recipe.registry import register
from upgate.recipe.regularization.base import Regularizer, keep_mask, uniform


@register("regularization", "l1")
class L1(Regularizer):
    """Proximal: w = sign(w) max(|w| - lr lam, 0) after the step, so that weights become exactly 0 (a subgradient never gets there)."""

    def __init__(self, lam: NonNegative) -> None:
        self.lam = lam

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            if w := trained(group):
                size = torch._foreach_abs(w)
                torch._foreach_sub_(size, group["lr"] * self.lam)
                torch._foreach_clamp_min_(size, 0.0)
                torch._foreach_copy_(
                    w, torch._foreach_mul(list(size), list(torch._foreach_sign(w)))
                )


@register("regularization", "l2")
class L2(Regularizer):
    """Coupled: lam/2 |w|^2 in the training loss. Under Adam this is not weight decay: large gradients shrink their own penalty."""

    def __init__(self, lam: NonNegative) -> None:
        self.lam = lam

    def penalty(self, weights: Sequence[nn.Parameter]) -> Tensor:
        return 0.5 * self.lam * torch.stack([w.square().sum() for w in weights]).sum()


@register("regularization", "decay")
class WeightDecay(Regularizer):
    """Decoupled: w *= 1 - lr lam after the step, at the group's rate in force (Loshchilov & Hutter 2019), whatever the optimizer.

    AdamW's own decay comes before its step, on w alone: the two differ by lr^2 lam times the update. With an optimizer that decays
    by itself it is refused: two decays that add up are one decay with a number that nobody asked for.
    """

    def __init__(self, lam: NonNegative) -> None:
        self.lam = lam

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            if w := trained(group):
                torch._foreach_mul_(w, 1 - group["lr"] * self.lam)
                self.note(share_per_step=group["lr"] * self.lam)


@register("regularization", "dropout")
class Dropout(Regularizer):
    """Each activation zeroed with probability p, between layers and before the head (Srivastava et al. 2014)."""

    def __init__(self, p: Fraction) -> None:
        self.p = p

    def attach(self, net: nn.Module) -> None:
        for place in ("between", "head"):
            net.taps[place].append(self.drop)  # type: ignore[index, union-attr]

    def drop(self, h: Tensor) -> Tensor:
        return h * keep_mask(h, self.p, self.generator)


@register("regularization", "locked")
class LockedDropout(Regularizer):
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

    def drop(
        self, h: Tensor
    ) -> Tensor:  # (B, T, D), masked alike for every t, and the same for any T
        return h * keep_mask(h[:, :1], self.p, self.generator)


@register("regularization", "word")
class WordDropout(Regularizer):
    """Each occurrence of a token dropped with probability p, the whole of it: its vector is 0 (Iyyer et al. 2015).

    It becomes the padding token in its place: positions and lengths stay those of the text. What is kept is not scaled up, as in the
    source: a token looks in training as it does in evaluation.
    """

    needs = "tokens"

    def __init__(self, p: Fraction) -> None:
        self.p = p

    def attach(self, net: nn.Module) -> None:
        net.taps["tokens"].append(self.drop)  # type: ignore[index, union-attr]

    def drop(self, tokens: Tensor) -> Tensor:  # (B, T)
        return tokens * uniform(tokens, self.generator).ge_(self.p).to(tokens.dtype)


@register("regularization", "embedding")
class EmbeddingDropout(Regularizer):
    """Whole rows of the embedding dropped with probability p: a word is gone wherever it occurs (Gal & Ghahramani 2016).

    One mask over the vocabulary for all texts of a batch, and what is kept scaled by 1 / (1 - p), as in AWD-LSTM.
    """

    needs = "tokens"

    def __init__(self, p: Fraction) -> None:
        self.p = p

    def attach(self, net: nn.Module) -> None:
        net.embedding.register_forward_hook(self.drop)  # type: ignore[union-attr]

    def drop(
        self, module: nn.Embedding, inputs: tuple[Tensor], embedded: Tensor
    ) -> Tensor:  # (B, T, D), the tokens being (B, T)
        if not module.training:
            return embedded
        kept = keep_mask(module.weight[:, 0], self.p, self.generator)[
            inputs[0]
        ]  # (B, T): the mask's rows, not a masked copy of the matrix
        words = inputs[0] != 0
        self.note(dropped=float(((kept == 0) & words).sum() / words.sum()))
        return embedded * kept[..., None]


@register("regularization", "weight_drop")
class WeightDrop(Regularizer):
    """DropConnect on the recurrent weights: each number of W_hh gone with probability p for a whole sequence (Merity et al. 2018).

    One mask per forward pass, layer and direction: the same at every time step, and for all sequences of a batch, as in AWD-LSTM's code.
    So the LSTM still is one matrix for all, and runs on the fused kernel.
    """

    def __init__(self, p: Fraction) -> None:
        self.p = p

    def attach(self, net: nn.Module) -> None:
        for layer in net.backbone.layers:  # type: ignore[union-attr]
            layer.run = self.run

    def run(self, lstm: nn.LSTM, x: Tensor) -> Tensor:
        if not lstm.training:
            return lstm(x)[0]
        w: Tensor = lstm.weight_hh_l0  # type: ignore[assignment]
        mask = keep_mask(w, self.p, self.generator)
        self.note(dropped=float((mask == 0).float().mean()))
        return functional_call(lstm, {"weight_hh_l0": w * mask}, (x,))[
            0
        ]  # a Parameter of the product would end its gradient


def trained(group: Group) -> list[Tensor]:
    """A group's weights that a decay or an l1 may touch: none of an exempt group, and none that a layerwise choice holds still."""
    return [] if group["exempt"] else [w for w in group["params"] if w.requires_grad]


def exact_zeros(weights: Sequence[nn.Parameter]) -> float:
    """Share of the weights that are exactly 0."""
    return sum(int((w == 0).sum()) for w in weights) / max(1, sum(w.numel() for w in weights))


def penalised(net: nn.Module) -> list[nn.Parameter]:
    return split_exempt(net)[0]

"""init: how the LSTM's weights start, gate by gate, and the embedding's.

PyTorch stacks the gates i, f, g, o in one (4H, I) matrix. An initialiser given the stack takes 4H
for the fan-out (Xavier's std comes out 0.63 times too small at I = H) and makes no gate orthogonal,
so each gate block gets its own draw here.

An embedding starts from PyTorch's N(0, 1) with the null choice, from U(-0.1, 0.1) with all others,
as AWD-LSTM's does. Small vectors are learned in a few hundred steps; of large ones a rare word
moves little, so many steps do not learn it by heart (docs/results/reviews.md).
"""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Generator, Tensor, nn

from upgate.config.schema import Range
from upgate.recipe.registry import register

# Changes a single-layer LSTM or an embedding in place.
Init = Callable[[nn.Module, Generator], None]
Fill = Callable[..., Tensor]  # torch.nn.init's functions: (tensor, generator=)


@register("init", "pytorch")
def pytorch(forget_bias: float | None) -> Init:
    """The null choice: as PyTorch built them.

    An LSTM from U(-1/sqrt(H), 1/sqrt(H)), an embedding from N(0, 1).
    """

    def apply(module: nn.Module, generator: Generator) -> None:
        if isinstance(module, nn.LSTM):
            set_forget_bias(module, forget_bias)

    return apply


@register("init", "xavier")
def xavier(forget_bias: float | None) -> Init:
    """U(-a, a), a = sqrt(6 / (fan_in + H)) (Glorot & Bengio 2010)."""
    return per_gate(nn.init.xavier_uniform_, nn.init.xavier_uniform_, forget_bias)


@register("init", "he")
def he(forget_bias: float | None) -> Init:
    """N(0, 2 / fan_in) (He et al. 2015)."""

    def normal(gate: Tensor, generator: Generator) -> Tensor:
        return nn.init.kaiming_normal_(gate, nonlinearity="relu", generator=generator)

    return per_gate(normal, normal, forget_bias)


@register("init", "lecun")
def lecun(forget_bias: float | None) -> Init:
    """N(0, 1 / fan_in) (LeCun et al. 1998)."""

    def normal(gate: Tensor, generator: Generator) -> Tensor:
        return nn.init.kaiming_normal_(gate, nonlinearity="linear", generator=generator)

    return per_gate(normal, normal, forget_bias)


@register("init", "orthogonal")
def orthogonal(forget_bias: float | None) -> Init:
    """Recurrent blocks orthogonal, so that all their singular values are 1 (Saxe et al. 2014).

    Input blocks Xavier.
    """
    return per_gate(nn.init.xavier_uniform_, nn.init.orthogonal_, forget_bias)


@register("init", "chrono")
def chrono(t_max: Annotated[float, Range("2 or more", {"minimum": 2})]) -> Init:
    """b_f = log u, b_i = -b_f, u ~ U(1, t_max - 1) for each unit: memories of up to t_max steps.

    Tallec & Ollivier 2018. The paper is about these biases only; the weights are orthogonal's, the
    same draws, so that the two choices differ in the biases alone.
    """
    weights = orthogonal(forget_bias=None)

    @torch.no_grad()
    def apply(module: nn.Module, generator: Generator) -> None:
        weights(module, generator)
        if isinstance(module, nn.LSTM):
            _, _, bias_ih, _ = module.all_weights[0]
            i, f, _, _ = bias_ih.chunk(4)
            f.uniform_(1.0, t_max - 1.0, generator=generator).log_()
            i.copy_(-f)

    return apply


def per_gate(inputs: Fill, recurrent: Fill, forget_bias: float | None) -> Init:
    """Fill each (H, I) block with `inputs`, each (H, H) block with `recurrent`, biases with 0."""

    @torch.no_grad()
    def apply(module: nn.Module, generator: Generator) -> None:
        if isinstance(module, nn.Embedding):
            fill_embedding(module, generator)
        if not isinstance(module, nn.LSTM):
            return
        weight_ih, weight_hh, *biases = module.all_weights[0]
        for gate in weight_ih.chunk(4):
            inputs(gate, generator=generator)
        for gate in weight_hh.chunk(4):
            recurrent(gate, generator=generator)
        for b in biases:
            b.zero_()
        set_forget_bias(module, forget_bias)

    return apply


def fill_embedding(embedding: nn.Embedding, generator: Generator) -> None:
    """U(-0.1, 0.1) (Merity et al. 2018); the padding's vector stays 0."""
    nn.init.uniform_(embedding.weight, -0.1, 0.1, generator=generator)
    if embedding.padding_idx is not None:
        embedding.weight[embedding.padding_idx] = 0.0


@torch.no_grad()
def set_forget_bias(lstm: nn.LSTM, bias: float | None) -> None:
    """Set the forget gate's bias; nn.LSTM adds two bias vectors, so the second is 0 there."""
    if bias is not None:
        _, _, bias_ih, bias_hh = lstm.all_weights[0]
        bias_ih.chunk(4)[1].fill_(bias)
        bias_hh.chunk(4)[1].zero_()

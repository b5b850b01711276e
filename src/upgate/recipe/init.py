"""init: how the LSTM's weights start, gate by gate, and the embedding's.

PyTorch stacks the gates i, f, g, o in one (4H, I) matrix. An initialiser given the stack takes 4H for the fan-out (Xavier's std comes
out 0.63 times too small at I = H) and makes no gate orthogonal, so each gate block gets its own draw here.

An embedding starts from PyTorch's N(0, 1) with the null choice: plain SGD needs its large vectors, for its steps on a rare word are tiny.
All others draw it from U(-0.1, 0.1), as AWD-LSTM does: under Adam, N(0, 1) is louder than what a rare word can learn in a few steps.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

Init = Callable[[nn.Module, Generator], None]  # changes a single-layer LSTM or an embedding in place
Fill = Callable[..., Tensor]  # torch.nn.init's functions: (tensor, generator=)


def pytorch(forget_bias: float | None) -> Init:
    """The null choice: as PyTorch built them, an LSTM from U(-1/sqrt(H), 1/sqrt(H)), an embedding from N(0, 1)."""

    def apply(module: nn.Module, generator: Generator) -> None:
        if isinstance(module, nn.LSTM):
            set_forget_bias(module, forget_bias)

    return apply


def xavier(forget_bias: float | None) -> Init:
    """U(-a, a), a = sqrt(6 / (fan_in + H)) (Glorot & Bengio 2010)."""
    return per_gate(nn.init.xavier_uniform_, nn.init.xavier_uniform_, forget_bias)


def he(forget_bias: float | None) -> Init:
    """N(0, 2 / fan_in) (He et al. 2015)."""

    def normal(gate: Tensor, generator: Generator) -> Tensor:
        return nn.init.kaiming_normal_(gate, nonlinearity="relu", generator=generator)

    return per_gate(normal, normal, forget_bias)


def orthogonal(forget_bias: float | None) -> Init:
    """Recurrent blocks orthogonal, so that all their singular values are 1 (Saxe et al. 2014); input blocks Xavier."""
    return per_gate(nn.init.xavier_uniform_, nn.init.orthogonal_, forget_bias)


def per_gate(inputs: Fill, recurrent: Fill, forget_bias: float | None) -> Init:
    """Fill each (H, I) block with `inputs`, each (H, H) block with `recurrent`, and set the biases to 0."""

    @torch.no_grad()
    def apply(module: nn.Module, generator: Generator) -> None:
        if isinstance(module, nn.Embedding):
            small(module, generator)
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


def small(embedding: nn.Embedding, generator: Generator) -> None:
    """U(-0.1, 0.1) (AWD-LSTM, Merity et al. 2018); the padding's vector stays 0."""
    nn.init.uniform_(embedding.weight, -0.1, 0.1, generator=generator)
    if embedding.padding_idx is not None:
        embedding.weight[embedding.padding_idx] = 0.0


@torch.no_grad()
def set_forget_bias(lstm: nn.LSTM, bias: float | None) -> None:
    """Set the forget gate's bias; nn.LSTM adds its two bias vectors, so the second one is 0 there."""
    if bias is not None:
        _, _, bias_ih, bias_hh = lstm.all_weights[0]
        bias_ih.chunk(4)[1].fill_(bias)
        bias_hh.chunk(4)[1].zero_()

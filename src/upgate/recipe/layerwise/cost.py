"""What a training step costs when only some layers are updated, over a step that updates all."""

from collections.abc import Collection, Sequence

from torch import nn

Size = tuple[int, int]  # input and hidden size, I and H


def cost_share(
    layers: Sequence[Sequence[Size]], active: Collection[int], embedding: bool = False
) -> float:
    """Cost of updating the layers `active` over that of updating all.

    `layers` are the LSTMs of each layer, bottom to top. Per token: 8H(I + H) forward in every
    layer; backward, 8H^2 where the gradient passes through time (l >= min A), 8HI where it passes
    on to the layer below (l > min A), 8H(I + H) for a layer's own weights (l in A). An `embedding`
    is updated with the lowest layer, so that there the gradient passes on below it. Head, pooling
    and the embedding's own rows are left out.
    """
    return _cost(layers, active, embedding) / _cost(layers, range(len(layers)), embedding)


def _cost(layers: Sequence[Sequence[Size]], active: Collection[int], embedding: bool) -> int:
    lowest = min(active, default=len(layers))
    passes_from = lowest if embedding and lowest == 0 else lowest + 1
    total = 0
    for level, lstms in enumerate(layers):
        for i, h in lstms:
            forward = own_weights = 8 * h * (i + h)
            through_time = 8 * h * h * (level >= lowest)
            passed_on = 8 * h * i * (level >= passes_from)
            total += forward + through_time + passed_on + own_weights * (level in active)
    return total


def lstm_sizes(layer: nn.Module) -> list[Size]:
    """The sizes of a layer's LSTMs: two of them when it is bidirectional."""
    lstms = [m for m in layer.modules() if isinstance(m, nn.LSTM)]
    return [(lstm.input_size, lstm.hidden_size) for lstm in lstms]

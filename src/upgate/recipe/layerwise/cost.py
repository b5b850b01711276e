"""What a training step costs when only some layers are updated, as a share of a step that updates all of them."""

from collections.abc import Collection, Iterator, Sequence

from torch import nn

Size = tuple[int, int]  # input and hidden size, I and H


def cost_share(
    layers: Sequence[Sequence[Size]], active: Collection[int], embedding: bool = False
) -> float:
    """Cost of updating the layers `active` over that of updating all; `layers` are the LSTMs of each, bottom to top.

    Per token: 8H(I + H) forward in every layer; backward, 8H^2 where the gradient passes through time (l >= min A), 8HI where it passes
    on to the layer below (l > min A), 8H(I + H) for a layer's own weights (l in A). An `embedding` is updated with the lowest layer, so
    that there the gradient passes on below it. Head, pooling and the embedding's own rows are left out.
    """
    return _cost(layers, active, embedding) / _cost(layers, range(len(layers)), embedding)


def _cost(layers: Sequence[Sequence[Size]], active: Collection[int], embedding: bool) -> int:
    lowest = min(active, default=len(layers))
    passes_from = lowest if embedding and lowest == 0 else lowest + 1
    total = 0
    for place, lstms in enumerate(layers):
        for i, h in lstms:
            own = 8 * h * (i + h)
            total += (
                own
                + (8 * h * h) * (place >= lowest)
                + (8 * h * i) * (place >= passes_from)
                + own * (place in active)
            )
    return total


def sizes(layer: nn.Module) -> list[Size]:
    """The sizes of a layer's LSTMs: two of them when it is bidirectional."""
    return list(_sizes(layer))


def _sizes(layer: nn.Module) -> Iterator[Size]:
    return ((m.input_size, m.hidden_size) for m in layer.modules() if isinstance(m, nn.LSTM))

"""The LSTM that both tasks share: one single-layer `nn.LSTM` per layer and direction, on PyTorch's fused kernels."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from upgate.config.schema import PositiveInt, build
from upgate.recipe.layerwise.base import Layers

Pooling = Literal["last", "max", "mean", "attention", "concat"]
Tap = Callable[[Tensor], Tensor]


def run(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """(B, T, I) -> (B, T, H), from a state of 0."""
    return lstm(x)[0]


class Layer(nn.Module):
    """One LSTM layer; with `bidirectional`, a second forward LSTM reads each valid prefix backwards.

    A backward pass over right-padded input would start in the padding; reversing the prefix by `gather` starts it at the last token.
    """

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        self.forth = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.back = nn.LSTM(input_size, hidden_size, batch_first=True) if bidirectional else None
        self.run = run  # a regularizer may run the LSTMs in its own way

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:  # (B, T, I) -> (B, T, H or 2H)
        forth = self.run(self.forth, x)
        if self.back is None:
            return forth
        back = self.run(self.back, reverse(x, lengths))
        return torch.cat([forth, reverse(back, lengths)], dim=-1)


class Backbone(nn.Module):
    """(B, T, I), lengths (B,) or None for all T -> (B, D), D = hidden size, twice that when bidirectional, thrice for concat.

    `taps` are functions that regularizers hang in, by place: "input", what enters the first layer; "between", what leaves each layer but
    the last; "output", the sequence that leaves the last; "dropped", the same after all those; "head", what is left of it after pooling.
    They run in training only.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: PositiveInt,
        num_layers: PositiveInt,
        bidirectional: bool,
        pooling: Pooling,
    ) -> None:
        super().__init__()
        width = hidden_size * (2 if bidirectional else 1)
        sizes = [input_size] + [width] * (num_layers - 1)
        self.layers = nn.ModuleList(Layer(size, hidden_size, bidirectional) for size in sizes)
        self.score = nn.Linear(width, 1, bias=False) if pooling == "attention" else None
        self.pooling, self.hidden_size = pooling, hidden_size
        self.width = width * (3 if pooling == "concat" else 1)
        self.taps: dict[str, list[Tap]] = {
            "input": [],
            "between": [],
            "output": [],
            "dropped": [],
            "head": [],
        }

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(self.tapped("between" if i else "input", x), lengths)
        h = self.tapped("dropped", self.tapped("output", x))
        return self.tapped("head", self.pool(h, lengths))

    def tapped(self, place: str, h: Tensor) -> Tensor:
        if self.training:
            for tap in self.taps[place]:
                h = tap(h)
        return h

    def pool(
        self, h: Tensor, lengths: Tensor | None, score: nn.Module | None = None
    ) -> Tensor:  # (B, T, D) -> (B, D)
        """Padding takes no part; attention goes by the net's own scores unless others are given."""
        if self.pooling == "last":
            return last(h, lengths, self.hidden_size)
        valid = (
            None
            if lengths is None
            else (torch.arange(h.shape[1], device=h.device) < lengths[:, None])[..., None]
        )
        if self.pooling == "max":
            return maximum(h, valid)
        if self.pooling == "mean":
            return mean(h, valid)
        if (score := score or self.score) is not None:
            scores = score(h)  # (B, T, 1)
            scores = scores if valid is None else scores.masked_fill(~valid, -torch.inf)
            return (scores.softmax(1) * h).sum(1)
        return torch.cat(
            [last(h, lengths, self.hidden_size), maximum(h, valid), mean(h, valid)], dim=-1
        )


class Head(nn.Linear):
    """A linear layer that stays in full precision under autocast, as the loss after it does: (B, D) -> (B, K)."""

    def forward(self, pooled: Tensor) -> Tensor:
        with torch.autocast(pooled.device.type, enabled=False):
            return super().forward(pooled.to(self.weight.dtype))


def backbone_of(input_size: int, model: dict[str, Any]) -> Backbone:
    """Build the backbone from a model's name and knobs; raises UserError for a wrong knob, by its whole name."""
    return build(
        Backbone,
        {"input_size": input_size, **{k: v for k, v in model.items() if k != "name"}},
        "model",
    )


def stack(backbone: Backbone, head: nn.Module) -> Layers:
    """Name what is updated as a layer, bottom to top; the pooling's weights go with the head."""
    top = nn.ModuleList([head] + ([backbone.score] if backbone.score is not None else []))
    return [*((f"lstm.{i}", layer) for i, layer in enumerate(backbone.layers)), ("head", top)]


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each valid prefix in time and leave the padding where it is: (B, T, D) -> (B, T, D)."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
    index = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x.gather(1, index[..., None].expand_as(x))


def last(h: Tensor, lengths: Tensor | None, hidden_size: int) -> Tensor:
    """The state after the last token in each direction: the backward half ends at the first token."""
    end = h[:, -1] if lengths is None else h[torch.arange(len(h), device=h.device), lengths - 1]
    return (
        end
        if h.shape[-1] == hidden_size
        else torch.cat([end[:, :hidden_size], h[:, 0, hidden_size:]], dim=-1)
    )


def maximum(h: Tensor, valid: Tensor | None) -> Tensor:
    return (h if valid is None else h.masked_fill(~valid, -torch.inf)).amax(1)


def mean(h: Tensor, valid: Tensor | None) -> Tensor:
    return h.mean(1) if valid is None else (h * valid).sum(1) / valid.sum(1)

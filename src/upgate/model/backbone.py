"""The LSTM that the tasks share: one single-layer `nn.LSTM` per layer and direction.

They run on PyTorch's fused kernels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import torch
from torch import Tensor, nn

from upgate.config.schema import PositiveInt, build, check
from upgate.model.pooling import pool_attention, pool_last, pool_max, pool_mean, reverse
from upgate.types import Layers

Pooling = Literal["last", "max", "mean", "attention", "concat"]
ActivationHook = Callable[[Tensor], Tensor]
Runner = Callable[[nn.LSTM, Tensor], Tensor]


@dataclass(frozen=True)
class SkipChoice:
    """What the network's output starts from: nothing, or the forecast of a reference."""

    skip: Literal["none", "reference"] = "none"


HOOK_POSITIONS = ("input", "between", "output", "dropped", "head")


def run_lstm(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """(B, T, I) -> (B, T, H), from a state of 0."""
    return lstm(x)[0]


class LSTMLayer(nn.Module):
    """One LSTM layer; if `bidirectional`, a second forward LSTM reads each valid prefix backwards.

    A backward pass over right-padded input would start in the padding; reversing the prefix by
    `gather` starts it at the last token. The LSTMs are registered as `forth` and `back`, the names
    that checkpoints hold.
    """

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        self.forth = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.back = nn.LSTM(input_size, hidden_size, batch_first=True) if bidirectional else None
        self._run: Runner = run_lstm

    @property
    def forward_lstm(self) -> nn.LSTM:
        return self.forth

    @property
    def backward_lstm(self) -> nn.LSTM | None:
        return self.back

    def run_with(self, runner: Runner) -> None:
        """Run both LSTMs by this function: (lstm, (B, T, I)) -> (B, T, H), from a state of 0."""
        self._run = runner

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:  # (B, T, I) -> (B, T, H or 2H)
        ahead = self._run(self.forward_lstm, x)
        if self.backward_lstm is None:
            return ahead
        behind = self._run(self.backward_lstm, reverse(x, lengths))
        return torch.cat([ahead, reverse(behind, lengths)], dim=-1)


class Backbone(nn.Module):
    """(B, T, I), lengths (B,) or None for all T -> (B, D).

    D is the hidden size, twice that when bidirectional, thrice for concat.

    `activation_hooks` are functions that regularizers add, by position: "input", what enters the
    first layer; "between", what leaves each layer but the last; "output", the sequence that leaves
    the last; "dropped", the same after all those; "head", what is left of it after pooling. They
    run in training only.
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
        self.layers = nn.ModuleList(LSTMLayer(size, hidden_size, bidirectional) for size in sizes)
        self.score = nn.Linear(width, 1, bias=False) if pooling == "attention" else None
        self.pooling, self.hidden_size = pooling, hidden_size
        self.width = width * (3 if pooling == "concat" else 1)
        self.activation_hooks: dict[str, list[ActivationHook]] = {p: [] for p in HOOK_POSITIONS}

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, beside: Tensor | None = None
    ) -> Tensor:
        """beside: (B, T, J), what enters the first layer beside x; the hooks do not touch it."""
        for i, layer in enumerate(self.layers):
            x = self.run_hooks("between" if i else "input", x)
            if beside is not None and i == 0:
                x = torch.cat([x, beside.to(x.dtype)], dim=-1)
            x = layer(x, lengths)
        h = self.run_hooks("dropped", self.run_hooks("output", x))
        return self.run_hooks("head", self.pool(h, lengths))

    def run_hooks(self, position: str, h: Tensor) -> Tensor:
        """What the hooks at a position make of an activation; in evaluation the activation."""
        if self.training:
            for hook in self.activation_hooks[position]:
                h = hook(h)
        return h

    def pool(self, h: Tensor, lengths: Tensor | None, score: nn.Module | None = None) -> Tensor:
        """(B, T, D) -> (B, D); padding takes no part.

        Attention goes by the net's own scores unless another `score` is given.
        """
        if self.pooling == "last":
            return pool_last(h, lengths, self.hidden_size)
        valid = None
        if lengths is not None:
            valid = (torch.arange(h.shape[1], device=h.device) < lengths[:, None])[..., None]
        if self.pooling == "max":
            return pool_max(h, valid)
        if self.pooling == "mean":
            return pool_mean(h, valid)
        if (score := score or self.score) is not None:
            return pool_attention(h, valid, score(h))
        last = pool_last(h, lengths, self.hidden_size)
        return torch.cat([last, pool_max(h, valid), pool_mean(h, valid)], dim=-1)


class Head(nn.Linear):
    """A linear layer that stays in full precision under autocast, as the loss after it does.

    (B, D) -> (B, K).
    """

    def forward(self, pooled: Tensor) -> Tensor:
        with torch.autocast(pooled.device.type, enabled=False):
            return super().forward(pooled.to(self.weight.dtype))


class ModelWords(TypedDict, total=False):
    """The network's knobs in Python; those not given are those of `conf/model/`."""

    name: Literal["lstm", "bilstm"]
    hidden_size: int
    num_layers: int
    bidirectional: bool
    pooling: Pooling


def check_knobs(model: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs that the backbone takes of a model's, checked.

    Raises UserError for a wrong one, by its full name.
    """
    knobs = {key: value for key, value in model.items() if key not in ("name", "search", "skip")}
    known = check(Backbone, {"input_size": 1, **knobs}, "model")  # the data give the input's size
    return {key: known[key] for key in knobs}


def build_backbone(input_size: int, model: Mapping[str, Any]) -> Backbone:
    """Build the backbone from a model's name and knobs.

    Raises UserError for a wrong knob, by its full name.
    """
    knobs = {key: value for key, value in model.items() if key not in ("name", "skip")}
    return build(Backbone, {"input_size": input_size, **knobs}, "model")


def layer_groups(backbone: Backbone, head: nn.Module) -> Layers:
    """Name what is updated as a layer, bottom to top; the pooling's weights go with the head."""
    top = nn.ModuleList([head] + ([backbone.score] if backbone.score is not None else []))
    return [*((f"lstm.{i}", layer) for i, layer in enumerate(backbone.layers)), ("head", top)]

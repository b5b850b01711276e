"""layerwise: each layer learns from a head of its own, and nothing from the layers above it."""

from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from torch import Tensor, nn

from upgate.generators import seeded
from upgate.recipe.layerwise.base import Layerwise
from upgate.recipe.registry import register
from upgate.types import Batch, Layers, Loss, StateDict


@register("layerwise", "local")
class Local(Layerwise):
    """The gradient stops between layers; each but the last has a head of its own.

    Belilovsky et al. 2019. An auxiliary head pools as the net does, is built as the net's own, and
    has the task's loss. The losses are added up: their gradients do not meet.
    """

    def __init__(self) -> None:
        self.heads = nn.ModuleList()
        self.backbone: Any = None  # of the net
        self.between: list[Tensor] = []  # what left the layers in this pass, (B, T, D) each
        self.losses: defaultdict[str, float] = defaultdict(float)
        self.steps = 0

    def attach(self, net: Any, seed: int) -> nn.Module:
        self.backbone = net.backbone
        lower = range(len(self.backbone.layers) - 1)
        self.heads = nn.ModuleList(self.head(net, seed, i) for i in lower)
        self.backbone.activation_hooks["between"].append(self.cut)
        return self.heads

    def head(self, net: Any, seed: int, i: int) -> nn.Module:
        """A fresh copy of the net's head and, where it has one, of the pooling's score."""
        copied = [layer for layer in (net.head, self.backbone.score) if layer is not None]
        with seeded(seed, "layerwise", "local", i):
            fresh = [deepcopy(layer) for layer in copied]
            for layer in fresh:
                layer.reset_parameters()
        return nn.ModuleList(fresh)

    def cut(self, h: Tensor) -> Tensor:
        self.between.append(h)
        return h.detach()

    def layers(self, layers: Layers) -> Layers:
        return [("auxiliary", self.heads), *layers] if len(self.heads) else layers

    def objective(self, loss: Tensor, batch: Batch, loss_function: Loss) -> Tensor:
        between, self.between = self.between[len(self.between) - len(self.heads) :], []
        self.steps += 1
        for i, output in enumerate(self.outputs(between, batch)):
            auxiliary = loss_function(output, batch)
            self.losses[f"lstm.{i}"] += float(auxiliary.detach())
            loss = loss + auxiliary
        return loss

    def outputs(self, between: list[Tensor], batch: Batch) -> Iterator[Tensor]:
        for h, layers in zip(between, self.heads, strict=True):
            head, *score = layers.children()
            out = head(self.backbone.pool(h, batch.get("lengths"), *score))
            yield out.squeeze(-1) if out.shape[-1] == 1 else out

    def engagement(self) -> dict[str, float]:
        """The mean auxiliary loss of each layer."""
        return {f"auxiliary_loss/{name}": total / self.steps for name, total in self.losses.items()}

    def state_dict(self) -> StateDict:
        return {"losses": dict(self.losses), "steps": self.steps}

    def load_state_dict(self, state: StateDict) -> None:
        self.losses, self.steps = defaultdict(float, state["losses"]), state["steps"]

"""layerwise: how the layers' weights are updated, together or each on its own."""

from torch.optim import Optimizer

from upgate.config.schema import Positive
from upgate.recipe.layerwise.base import Layers, Layerwise
from upgate.recipe.layerwise.in_backward import InBackward, Prepare
from upgate.recipe.optimizer.rules import Make
from upgate.recipe.registry import register


@register("layerwise", "joint")
class Joint(Layerwise):
    """The null choice: all layers in one step."""


@register("layerwise", "independent")
class Independent(Layerwise):
    """One optimizer per layer, stepped inside the backward pass: the same weights as joint, bit for bit, in less memory."""

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        groups = self.groups(layers)
        names = [name for name, _ in layers]
        return InBackward(
            [make([g for g in groups if g["layer"] == name]) for name in names], prepare
        )


@register("layerwise", "discriminative")
class Discriminative(Layerwise):
    """The rate of layer l - 1 is the rate of layer l over `factor` (Howard & Ruder 2018)."""

    def __init__(self, factor: Positive) -> None:
        self.factor = factor

    def rate(self, depth: int) -> float:
        return self.factor**-depth

"""layerwise: how the layers' weights are updated, together or each on its own."""

from torch.optim import Optimizer

from upgate.config.schema import Positive
from upgate.recipe.layerwise.base import Layerwise
from upgate.recipe.layerwise.in_backward import InBackward, PrepareGradients
from upgate.recipe.optimizer.base import OptimizerFactory
from upgate.recipe.registry import register
from upgate.types import Layers


@register("layerwise", "joint")
class Joint(Layerwise):
    """The null choice: all layers in one step."""


@register("layerwise", "independent")
class Independent(Layerwise):
    """One optimizer per layer, stepped inside the backward pass.

    The same weights as joint, bit for bit, in less memory.
    """

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        groups = self.groups(layers)
        optimizers = []
        for name, _ in layers:
            optimizers.append(factory([group for group in groups if group.layer == name]))
        return InBackward(optimizers, prepare)


@register("layerwise", "discriminative")
class Discriminative(Layerwise):
    """The rate of layer l - 1 is the rate of layer l over `factor` (Howard & Ruder 2018)."""

    def __init__(self, factor: Positive) -> None:
        self.factor = factor

    def lr_scale(self, depth: int) -> float:
        return self.factor**-depth

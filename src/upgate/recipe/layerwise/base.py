"""What a layerwise update may do."""

from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.recipe.layerwise.in_backward import PrepareGradients
from upgate.recipe.optimizer.base import OptimizerFactory
from upgate.recipe.param_groups import ParamGroup, merge_groups, split_no_decay
from upgate.types import Batch, Layers, Loss, StateDict


class Layerwise:
    """All layers in one step; each default changes nothing."""

    def lr_scale(self, depth: int) -> float:
        """The share of the learning rate at `depth` layers below the head."""
        return 1.0

    def attach(self, net: nn.Module, seed: int) -> nn.Module:
        """Hook into the net's forward pass, after the regularizers.

        Returns what is trained beside the net.
        """
        return nn.ModuleList()

    def layers(self, layers: Layers) -> Layers:
        """All that is trained, given the model's layers."""
        return layers

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        """Build the optimizer. `prepare` guards and clips gradients that are stepped early."""
        return factory(merge_groups(self.groups(layers)))

    def groups(self, layers: Layers) -> list[ParamGroup]:
        """Two groups for each layer, its weights and what no decay touches; empty ones left out."""
        groups = []
        for depth, (name, layer) in zip(range(len(layers) - 1, -1, -1), layers, strict=True):
            weights, no_decay = split_no_decay(layer)
            for params, exempt in ((weights, False), (no_decay, True)):
                if params:
                    groups.append(ParamGroup(params, name, exempt, self.lr_scale(depth)))
        return groups

    def start(self, seed: int, total_steps: int) -> None:
        """Called once, before the first step of a run or of its continuation."""

    def objective(self, loss: Tensor, batch: Batch, loss_function: Loss) -> Tensor:
        """What is minimised, given the task's loss on this batch."""
        return loss

    def after_backward(self) -> None:
        """Called when all gradients are complete, before they are clipped."""

    def before_step(self) -> None:
        """Called before the step's last batch is computed."""

    def after_step(self) -> None:
        """Called when all other parts have followed a step; the next one's layers may differ."""

    def engagement(self) -> dict[str, float]:
        return {}

    def timing(self) -> dict[str, float]:
        """Seconds by the clock, which no two runs share, and what the formula promises."""
        return {}

    def state_dict(self) -> StateDict:
        return {}

    def load_state_dict(self, state: StateDict) -> None: ...

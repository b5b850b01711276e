"""What a layerwise update may do, and how a model's layers become the optimizer's groups."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.errors import UserError
from upgate.recipe.layerwise.in_backward import Prepare
from upgate.recipe.optimizer.rules import Group, Make

Layers = Sequence[
    tuple[str, nn.Module]
]  # bottom to top, the head last; every parameter in exactly one
Loss = Callable[[Tensor, Any], Tensor]  # (output, batch) -> scalar


class Layerwise:
    """All layers in one step; each default changes nothing."""

    def rate(self, depth: int) -> float:
        """The share of the learning rate at `depth` layers below the head."""
        return 1.0

    def attach(self, net: nn.Module, seed: int) -> nn.Module:
        """Hang work into the net's forward pass, after the regularizers'; return what the learner trains beside the net."""
        return nn.ModuleList()

    def layers(self, layers: Layers) -> Layers:
        """All that is trained, given the model's layers."""
        return layers

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        """Build the optimizer; `prepare` guards and clips gradients, for those who step some of them early."""
        return make(merged(self.groups(layers)))

    def groups(self, layers: Layers) -> list[Group]:
        groups = []
        for depth, (name, layer) in zip(range(len(layers) - 1, -1, -1), layers, strict=True):
            weights, exempt = split_exempt(layer)
            for params, free in ((weights, False), (exempt, True)):
                if params:
                    groups.append(
                        {"params": params, "layer": name, "exempt": free, "rate": self.rate(depth)}
                    )
        return groups

    def start(self, seed: int, total_steps: int) -> None:
        """Called once, before the first step of a run or of its continuation."""

    def objective(self, loss: Tensor, batch: Any, loss_of: Loss) -> Tensor:
        """What is minimised, given the task's loss."""
        return loss

    def after_backward(self) -> None:
        """Called when the gradients are whole, before they are clipped."""

    def before_step(self) -> None:
        """Called before the step's last batch is computed."""

    def after_step(self) -> None:
        """Called when all other parts have followed a step: the layers of the next one may be others."""

    def engagement(self) -> dict[str, float]:
        return {}

    def timing(self) -> dict[str, float]:
        """Seconds by the clock, which no two runs share, and what the formula promises."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class WrappedOptimizer(Optimizer):
    """An optimizer that does something around another's step; groups and state are the other's own: schedules reach them."""

    def __init__(self, inner: Optimizer) -> None:
        self.inner = inner
        super().__init__([{"params": group["params"]} for group in inner.param_groups], defaults={})
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.inner.param_groups, self.inner.state

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.inner.load_state_dict(state_dict)
        self._share()


def split_exempt(layer: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split a layer's parameters into weights and those that no decay or penalty touches: biases and embeddings."""
    embeddings = {id(m.weight) for m in layer.modules() if isinstance(m, nn.Embedding)}
    params = [p for p in layer.parameters() if p.requires_grad]
    exempt = [p for p in params if p.ndim < 2 or id(p) in embeddings]
    kept = {id(p) for p in exempt}
    return [p for p in params if id(p) not in kept], exempt


def merged(groups: list[Group]) -> list[Group]:
    """Join groups that differ only in their layer: one multi-tensor step costs less than one per layer."""
    alike: dict[tuple[bool, float], list[Group]] = {}
    for group in groups:
        alike.setdefault((group["exempt"], group["rate"]), []).append(group)
    return [
        {
            **same[0],
            "params": [p for g in same for p in g["params"]],
            "layer": "+".join(g["layer"] for g in same),
        }
        for same in alike.values()
    ]


def check_layers(layers: Layers, module: nn.Module) -> None:
    """Raise unless every parameter is in exactly one layer."""
    seen = Counter(id(p) for _, layer in layers for p in layer.parameters())
    wrong = [
        f"{name} is in {seen[id(p)]}" for name, p in module.named_parameters() if seen[id(p)] != 1
    ]
    if wrong:
        raise UserError(
            f"each parameter must be in exactly one of the model's layers, but {' and '.join(wrong)}"
        )

"""layerwise: how the layers' weights are updated, together or each on its own."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from upgate.errors import UserError
from upgate.recipe.in_backward import InBackward, Prepare
from upgate.recipe.optimizer import Group, Make
from upgate.schema import Positive

Layers = Sequence[tuple[str, nn.Module]]  # bottom to top, the head last; every parameter in exactly one


@dataclass(frozen=True)
class Layerwise:
    """rate(depth): the share of the learning rate at `depth` layers below the head; in_backward: step inside the backward pass."""

    rate: Callable[[int], float]
    in_backward: bool = False

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        """Build the optimizer; `prepare` guards and clips gradients where they are stepped in the backward pass."""
        groups = self.groups(layers)
        if not self.in_backward:
            return make(groups)
        names = [name for name, _ in layers]
        return InBackward([make([g for g in groups if g["layer"] == name]) for name in names], prepare)

    def groups(self, layers: Layers) -> list[Group]:
        groups = []
        for depth, (name, layer) in zip(range(len(layers) - 1, -1, -1), layers, strict=True):
            weights, exempt = split_exempt(layer)
            for params, free in ((weights, False), (exempt, True)):
                if params:
                    groups.append({"params": params, "layer": name, "exempt": free, "rate": self.rate(depth)})
        return groups if self.in_backward else merged(groups)


def joint() -> Layerwise:
    """The null choice: all layers in one step."""
    return Layerwise(rate=lambda depth: 1.0)


def independent() -> Layerwise:
    """One optimizer per layer, stepped inside the backward pass: the same weights as joint, bit for bit, in less memory."""
    return Layerwise(rate=lambda depth: 1.0, in_backward=True)


def discriminative(factor: Positive) -> Layerwise:
    """The rate of layer l - 1 is the rate of layer l over `factor` (Howard & Ruder 2018)."""
    return Layerwise(rate=lambda depth: factor**-depth)


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
        {**same[0], "params": [p for g in same for p in g["params"]], "layer": "+".join(g["layer"] for g in same)}
        for same in alike.values()
    ]


def check_layers(layers: Layers, module: nn.Module) -> None:
    """Raise unless every parameter is in exactly one layer."""
    seen = Counter(id(p) for _, layer in layers for p in layer.parameters())
    wrong = [f"{name} is in {seen[id(p)]}" for name, p in module.named_parameters() if seen[id(p)] != 1]
    if wrong:
        raise UserError(f"each parameter must be in exactly one of the model's layers, but {' and '.join(wrong)}")

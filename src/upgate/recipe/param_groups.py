"""How a model's layers become the optimizer's parameter groups."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from upgate.errors import UserError
from upgate.messages import joined
from upgate.recipe.texts import say
from upgate.types import Layers

TorchGroup = dict[str, Any]  # a parameter group as `torch.optim` takes and holds it
OLD_KEYS = {"rate": "lr_scale", "exempt": "no_decay"}  # of checkpoints written before 2026-12


@dataclass(frozen=True)
class ParamGroup:
    """Parameters that are updated alike."""

    params: list[nn.Parameter]
    layer: str  # its name; those of merged groups joined by "+"
    no_decay: bool = False  # biases and embeddings, which no decay or penalty touches
    lr_scale: float = 1.0  # this layer's share of the learning rate

    def to_torch(self, lr: float, **options: Any) -> TorchGroup:
        """The group for an optimizer of learning rate `lr`, with options of its own."""
        return {**vars(self), "lr": lr * self.lr_scale, **options}


def with_lr(groups: Iterable[ParamGroup], lr: float, **options: Any) -> list[TorchGroup]:
    """Write each group's real learning rate, the value that every scheduler and logger reads."""
    return [group.to_torch(lr, **options) for group in groups]


def with_decay(groups: Iterable[ParamGroup], lr: float, weight_decay: float) -> list[TorchGroup]:
    """Give each group its decay as well: none to biases and embeddings."""
    return [
        group.to_torch(lr, weight_decay=0.0 if group.no_decay else weight_decay) for group in groups
    ]


def split_no_decay(layer: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split a layer's parameters into weights, and biases and embeddings, which nothing decays."""
    embeddings = {id(m.weight) for m in layer.modules() if isinstance(m, nn.Embedding)}
    params = [p for p in layer.parameters() if p.requires_grad]
    no_decay = [p for p in params if p.ndim < 2 or id(p) in embeddings]
    kept = {id(p) for p in no_decay}
    return [p for p in params if id(p) not in kept], no_decay


def penalized_weights(net: nn.Module) -> list[nn.Parameter]:
    """The weights that penalties count: all but biases and embeddings."""
    return split_no_decay(net)[0]


def merge_groups(groups: Iterable[ParamGroup]) -> list[ParamGroup]:
    """Join groups that differ in their layer only: one multi-tensor step costs less."""
    alike: dict[tuple[bool, float], list[ParamGroup]] = {}
    for group in groups:
        alike.setdefault((group.no_decay, group.lr_scale), []).append(group)
    return [_joined(same) for same in alike.values()]


def _joined(same: Sequence[ParamGroup]) -> ParamGroup:
    params = [p for group in same for p in group.params]
    return replace(same[0], params=params, layer="+".join(group.layer for group in same))


def check_layers(layers: Layers, module: nn.Module) -> None:
    """Raise UserError unless every parameter of the module is in exactly one layer."""
    seen = Counter(id(p) for _, layer in layers for p in layer.parameters())
    wrong = [
        say("is_in", name=name, count=seen[id(p)])
        for name, p in module.named_parameters()
        if seen[id(p)] != 1
    ]
    if wrong:
        raise UserError(say("not_one_layer", wrong=joined(wrong, "and")))


def rename_old_keys(state: Any) -> Any:
    """An optimizer's state with today's group keys, however optimizers are nested in it."""
    if isinstance(state, Mapping):
        renamed = {key: rename_old_keys(value) for key, value in state.items()}
        if "param_groups" in renamed:
            renamed["param_groups"] = [_renamed_group(g) for g in renamed["param_groups"]]
        return renamed
    return [rename_old_keys(item) for item in state] if isinstance(state, list) else state


def _renamed_group(group: Mapping[str, Any]) -> TorchGroup:
    return {OLD_KEYS.get(key, key): value for key, value in group.items()}

"""Asked equals got: the optimizer's groups hold what the configuration says, or it raises."""

from typing import Any

from torch import nn
from torch.optim import Optimizer

from upgate.config.values import Section
from upgate.errors import UserError
from upgate.recipe.optimizer.base import parameters
from upgate.recipe.param_groups import TorchGroup
from upgate.recipe.registry import SOURCE
from upgate.recipe.texts import say

NO_KNOBS = ("name", SOURCE)  # keys of a choice that no group holds


def check_effective(optimizer: Optimizer, choice: Section, net: nn.Module) -> None:
    """Compare the optimizer's groups with the configuration.

    Raises UserError on any difference: a parameter in no group or two, a knob that reached none.
    """
    held, trained = parameters(optimizer), [p for p in net.parameters() if p.requires_grad]
    if sorted(map(id, held)) != sorted(map(id, trained)):
        raise UserError(say("not_one_group", held=len(held), trained=len(trained)))
    knobs = {key: value for key, value in choice.items() if key not in NO_KNOBS}
    for key, value in knobs.items():
        if not any(key in group for group in optimizer.param_groups):
            raise UserError(say("reached_no_layer", key=key, value=str(value)))
    for group in optimizer.param_groups:
        _check_group(group, knobs)


def _check_group(group: TorchGroup, knobs: Section) -> None:
    for key, value in expected(group, knobs).items():
        actual = list(group[key]) if isinstance(group[key], tuple) else group[key]
        if actual != value:
            raise UserError(
                say(
                    "layer_got",
                    key=key,
                    value=str(value),
                    layer=str(group["layer"]),
                    actual=str(actual),
                )
            )


def expected(group: TorchGroup, knobs: Section) -> dict[str, Any]:
    """What a group must hold: lr times the layer's scale, and no decay where none is due."""
    values = {key: value for key, value in knobs.items() if key in group}
    if "lr" in knobs:
        values["lr"] = knobs["lr"] * group["lr_scale"]
    if group["no_decay"] and "weight_decay" in values:
        values["weight_decay"] = 0.0
    return values

"""A recipe: one choice per group (several regularizers), bound to a module; what was asked is what the module got, or it raises."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from upgate.config import PARTS, REGULARIZATION, choices
from upgate.errors import UserError, did_you_mean
from upgate.recipe.gradients import Gradients
from upgate.recipe.layerwise import Layers, check_layers
from upgate.recipe.regularization import NEEDS_TOKENS, Regularizer, exact_zeros, penalised
from upgate.schema import checked
from upgate.seeds import derive, generator


def part(group: str, name: str, knobs: Mapping[str, Any]) -> Any:
    """Make one part: the one call site that turns a choice's words into Python."""
    return maker(group, name)(**knobs_of(group, name, knobs))


def knobs_of(group: str, name: str, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """A part's knobs, checked against its function's annotations; `name` and search ranges are none."""
    where = f"{group}.{name}" if group == REGULARIZATION else group
    return checked(maker(group, name), {k: v for k, v in knobs.items() if k not in ("name", "search")}, where)


def maker(group: str, name: str) -> Callable[..., Any]:
    """The function of a choice: only what the group's own module defines is found."""
    make = getattr(import_module(f"upgate.recipe.{group}"), name, None)
    if not callable(make) or getattr(make, "__module__", "") != f"upgate.recipe.{group}":
        raise UserError(f"{group}={name} is not a choice{did_you_mean(name, choices(group))}")
    return make


def check_allowed(config: Mapping[str, Any]) -> None:
    """Raise for choices that cannot be combined, naming both and the nearest allowed one."""
    if "word" in config[REGULARIZATION] and config.get("task", {}).get("name", "sentiment") != "sentiment":
        raise UserError(NEEDS_TOKENS)
    if config["layerwise"]["name"] != "independent":
        return
    trainer = config.get("trainer", {})  # the whole configuration has one, a recipe on its own has not
    why = ""
    if config["clip"]["name"] == "norm":
        why = "before clip=norm could know the whole gradient's norm; take clip=value or clip=none"
    elif trainer.get("accumulate_grad_batches", 1) != 1:
        why = "so trainer.accumulate_grad_batches would find nothing to accumulate; take a larger batch_size"
    elif str(trainer.get("precision")) in ("16", "16-mixed"):
        why = "before trainer.precision=16-mixed could unscale the gradients; take trainer.precision=bf16-mixed"
    if why:
        raise UserError(f"layerwise=independent steps inside the backward pass, {why} with it, or layerwise=joint")


class Recipe:
    """The parts of one run and what they did. Built from plain values: {group: {name, knobs...}, regularization: {name: knobs}}."""

    def __init__(self, config: Mapping[str, Any], seed: int) -> None:
        check_allowed(config)
        self.config, self.seed = config, seed
        single = {g: part(g, config[g]["name"], config[g]) for g in PARTS if g != REGULARIZATION}
        self.make, self.schedule, self.init = single["optimizer"], single["schedule"], single["init"]
        self.layerwise, self.averaging, self.stopping = single["layerwise"], single["averaging"], single["stopping"]
        self.gradients = Gradients(single["clip"])
        self.regularizers: dict[str, Regularizer] = {
            name: part(REGULARIZATION, name, knobs) for name, knobs in config[REGULARIZATION].items()
        }
        self.penalty_share: list[float] = []
        self._pending: dict[str, Tensor] = {}

    def bind(self, net: nn.Module) -> None:
        """Initialise the net's LSTMs and embeddings, and hang the regularizers into its forward pass."""
        for kind in (nn.LSTM, nn.Embedding):
            for i, module in enumerate(m for m in net.modules() if isinstance(m, kind)):
                self.init(module, generator(self.seed, "init", kind.__name__.lower(), i))
        for regularizer in self.regularizers.values():
            regularizer.attach(net)
        self.weights = penalised(net)

    def start(self, net: nn.Module, device: torch.device, total_steps: int) -> None:
        """Give each part its own random stream on the device, and the averaging its weights."""
        for name, regularizer in self.regularizers.items():
            regularizer.generator = torch.Generator(device).manual_seed(derive(self.seed, REGULARIZATION, name))
            if name in self._pending:
                regularizer.generator.set_state(self._pending.pop(name))
        self.averaging.start(list(net.parameters()), total_steps)

    def optimizer(self, layers: Layers, net: nn.Module) -> Optimizer:
        check_layers(layers, net)
        optimizer = self.layerwise.optimizer(self.make, layers, self.gradients)
        check_effective(optimizer, self.config["optimizer"], net)
        return optimizer

    def scheduler(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        """The schedule over all steps; its first value is in force at the first step."""
        return LambdaLR(optimizer, lambda step: self.schedule(step / total_steps))

    def penalty(self, loss: Tensor) -> Tensor:
        """Add the penalties to a training loss, and note their share of it."""
        penalties = [p for r in self.regularizers.values() if (p := r.penalty(self.weights)) is not None]
        if not penalties:
            return loss
        total = torch.stack(penalties).sum()
        self.penalty_share.append(float(total.detach() / loss.detach()))
        return loss + total

    def after_step(self, optimizer: Optimizer) -> None:
        """Let the parts follow the optimizer's step; after a skipped one no weight moves."""
        if self.gradients.end_step():
            for regularizer in self.regularizers.values():
                regularizer.after_step(optimizer)
            self.averaging.after_step()

    def engagement(self) -> dict[str, float]:
        """What the parts did: numbers that tell a part at work from one that never engaged."""
        numbers = self.gradients.engagement()
        if self.penalty_share:
            numbers["penalty_over_loss"] = sum(self.penalty_share) / len(self.penalty_share)
        numbers["exact_zeros"] = exact_zeros(self.weights)
        for regularizer in self.regularizers.values():
            numbers |= regularizer.engagement()
        return numbers

    def state_dict(self) -> dict[str, Any]:
        return {
            "gradients": self.gradients.state_dict(),
            "averaging": self.averaging.state_dict(),
            "stopping": self.stopping.state_dict(),
            "penalty_share": self.penalty_share,
            "generators": {name: r.generator.get_state() for name, r in self.regularizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.gradients.load_state_dict(state["gradients"])
        self.averaging.load_state_dict(state["averaging"])
        self.stopping.load_state_dict(state["stopping"])
        self.penalty_share = list(state["penalty_share"])
        self._pending = dict(state["generators"])


def check_effective(optimizer: Optimizer, asked: Mapping[str, Any], net: nn.Module) -> None:
    """Asked equals got: compare the optimizer's groups with the configuration and raise on any difference."""
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    wanted = [id(p) for p in net.parameters() if p.requires_grad]
    if sorted(held) != sorted(wanted):
        raise UserError(f"the optimizer holds {len(held)} parameters, the model has {len(wanted)}; each must be in exactly one group")
    for group in optimizer.param_groups:
        for key, value in effective(asked, group).items():
            got = list(group[key]) if isinstance(group[key], tuple) else group[key]
            if got != value:
                raise UserError(f"optimizer.{key}={value} was asked for and layer {group['layer']} got {got}")


def effective(asked: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    """What a group must hold, given the knobs asked for: lr times the layer's rate, no decay where exempt."""
    knobs = {k: v for k, v in asked.items() if k in group and k != "name"}
    knobs["lr"] = asked["lr"] * group["rate"]
    if group["exempt"] and "weight_decay" in knobs:
        knobs["weight_decay"] = 0.0
    return knobs

"""A recipe: one choice per group (several regularizers), bound to a module; what was asked is what the module got, or it raises."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from upgate.config.compose import PARTS, REGULARIZATION
from upgate.config.schema import checked
from upgate.errors import UserError
from upgate.recipe.compatibility import check_allowed
from upgate.recipe.gradient_guard import GradientGuard
from upgate.recipe.layerwise.base import Layers, check_layers
from upgate.recipe.optimizer.muon import mark_gates
from upgate.recipe.optimizer.rules import Group
from upgate.recipe.optimizer.schedule_free import ScheduleFree
from upgate.recipe.registry import lookup
from upgate.recipe.regularization.base import Regularizer, lacking
from upgate.recipe.regularization.weights import exact_zeros, penalised
from upgate.seeds import derive, generator

if TYPE_CHECKING:
    from upgate.model.module import Batch, RecipeModule


def part(group: str, name: str, knobs: Mapping[str, Any]) -> Any:
    """Make one part: the one call site that turns a choice's words into Python."""
    return lookup(group, name)(**knobs_of(group, name, knobs))


def knobs_of(group: str, name: str, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """A part's knobs, checked against its function's annotations; `name` and search ranges are none."""
    where = f"{group}.{name}" if group == REGULARIZATION else group
    return checked(
        lookup(group, name), {k: v for k, v in knobs.items() if k not in ("name", "search")}, where
    )


class Recipe:
    """The parts of one run and what they did. Built from plain values: {group: {name, knobs...}, regularization: {name: knobs}}."""

    def __init__(self, config: Mapping[str, Any], seed: int) -> None:
        check_allowed(config)
        self.config, self.seed = config, seed
        single = {g: part(g, config[g]["name"], config[g]) for g in PARTS if g != REGULARIZATION}
        self.make, self.schedule, self.init = (
            single["optimizer"],
            single["schedule"],
            single["init"],
        )
        self.layerwise, self.stopping = single["layerwise"], single["stopping"]
        self.averaging = getattr(
            self.make, "averaging", single["averaging"]
        )  # nt_asgd brings its own
        self.gradients = GradientGuard(single["clip"])
        self.regularizers: dict[str, Regularizer] = {
            name: part(REGULARIZATION, name, knobs)
            for name, knobs in config[REGULARIZATION].items()
        }
        self.penalty_share: list[float] = []
        self.evaluating = False
        self._pending: dict[str, Tensor] = {}
        self._optimizers: list[Optimizer] = []

    def bind(self, net: nn.Module) -> None:
        """Initialise the net's LSTMs and embeddings, and hang the regularizers into its forward pass."""
        for kind in (nn.LSTM, nn.Embedding):
            for i, module in enumerate(m for m in net.modules() if isinstance(m, kind)):
                self.init(module, generator(self.seed, "init", kind.__name__.lower(), i))
        for name, regularizer in self.regularizers.items():
            if regularizer.needs and "tokens" not in net.taps:  # type: ignore[operator]
                raise UserError(lacking(name, regularizer.needs))
            regularizer.attach(net)
        self.weights = penalised(net)
        self.auxiliary = self.layerwise.attach(net, self.seed)

    def start(self, net: nn.Module, device: torch.device, total_steps: int) -> None:
        """Give each part its own random stream on the device, and the averaging its weights."""
        for name, regularizer in self.regularizers.items():
            regularizer.generator = torch.Generator(device).manual_seed(
                derive(self.seed, REGULARIZATION, name)
            )
            if name in self._pending:
                regularizer.generator.set_state(self._pending.pop(name))
        self.averaging.start(list(net.parameters()), total_steps)
        self.layerwise.start(self.seed, total_steps)

    def optimizer(self, layers: Layers, net: nn.Module) -> Optimizer:
        layers = self.layerwise.layers(layers)
        check_layers(layers, net)
        self.gradients.clip.bind(layers)
        mark_gates(net)
        self._optimizers = []  # those made, whatever the layerwise wraps around them

        def make(groups: Sequence[Group]) -> Optimizer:
            self._optimizers.append(self.make(groups))
            return self._optimizers[-1]

        optimizer = self.layerwise.optimizer(make, layers, self.gradients)
        check_effective(optimizer, self.config["optimizer"], net)
        return optimizer

    def scheduler(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        """The schedule over all steps; its first value is in force at the first step."""
        return LambdaLR(optimizer, lambda step: self.schedule(step / total_steps))

    def training_loss(self, learner: "RecipeModule", batch: "Batch") -> Tensor:
        """The loss to differentiate: the task's own, which is the curve's, with what the regularizers add to it."""
        self.first_streams = (
            self.streams() if any(r.again for r in self.regularizers.values()) else {}
        )
        output = learner.net(batch)
        loss = learner.loss(output, batch)
        learner.train_loss.update(loss.detach())
        whole = self.layerwise.objective(loss, batch, learner.loss)
        terms = []
        for regularizer in sorted(self.regularizers.values(), key=lambda r: r.again):
            if (term := regularizer.term(loss, output, learner, batch)) is not None:
                regularizer.note(term=float(term.detach()), loss=float(loss.detach()))
                terms.append(term)
        return sum(terms, start=self.penalty(whole))

    def replay_forward(self, net: nn.Module, batch: "Batch") -> Tensor:
        """The output of another forward pass with the masks of this step's first; it takes no draw from anybody's stream."""
        held = self.streams()
        self.set_streams(self.first_streams)
        output = net(batch)
        self.set_streams(held)
        return output

    def streams(self) -> dict[str, Tensor]:
        return {name: r.generator.get_state() for name, r in self.regularizers.items()}

    def set_streams(self, states: Mapping[str, Tensor]) -> None:
        for name, state in states.items():
            self.regularizers[name].generator.set_state(state)

    def penalty(self, loss: Tensor) -> Tensor:
        """Add the penalties to a training loss, and note their share of it."""
        penalties = [
            p for r in self.regularizers.values() if (p := r.penalty(self.weights)) is not None
        ]
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
        self.layerwise.after_step()

    def evaluate(self, on: bool) -> None:
        """Put the weights that are judged and kept into the net, or (False) those that are trained back, bit for bit."""
        if on == self.evaluating:
            return
        self.evaluating = on
        self.averaging.swap()
        for optimizer in self._optimizers:
            if isinstance(optimizer, ScheduleFree):
                optimizer.swap()

    def validated(self, loss: float) -> None:
        """Tell a validation's loss, once each, to the parts that go by it."""
        self.schedule.validated(loss)
        self.averaging.validated(loss)

    def engagement(self) -> dict[str, float]:
        """What the parts did: numbers that tell a part at work from one that never engaged."""
        numbers = self.gradients.engagement()
        if self.penalty_share:
            numbers["penalty_over_loss"] = sum(self.penalty_share) / len(self.penalty_share)
        numbers["exact_zeros"] = exact_zeros(self.weights)
        numbers |= (
            self.schedule.engagement() | self.averaging.engagement() | self.layerwise.engagement()
        )
        for regularizer in self.regularizers.values():
            numbers |= regularizer.engagement()
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """The state to go on from; raises while the net holds other weights than those that are trained."""
        if self.evaluating:
            raise UserError(
                "a checkpoint to go on from must hold the weights that are trained; save it after the validation, not in it"
            )
        return {
            "schedule": self.schedule.state_dict(),
            "gradients": self.gradients.state_dict(),
            "averaging": self.averaging.state_dict(),
            "stopping": self.stopping.state_dict(),
            "layerwise": self.layerwise.state_dict(),
            "penalty_share": self.penalty_share,
            "regularizers": {name: r.state_dict() for name, r in self.regularizers.items()},
            "generators": self.streams(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.gradients.load_state_dict(state["gradients"])
        self.schedule.load_state_dict(state["schedule"])
        self.averaging.load_state_dict(state["averaging"])
        self.stopping.load_state_dict(state["stopping"])
        self.layerwise.load_state_dict(state["layerwise"])
        self.penalty_share = list(state["penalty_share"])
        for name, regularizer in self.regularizers.items():
            regularizer.load_state_dict(state["regularizers"][name])
        self._pending = dict(state["generators"])


def check_effective(optimizer: Optimizer, asked: Mapping[str, Any], net: nn.Module) -> None:
    """Asked equals got: compare the optimizer's groups with the configuration and raise on any difference."""
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    wanted = [id(p) for p in net.parameters() if p.requires_grad]
    if sorted(held) != sorted(wanted):
        raise UserError(
            f"the optimizer holds {len(held)} parameters, the model has {len(wanted)}; each must be in exactly one group"
        )
    for key in asked:
        if key != "name" and not any(key in group for group in optimizer.param_groups):
            raise UserError(f"optimizer.{key}={asked[key]} was asked for and reached no layer")
    for group in optimizer.param_groups:
        for key, value in effective(asked, group).items():
            got = list(group[key]) if isinstance(group[key], tuple) else group[key]
            if got != value:
                raise UserError(
                    f"optimizer.{key}={value} was asked for and layer {group['layer']} got {got}"
                )


def effective(asked: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    """What a group must hold, given the knobs asked for: lr times the layer's rate, no decay where exempt."""
    knobs = {k: v for k, v in asked.items() if k in group and k != "name"}
    knobs["lr"] = asked["lr"] * group["rate"]
    if group["exempt"] and "weight_decay" in knobs:
        knobs["weight_decay"] = 0.0
    return knobs

"""A recipe: one choice per group (several regularizers), attached to a module.

What was asked for is what the module got, or it raises.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from upgate.config.choices import PARTS, REGULARIZATION
from upgate.config.schema import check
from upgate.config.values import Knobs, Section
from upgate.errors import UserError
from upgate.generators import generator
from upgate.recipe.compatibility import check_allowed
from upgate.recipe.effective import check_effective
from upgate.recipe.gradient_guard import GradientGuard
from upgate.recipe.optimizer.muon import mark_gates
from upgate.recipe.optimizer.schedule_free import ScheduleFree
from upgate.recipe.param_groups import ParamGroup, check_layers, penalized_weights
from upgate.recipe.registry import SOURCE, LocatedPart, locate
from upgate.recipe.regularization.base import Regularizer, activation_hooks, missing_input
from upgate.recipe.regularization.penalties import exact_zeros
from upgate.seeds import derive
from upgate.types import Batch, Layers, TrainedModule

State = dict[str, Any]  # what a part keeps in a checkpoint
NO_KNOBS = ("name", "search")  # keys of a choice that its part is not given


def part(group: str, name: str, knobs: Section) -> Any:
    """Make one part: the one call site that turns a choice's values into Python."""
    located = locate(group, name, knobs.get(SOURCE))
    return located.part(**_checked(located, group, name, knobs))


def knobs_of(group: str, name: str, knobs: Section) -> dict[str, Any]:
    """What a run's spec says of a part: its knobs, checked against its function's annotations.

    Of a part from outside the package also the hash of its code. Raises UserError for an unknown,
    missing, mistyped or out-of-range knob.
    """
    located = locate(group, name, knobs.get(SOURCE))
    source = {} if located.source is None else {SOURCE: located.source}
    return _checked(located, group, name, knobs) | source


def recipe_knobs(config: Section) -> dict[str, Knobs]:
    """Each part of a composed configuration: its name and its checked knobs, as a spec holds them.

    Raises UserError for a wrong knob, and for choices that cannot be combined.
    """
    check_allowed(config)
    recipe: dict[str, Knobs] = {}
    for group in PARTS:
        if group != REGULARIZATION:
            name = config[group]["name"]
            recipe[group] = {"name": name, **knobs_of(group, name, config[group])}
    recipe[REGULARIZATION] = {
        name: knobs_of(REGULARIZATION, name, knobs)
        for name, knobs in sorted(config[REGULARIZATION].items())
    }
    return recipe


def _checked(located: LocatedPart, group: str, name: str, knobs: Section) -> dict[str, Any]:
    path = f"{group}.{name}" if group == REGULARIZATION else group
    aside = NO_KNOBS if located.source is None else (*NO_KNOBS, SOURCE)
    return check(located.part, {k: v for k, v in knobs.items() if k not in aside}, path)


class Recipe:
    """The parts of one run and what they did.

    Built from plain values: {group: {name, knobs...}, regularization: {name: knobs}}.
    """

    def __init__(self, config: Section, seed: int) -> None:
        check_allowed(config)
        self.config, self.seed = config, seed
        single = {g: part(g, config[g]["name"], config[g]) for g in PARTS if g != REGULARIZATION}
        self.optimizer_factory = single["optimizer"]
        self.schedule, self.init = single["schedule"], single["init"]
        self.layerwise, self.stopping = single["layerwise"], single["stopping"]
        # nt_asgd brings an averaging of its own
        self.averaging = getattr(self.optimizer_factory, "averaging", single["averaging"])
        self.gradient_guard = GradientGuard(single["clip"])
        self.regularizers: dict[str, Regularizer] = {
            name: part(REGULARIZATION, name, knobs)
            for name, knobs in config[REGULARIZATION].items()
        }
        self.penalty_share: list[float] = []  # of the loss, at each step
        self.averaged = False  # whether the net holds the weights that are judged for a while
        self.in_training = False  # whether its weights are those in training, which may be others
        self._pending: dict[str, Tensor] = {}  # a checkpoint's generators, until `start`
        self._optimizers: list[Optimizer] = []
        self._step_start: dict[str, Tensor] = {}  # the generators before this step's first draw

    def attach(self, net: nn.Module) -> None:
        """Initialise the net's LSTMs and embeddings, and hook the regularizers into its forward."""
        for kind in (nn.LSTM, nn.Embedding):
            modules = [m for m in net.modules() if isinstance(m, kind)]
            for i, module in enumerate(modules):
                self.init(module, generator(self.seed, "init", kind.__name__.lower(), i))
        for name, regularizer in self.regularizers.items():
            if regularizer.required_input and "tokens" not in activation_hooks(net):
                raise UserError(missing_input(name, regularizer.required_input))
            regularizer.attach(net)
        self.weights = penalized_weights(net)
        self.auxiliary = self.layerwise.attach(net, self.seed)

    def start(self, net: nn.Module, device: torch.device, total_steps: int) -> None:
        """Give each part its own random stream on the device, and the averaging its weights."""
        self.in_training = True
        for name, regularizer in self.regularizers.items():
            seed = derive(self.seed, REGULARIZATION, name)
            regularizer.generator = torch.Generator(device).manual_seed(seed)
            if name in self._pending:
                regularizer.generator.set_state(self._pending.pop(name))
        self.averaging.start(list(net.parameters()), total_steps)
        self.layerwise.start(self.seed, total_steps)

    def make_optimizer(self, layers: Layers, net: nn.Module) -> Optimizer:
        """The optimizer of all parameters. Raises UserError where a knob reached no group."""
        layers = self.layerwise.layers(layers)
        check_layers(layers, net)
        self.gradient_guard.clip.attach(layers)
        mark_gates(net)
        self._optimizers = []  # those made, whatever the layerwise wraps around them

        def factory(groups: Sequence[ParamGroup]) -> Optimizer:
            self._optimizers.append(self.optimizer_factory(groups))
            return self._optimizers[-1]

        optimizer = self.layerwise.optimizer(factory, layers, self.gradient_guard)
        check_effective(optimizer, self.config["optimizer"], net)
        return optimizer

    def make_scheduler(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        """The schedule over all steps; its first value is in force at the first step."""
        return LambdaLR(optimizer, lambda step: self.schedule(step / total_steps))

    def training_loss(self, module: TrainedModule, batch: Batch) -> Tensor:
        """The scalar to differentiate: the task's loss, with what the regularizers add to it.

        The task's own loss is the training curve's.
        """
        if any(r.needs_second_forward for r in self.regularizers.values()):
            self._step_start = self.generator_states()
        output = module.net(batch)
        loss = module.loss(output, batch)
        module.train_loss.update(loss.detach())
        objective = self.layerwise.objective(loss, batch, module.loss)
        terms = []
        for regularizer in sorted(self.regularizers.values(), key=lambda r: r.needs_second_forward):
            if (term := regularizer.loss_term(loss, output, module, batch)) is not None:
                regularizer.record(term=float(term.detach()), loss=float(loss.detach()))
                terms.append(term)
        return sum(terms, start=self.add_penalties(objective))

    def replay_forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """The output of another forward pass with the masks of this step's first.

        It takes no draw from any part's stream.
        """
        states = self.generator_states()
        self.set_generator_states(self._step_start)
        output = net(batch)
        self.set_generator_states(states)
        return output

    def generator_states(self) -> dict[str, Tensor]:
        return {name: r.generator.get_state() for name, r in self.regularizers.items()}

    def set_generator_states(self, states: Mapping[str, Tensor]) -> None:
        for name, state in states.items():
            self.regularizers[name].generator.set_state(state)

    def add_penalties(self, loss: Tensor) -> Tensor:
        """Add the penalties to a training loss, and keep their share of it."""
        candidates = [r.penalty(self.weights) for r in self.regularizers.values()]
        penalties = [penalty for penalty in candidates if penalty is not None]
        if not penalties:
            return loss
        total = torch.stack(penalties).sum()
        self.penalty_share.append(float(total.detach() / loss.detach()))
        return loss + total

    def after_step(self, optimizer: Optimizer) -> None:
        """Let the parts follow the optimizer's step; after a skipped one no weight moves."""
        if self.gradient_guard.end_step():
            for regularizer in self.regularizers.values():
                regularizer.after_step(optimizer)
            self.averaging.after_step()
        self.layerwise.after_step()

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Meanwhile the net holds the weights that are judged and kept, not those in training.

        Afterwards those in training are back, bit for bit. Inside another such context it does
        nothing.
        """
        if self.averaged or not self.in_training:
            yield
            return
        self.averaged = True
        self._swap_weights()
        try:
            yield
        finally:
            self.averaged = False
            self._swap_weights()

    def end_training(self) -> None:
        """Leave the weights that are judged in the net."""
        if self.in_training:
            self.in_training = False
            self._swap_weights()

    def _swap_weights(self) -> None:
        self.averaging.swap()
        for optimizer in self._optimizers:
            if isinstance(optimizer, ScheduleFree):
                optimizer.swap()

    def validated(self, loss: float) -> None:
        """Give a validation's loss, once each, to the parts that depend on it."""
        self.schedule.validated(loss)
        self.averaging.validated(loss)

    def engagement(self) -> dict[str, float]:
        """What the parts did: numbers that tell a part at work from one that never engaged."""
        numbers = self.gradient_guard.engagement()
        if self.penalty_share:
            numbers["penalty_over_loss"] = sum(self.penalty_share) / len(self.penalty_share)
        numbers["exact_zeros"] = exact_zeros(self.weights)
        for part in (self.schedule, self.averaging, self.layerwise, *self.regularizers.values()):
            numbers |= part.engagement()
        return numbers

    def state_dict(self) -> State:
        """The state to go on from.

        Raises UserError while the net holds other weights than those that are trained.
        """
        if self.averaged:
            raise UserError(
                "a checkpoint to go on from must hold the weights that are trained; "
                "save it after the validation, not in it"
            )
        return {
            "schedule": self.schedule.state_dict(),
            "gradients": self.gradient_guard.state_dict(),
            "averaging": self.averaging.state_dict(),
            "stopping": self.stopping.state_dict(),
            "layerwise": self.layerwise.state_dict(),
            "penalty_share": self.penalty_share,
            "regularizers": {name: r.state_dict() for name, r in self.regularizers.items()},
            "generators": self.generator_states(),
        }

    def load_state_dict(self, state: State) -> None:
        self.gradient_guard.load_state_dict(state["gradients"])
        self.schedule.load_state_dict(state["schedule"])
        self.averaging.load_state_dict(state["averaging"])
        self.stopping.load_state_dict(state["stopping"])
        self.layerwise.load_state_dict(state["layerwise"])
        self.penalty_share = list(state["penalty_share"])
        for name, regularizer in self.regularizers.items():
            regularizer.load_state_dict(state["regularizers"][name])
        self._pending = dict(state["generators"])

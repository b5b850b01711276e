"""What must hold for every choice of every part: in this package's tests, and in `check-part`.

A property is a function that raises PropertyFailed (an AssertionError) with one sentence. Those in
CHOICE take a candidate; those in RUN a candidate and a task; that in KNOB a candidate and a knob.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from upgate.config.choices import REGULARIZATION, conf_dir
from upgate.config.extensions import find_folder
from upgate.config.values import Section
from upgate.errors import UserError
from upgate.messages import joined
from upgate.part_checks.loop import (
    CLASSES,
    EMBEDDING,
    TASKS,
    VOCABULARY,
    Loop,
    compose_traditional,
    make_override,
    make_recipe,
    same,
)
from upgate.part_checks.texts import say
from upgate.recipe.engagement import weights_hash
from upgate.recipe.no_effect import TrainedRecipe, no_effect
from upgate.recipe.recipe import part
from upgate.recipe.registry import lookup
from upgate.tasks.generic import SequenceNet
from upgate.tasks.sentiment.module import SentimentNet

STEPS = 6
LONG_STEPS = 15  # for a knob to reach the weights; more where LONGER says so
LONGER = {
    "clip=zclip": 30,  # a warm-up of 25
    "averaging=ema": 100,  # plain averaging at first
    "layerwise=random_blocks": 60,  # few draws
}
# No effect in six steps; the last, in none.
NO_EFFECT_SOON = ("schedule=plateau", "stopping=early", "clip=zclip", "layerwise=independent")
NO_KNOB_EFFECT = ("stopping",)  # groups whose knobs show in how long a run is, not in its weights


class PropertyFailed(AssertionError):
    """A property does not hold; the message is one sentence."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise PropertyFailed(message)


@dataclass(frozen=True)
class Candidate:
    """A choice under test, `config_dir` the folder from outside that holds it, if any."""

    group: str
    name: str
    config_dir: str | None = None

    @property
    def override(self) -> str:
        return make_override(self.group, self.name)

    @property
    def path(self) -> str:
        """What its knobs' names begin with on the command line."""
        return f"{self.group}.{self.name}" if self.group == REGULARIZATION else self.group

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to build: regularization=none is an empty mapping."""
        return (self.group, self.name) == (REGULARIZATION, "none")

    @property
    def yaml_file(self) -> Path:
        folder = conf_dir() if self.config_dir is None else find_folder(self.config_dir)
        return folder / self.group / f"{self.name}.yaml"

    @cached_property
    def content(self) -> Section:
        """The yaml as it stands."""
        return yaml.safe_load(self.yaml_file.read_text(encoding="utf-8")) or {}

    @cached_property
    def knobs(self) -> Section:
        """Its knobs and their defaults."""
        chosen = compose_traditional((self.override,), self.config_dir)[self.group]
        chosen = chosen[self.name] if self.group == REGULARIZATION else chosen
        return {key: value for key, value in chosen.items() if key not in ("name", "search")}

    @property
    def tasks(self) -> Sequence[str]:
        """Those that have what it needs."""
        if self.group != REGULARIZATION or self.is_none:
            return TASKS
        compose_traditional((self.override,), self.config_dir)
        required = getattr(lookup(self.group, self.name), "required_input", "")
        return ("sentiment",) if required else TASKS

    @property
    def searched(self) -> dict[str, tuple[str, str]]:
        """The knobs with a search range: its lowest and highest value, as one types them."""
        choice = self.content.get(self.name, {}) if self.group == REGULARIZATION else self.content
        return {key: range_ends(values) for key, values in choice.get("search", {}).items()}

    def recipe(self, *overrides: str) -> Section:
        """The traditional recipe with this choice, and overrides."""
        return make_recipe(self.override, *overrides, config_dir=self.config_dir)


def range_ends(values: Sequence[Any]) -> tuple[str, str]:
    """The ends of [low, high, ...], or of lists of them, element by element."""
    if isinstance(values[0], list):
        low, high, *_ = (list(end) for end in zip(*values, strict=True))
    else:
        low, high, *_ = values
    return str(low).replace(" ", ""), str(high).replace(" ", "")


def named_as_its_yaml(candidate: Candidate) -> None:
    """The yaml is called what it says."""
    if candidate.group == REGULARIZATION:
        expected = [] if candidate.is_none else [candidate.name]
        require(
            list(candidate.content) == expected, say("other_keys", file=str(candidate.yaml_file))
        )
    else:
        name = candidate.content.get("name")
        require(
            name == candidate.name, say("says_name", file=str(candidate.yaml_file), name=str(name))
        )


def built_from_its_yaml(candidate: Candidate) -> None:
    """Its yaml's knobs make a part."""
    if not candidate.is_none:
        made = part(candidate.group, candidate.name, candidate.knobs)
        require(made is not None, say("makes_nothing", part=candidate.override))


def wrong_knobs_refused(candidate: Candidate) -> None:
    """An unknown, a mistyped and a missing knob are each refused by their full name."""
    if candidate.is_none:
        return
    knobs, path = candidate.knobs, candidate.path
    _refused(candidate, {**knobs, "no_such_knob": 1}, f"unknown key {path}.no_such_knob")
    for key in knobs:
        _refused(candidate, {**knobs, key: {"a": "mapping"}}, f"{path}.{key}=")
        others = {k: v for k, v in knobs.items() if k != key}
        _refused(candidate, others, f"{path}.{key} is missing")


def _refused(candidate: Candidate, knobs: Section, beginning: str) -> None:
    try:
        part(candidate.group, candidate.name, knobs)
    except UserError as error:
        require(
            str(error).startswith(beginning),
            say("other_refusal", error=str(error), beginning=beginning),
        )
    else:
        raise PropertyFailed(say("takes_knobs", part=candidate.override, knobs=str(knobs)))


def trains(candidate: Candidate, task: str) -> None:
    """Finite losses, weights that move, no draw from the global generator, finite engagement."""
    before = torch.get_rng_state()
    loop = Loop(candidate.recipe(), total=STEPS, task=task)
    start = loop.weights()
    losses = loop.steps(3)
    require(all(map(math.isfinite, losses)), say("losses_are", losses=str(losses)))
    require(torch.equal(torch.get_rng_state(), before), say("draws_globally"))
    still = [name for name, w in loop.weights().items() if torch.equal(start[name], w)]
    allowed = len(start) - 1 if candidate.group == "layerwise" else 0  # of some layers only
    require(len(still) <= allowed, say("did_not_move", names=", ".join(still)))
    engagement = loop.recipe.engagement()
    finite = all(isinstance(v, float) and math.isfinite(v) for v in engagement.values())
    require(bool(engagement) and finite, say("engagement_holds", engagement=str(engagement)))


def resumes_exactly(candidate: Candidate, task: str) -> None:
    """It goes on from a checkpoint bit for bit: losses, weights, rates, engagement, average."""
    recipe = candidate.recipe()
    full = Loop(recipe, total=STEPS, task=task)
    full.steps(3)
    resumed = Loop(recipe, total=STEPS, checkpoint=full.checkpoint(), task=task)
    require(full.steps(3) == resumed.steps(3), say("losses_differ"))
    require(same(full.weights(), resumed.weights()), say("weights_differ"))
    require(full.rates() == resumed.rates(), say("rates_differ"))
    equal = full.recipe.engagement() == resumed.recipe.engagement()
    require(equal, say("engagement_differs"))
    for loop in (full, resumed):
        loop.hold_judged_weights()
    require(same(full.weights(), resumed.weights()), say("average_differs"))


def shifts_no_draw(candidate: Candidate, task: str) -> None:
    """Weights start as with the null recipe, but for what an init may change."""
    null = Loop(make_recipe(), task=task).weights()
    chosen = Loop(candidate.recipe(), task=task).weights()
    if candidate.group == "init":  # the LSTM and the embedding
        null = {name: w for name, w in null.items() if name.startswith("head")}
        chosen = {name: w for name, w in chosen.items() if name.startswith("head")}
    require(same(null, chosen), say("starts_otherwise"))


def leaves_validation_alone(candidate: Candidate, task: str) -> None:
    """The validation loss is the plain loss of the net in evaluation: no penalty, no noise."""
    loop = Loop(candidate.recipe(), num_layers=3, task=task)
    loop.steps(2)
    loop.learner.eval()
    plain, loss = bare_net(task, loop.learner.hparams["spec"]["model"])
    plain.load_state_dict(loop.net.state_dict())
    batch = loop.batch(9)
    with torch.no_grad():
        loop.learner.validation_step(batch, 0)
        validation = float(loop.learner.validation_loss.compute())
        expected = float(loss(plain.eval()(batch), batch["y"]))
    require(
        math.isclose(validation, expected, rel_tol=1e-6, abs_tol=1e-12),
        say("validation_differs", validation=str(validation), expected=str(expected)),
    )


def bare_net(task: str, model: Section) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
    """A task's net without a recipe, and its loss."""
    if task == "stock":
        return SequenceNet(3, 1, model), F.mse_loss
    return SentimentNet(VOCABULARY, len(CLASSES), EMBEDDING, model), F.cross_entropy


def draws_nothing_in_evaluation(candidate: Candidate, task: str) -> None:
    """A regularizer acts in training only, and takes no draw of its stream in evaluation."""
    if candidate.group != REGULARIZATION or candidate.is_none:
        return
    loop = Loop(candidate.recipe(), task=task, num_layers=3)
    loop.steps(1)
    generator = loop.recipe.regularizers[candidate.name].generator
    state = generator.get_state()
    loop.net.eval()
    with torch.no_grad():
        first, second = loop.net(loop.batch()), loop.net(loop.batch())
    require(torch.equal(first, second), say("evaluations_differ"))
    require(torch.equal(generator.get_state(), state), say("evaluation_draws"))


def steps_in_backward(candidate: Candidate, task: str) -> None:
    """With layerwise=independent it gives the weights of joint, or the two are refused."""
    if candidate.group not in ("clip", REGULARIZATION):
        return
    try:
        recipe = candidate.recipe("optimizer=adam", "layerwise=independent")
    except UserError:
        return
    independent = Loop(recipe, task=task)
    joint = Loop(candidate.recipe("optimizer=adam", "layerwise=joint"), task=task)
    require(joint.steps(5) == independent.steps(5), say("losses_of_independent"))
    equal = same(joint.weights(), independent.weights())
    require(equal, say("weights_of_independent"))


def has_an_effect(candidate: Candidate, task: str) -> None:
    """Beside the null recipe with the same optimizer: other weights, or the detector names it."""
    recipe = candidate.recipe()
    same_optimizer = f"optimizer={recipe['optimizer']['name']}"
    null = _end_null(task) if candidate.group == "optimizer" else _end_null(task, same_optimizer)
    sentences = no_effect([null, _ended("chosen", task, recipe)])
    named = [sentence.partition(" had")[0] for sentence in sentences]
    idle = candidate.override in NO_EFFECT_SOON and recipe != null.recipe
    expected = [candidate.override] if idle else []
    require(
        named == expected,
        say("no_effect", steps=STEPS, names=joined(named, "and") if named else say("all")),
    )


@lru_cache  # every choice stands beside one of a few
def _end_null(task: str, *overrides: str) -> TrainedRecipe:
    return _ended("plain", task, make_recipe(*overrides))


def _ended(title: str, task: str, recipe: Section) -> TrainedRecipe:
    loop = run_with_shocks(recipe, task, STEPS)  # it must live: its end gives the weights back
    return TrainedRecipe(title, task, recipe, weights_hash(loop.net))


def run_with_shocks(recipe: Section, task: str, steps: int) -> Loop:
    """A run in which every kind of part has something to do; it ends with the judged weights.

    A validation without progress after every third step, and gradients fifty times their size in
    the last step but two.
    """
    loop = Loop(recipe, total=steps, task=task)
    for i in range(steps):
        shocked = [p for p in loop.net.parameters() if p.requires_grad and i == steps - 3]
        handles = [p.register_hook(_times_fifty) for p in shocked]
        loop.steps(1)
        for handle in handles:
            handle.remove()
        if i % 3 == 2:
            loop.recipe.validated(1.0)
    loop.hold_judged_weights()
    return loop


def _times_fifty(grad: Tensor) -> Tensor:
    return 50 * grad


def knob_reaches_the_weights(candidate: Candidate, knob: str) -> None:
    """The two ends of a knob's search range end with other weights."""
    if candidate.group in NO_KNOB_EFFECT:
        return
    steps = LONGER.get(candidate.override, LONG_STEPS)
    low, high = (
        run_with_shocks(candidate.recipe(f"{candidate.path}.{knob}={end}"), "sentiment", steps)
        for end in candidate.searched[knob]
    )
    equal = same(low.weights(), high.weights())
    require(not equal, say("reaches_no_weight", path=candidate.path, knob=knob))


CHOICE: tuple[Callable[[Candidate], None], ...] = (
    named_as_its_yaml,
    built_from_its_yaml,
    wrong_knobs_refused,
)
RUN: tuple[Callable[[Candidate, str], None], ...] = (
    trains,
    resumes_exactly,
    shifts_no_draw,
    leaves_validation_alone,
    draws_nothing_in_evaluation,
    steps_in_backward,
    has_an_effect,
)

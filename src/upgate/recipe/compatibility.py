"""Choices that cannot work together: each pair is refused in one sentence.

The sentence names both and the nearest allowed one. A rule is a function of the configuration (a
full one, or a recipe on its own, which has neither task nor trainer) that returns the sentence, or
None where it has nothing to say. RULES holds them; the first that speaks is heard.
"""

from collections.abc import Callable, Mapping
from typing import Any

from upgate.config.choices import REGULARIZATION
from upgate.errors import UserError
from upgate.messages import joined
from upgate.recipe.layerwise.blocks import too_many
from upgate.recipe.registry import lookup
from upgate.recipe.regularization.base import Regularizer, missing_input
from upgate.recipe.texts import say

Config = Mapping[str, Any]
Rule = Callable[[Config], str | None]

TRUST_AROUND = {
    "lars": ("sgd", "momentum", "nesterov", "nt_asgd"),
    "lamb": ("adam", "adamw", "nadam", "radam", "rmsprop", "adagrad"),
}
NEED_TWO_LAYERS = ("cyclic", "random_blocks", "greedy", "local")


def choice(config: Config, group: str) -> str:
    """The choice of a group that has one; clip=norm is the `norm` of `clip`."""
    return str(config[group]["name"])


def accumulates(config: Config) -> bool:
    return config.get("trainer", {}).get("accumulate_grad_batches", 1) != 1


def scales_gradients(config: Config) -> bool:
    return str(config.get("trainer", {}).get("precision")) in ("16", "16-mixed")


def required_inputs(config: Config) -> str | None:
    """Regularizers that need tokens or classes, which the batches of some tasks do not hold.

    A recipe on its own, without `inputs`, fits any task.
    """
    provided = config.get("inputs")
    for name in config[REGULARIZATION]:
        part = lookup(REGULARIZATION, name, config[REGULARIZATION][name])
        required = getattr(part, "required_input", "")
        if required and provided is not None and required not in provided:
            return missing_input(name, required)
    return None


def two_decays(config: Config) -> str | None:
    """Two decoupled decays add up to one that nobody chose."""
    decay = config["optimizer"].get("weight_decay")
    if "decay" not in config[REGULARIZATION] or not isinstance(decay, int | float) or decay <= 0:
        return None
    return say("two_decays", optimizer=choice(config, "optimizer"), decay=str(decay))


def in_backward(config: Config) -> str | None:
    """A step inside the backward pass comes before anything that needs all gradients at once."""
    if choice(config, "layerwise") != "independent":
        return None
    clip = choice(config, "clip")
    if getattr(lookup("clip", clip, config["clip"]), "needs_full_gradient", False):
        why = say("before_norm", clip=clip)
    elif accumulates(config):
        why = say("nothing_to_accumulate")
    elif scales_gradients(config):
        why = say("before_unscaling")
    else:
        return None
    return say("steps_in_backward", why=why)


def trust(config: Config) -> str | None:
    """A trust ratio goes around the rules that its paper names, and their kin."""
    layerwise, optimizer = choice(config, "layerwise"), choice(config, "optimizer")
    around = TRUST_AROUND.get(layerwise)
    if around is None or optimizer in around:
        return None
    other = next((name for name, kin in TRUST_AROUND.items() if optimizer in kin), "joint")
    return say(
        "trust_around", layerwise=layerwise, around=joined(around), optimizer=optimizer, other=other
    )


def one_layer(config: Config) -> str | None:
    """With one LSTM layer nothing is left to choose from; a recipe on its own has no model."""
    layerwise = choice(config, "layerwise")
    if layerwise not in NEED_TWO_LAYERS or config.get("model", {}).get("num_layers", 2) != 1:
        return None
    return say("needs_two_layers", layerwise=layerwise)


def blocks(config: Config) -> str | None:
    """More blocks than the model has; the head is one of gauss_seidel's."""
    layers = config.get("model", {}).get("num_layers")
    if not isinstance(layers, int):
        return None
    for key, available in (("active", layers), ("blocks", layers + 1)):
        number = config["layerwise"].get(key)
        if isinstance(number, int) and number > available:
            return too_many(key, number, available)
    return None


def several_passes(config: Config) -> str | None:
    """gauss_seidel computes a batch again for each block."""
    if choice(config, "layerwise") != "gauss_seidel":
        return None
    why = why_not_several_passes(config)
    if why is None:
        return None
    return say("pass_for_each", why=why)


def why_not_several_passes(config: Config) -> str | None:
    clip = choice(config, "clip")
    if choice(config, "optimizer") == "schedule_free":
        return say("one_gradient")
    if getattr(lookup("clip", clip, config["clip"]), "compares_steps", False):
        return say("compares_steps", clip=clip)
    if "adversarial" in config[REGULARIZATION]:
        return say("two_more_passes")
    if accumulates(config):
        return say("accumulate_first")
    if scales_gradients(config):
        return say("scales_one_pass")
    return None


def detached(config: Config) -> str | None:
    """local's task loss has no gradient in the embedding, unless the net has one layer only."""
    if choice(config, "layerwise") != "local" or "adversarial" not in config[REGULARIZATION]:
        return None
    return say("detached")


def schedule_free(config: Config) -> str | None:
    """Its weights follow from sequences of its own: what else changes or averages them is lost."""
    if choice(config, "optimizer") != "schedule_free":
        return None
    schedule, averaging = choice(config, "schedule"), choice(config, "averaging")
    layerwise = choice(config, "layerwise")
    shrinking = [name for name, k in config[REGULARIZATION].items() if changes_weights(name, k)]
    if schedule not in ("constant", "warmup"):  # the paper's own has a warmup
        why = say("average_for_schedule", schedule=schedule)
    elif averaging != "none":
        why = say("average_of_its_own", averaging=averaging)
    elif shrinking:
        why = say("overwrites", name=shrinking[0])
    elif layerwise == "cyclic":
        why = say("state_cleared")
    else:
        return None
    other = "adam" if "decay" in shrinking else "adamw"  # adamw decays by itself
    other = "sgd" if layerwise == "lars" else other
    return say("schedule_free", why=why, other=other)


def changes_weights(name: str, knobs: Config) -> bool:
    """Whether a regularizer changes the weights after the optimizer's step."""
    part = lookup(REGULARIZATION, name, knobs)
    return getattr(part, "after_step", None) is not Regularizer.after_step


def nt_asgd(config: Config) -> str | None:
    averaging = choice(config, "averaging")
    if choice(config, "optimizer") != "nt_asgd" or averaging == "none":
        return None
    return say("nt_asgd", averaging=averaging)


RULES: list[Rule] = [
    schedule_free,
    nt_asgd,
    required_inputs,
    two_decays,
    in_backward,
    trust,
    one_layer,
    blocks,
    several_passes,
    detached,
]


def check_allowed(config: Config) -> None:
    """Raise UserError for choices that cannot be combined: the first rule's sentence."""
    for rule in RULES:
        sentence = rule(config)
        if sentence is not None:
            raise UserError(sentence)

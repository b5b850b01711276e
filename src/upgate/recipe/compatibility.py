"""Choices that cannot work together: each pair is refused in one sentence.

The sentence names both and the nearest allowed one. A rule is a function of the configuration (a
full one, or a recipe on its own, which has neither task nor trainer) that returns the sentence, or
None where it has nothing to say. RULES holds them; the first that speaks is heard.
"""

from collections.abc import Callable, Mapping
from typing import Any

from upgate.config.choices import REGULARIZATION
from upgate.errors import UserError
from upgate.recipe.layerwise.blocks import too_many
from upgate.recipe.registry import lookup
from upgate.recipe.regularization.base import Regularizer, missing_input

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
    return (
        f"regularization=decay and optimizer={choice(config, 'optimizer')}, weight_decay={decay}, "
        "would both decay the weights; "
        "take optimizer.weight_decay=0 with it, or leave decay out"
    )


def in_backward(config: Config) -> str | None:
    """A step inside the backward pass comes before anything that needs all gradients at once."""
    if choice(config, "layerwise") != "independent":
        return None
    clip = choice(config, "clip")
    if getattr(lookup("clip", clip, config["clip"]), "needs_full_gradient", False):
        why = (
            f"before clip={clip} could know the whole gradient's norm; "
            "take clip=layer or clip=value"
        )
    elif accumulates(config):
        why = (
            "so trainer.accumulate_grad_batches would find nothing to accumulate; "
            "take a larger batch_size"
        )
    elif scales_gradients(config):
        why = (
            "before trainer.precision=16-mixed could unscale the gradients; "
            "take trainer.precision=bf16-mixed"
        )
    else:
        return None
    return (
        f"layerwise=independent steps inside the backward pass, {why} with it, or layerwise=joint"
    )


def trust(config: Config) -> str | None:
    """A trust ratio goes around the rules that its paper names, and their kin."""
    layerwise, optimizer = choice(config, "layerwise"), choice(config, "optimizer")
    around = TRUST_AROUND.get(layerwise)
    if around is None or optimizer in around:
        return None
    other = next((name for name, kin in TRUST_AROUND.items() if optimizer in kin), "joint")
    return (
        f"layerwise={layerwise} goes around {', '.join(around)}, not optimizer={optimizer}; "
        f"take one of these, or layerwise={other}"
    )


def one_layer(config: Config) -> str | None:
    """With one LSTM layer nothing is left to choose from; a recipe on its own has no model."""
    layerwise = choice(config, "layerwise")
    if layerwise not in NEED_TWO_LAYERS or config.get("model", {}).get("num_layers", 2) != 1:
        return None
    return (
        f"layerwise={layerwise} needs two LSTM layers, and model.num_layers=1; "
        "take model.num_layers=2 with it, or layerwise=joint"
    )


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
    return f"layerwise=gauss_seidel makes a pass for each block, {why} with it, or layerwise=joint"


def why_not_several_passes(config: Config) -> str | None:
    clip = choice(config, "clip")
    if choice(config, "optimizer") == "schedule_free":
        return (
            "and optimizer=schedule_free wants one gradient for all weights at a step; "
            "take optimizer=adamw"
        )
    if getattr(lookup("clip", clip, config["clip"]), "compares_steps", False):
        return (
            f"and clip={clip} compares each with those before it, which were other blocks'; "
            "take clip=layer"
        )
    if "adversarial" in config[REGULARIZATION]:
        return (
            "and regularization=adversarial two more for each of them; "
            "take regularization=embedding"
        )
    if accumulates(config):
        return (
            "so trainer.accumulate_grad_batches would accumulate for the first block only; "
            "take a larger batch_size"
        )
    if scales_gradients(config):
        return (
            "and trainer.precision=16-mixed scales the gradients of one pass; "
            "take trainer.precision=bf16-mixed"
        )
    return None


def detached(config: Config) -> str | None:
    """local's task loss has no gradient in the embedding, unless the net has one layer only."""
    if choice(config, "layerwise") != "local" or "adversarial" not in config[REGULARIZATION]:
        return None
    return (
        "layerwise=local stops the gradient between layers, so regularization=adversarial has none "
        "in the embedding; take regularization=embedding with it, or layerwise=joint"
    )


def schedule_free(config: Config) -> str | None:
    """Its weights follow from sequences of its own: what else changes or averages them is lost."""
    if choice(config, "optimizer") != "schedule_free":
        return None
    schedule, averaging = choice(config, "schedule"), choice(config, "averaging")
    layerwise = choice(config, "layerwise")
    shrinking = [name for name, k in config[REGULARIZATION].items() if changes_weights(name, k)]
    if schedule not in ("constant", "warmup"):  # the paper's own has a warmup
        why = (
            f"has an average in place of schedule={schedule}; "
            "take schedule=constant or schedule=warmup"
        )
    elif averaging != "none":
        why = f"keeps an average of its own beside averaging={averaging}; take averaging=none"
    elif shrinking:
        why = (
            f"overwrites what regularization={shrinking[0]} does to the weights after a step; "
            "take regularization=l2"
        )
    elif layerwise == "cyclic":
        why = (
            "keeps its average in the state that layerwise=cyclic clears; "
            "take layerwise=random_blocks"
        )
    else:
        return None
    other = "adam" if "decay" in shrinking else "adamw"  # adamw decays by itself
    other = "sgd" if layerwise == "lars" else other
    return f"optimizer=schedule_free {why} with it, or optimizer={other}"


def changes_weights(name: str, knobs: Config) -> bool:
    """Whether a regularizer changes the weights after the optimizer's step."""
    part = lookup(REGULARIZATION, name, knobs)
    return getattr(part, "after_step", None) is not Regularizer.after_step


def nt_asgd(config: Config) -> str | None:
    averaging = choice(config, "averaging")
    if choice(config, "optimizer") != "nt_asgd" or averaging == "none":
        return None
    return (
        f"optimizer=nt_asgd averages the weights itself beside averaging={averaging}; "
        "take averaging=none with it, or optimizer=sgd"
    )


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

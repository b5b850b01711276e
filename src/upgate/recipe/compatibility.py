"""Choices that cannot work together: each pair is refused in one sentence that names both and the nearest allowed one.

A rule is a function of the configuration (a whole one, or a recipe on its own, which has neither task nor trainer) that returns the
sentence, or None where it has nothing to say. It stands in RULES; the first that speaks is heard.
"""

from collections.abc import Callable, Mapping
from typing import Any

from upgate.config.choices import REGULARIZATION
from upgate.errors import UserError
from upgate.recipe.clip import WHOLE
from upgate.recipe.layerwise.blocks import too_many
from upgate.recipe.registry import lookup
from upgate.recipe.regularization.base import Regularizer, lacking

Config = Mapping[str, Any]
Rule = Callable[[Config], str | None]


def name_of(config: Config, group: str) -> str:
    """The choice of a group that has one; clip=norm is the `norm` of `clip`."""
    return str(config[group]["name"])


def task_of(config: Config) -> str | None:
    """The task, or None for a recipe on its own, which fits any."""
    name = config.get("task", {}).get("name")
    return None if name is None else str(name)


def trainer_of(config: Config) -> Mapping[str, Any]:
    return config.get("trainer", {})


def needs(config: Config) -> str | None:
    """Prices have neither tokens nor classes."""
    if task_of(config) in (None, "sentiment"):
        return None
    for name in config[REGULARIZATION]:
        if what := getattr(lookup(REGULARIZATION, name), "needs", ""):
            return lacking(name, what)
    return None


def two_decays(config: Config) -> str | None:
    """Two decoupled decays add up to one that nobody asked for."""
    own = config["optimizer"].get("weight_decay")
    if "decay" not in config[REGULARIZATION] or not isinstance(own, int | float) or own <= 0:
        return None
    both = f"regularization=decay and optimizer={name_of(config, 'optimizer')}, weight_decay={own}, would both decay the weights"
    return f"{both}; take optimizer.weight_decay=0 with it, or leave decay out"


def in_backward(config: Config) -> str | None:
    """A step inside the backward pass comes before anything that needs all gradients at once."""
    if name_of(config, "layerwise") != "independent":
        return None
    trainer = trainer_of(config)
    why = ""
    if (clip := name_of(config, "clip")) in WHOLE:
        why = f"before clip={clip} could know the whole gradient's norm; take clip=layer or clip=value"
    elif trainer.get("accumulate_grad_batches", 1) != 1:
        why = "so trainer.accumulate_grad_batches would find nothing to accumulate; take a larger batch_size"
    elif str(trainer.get("precision")) in ("16", "16-mixed"):
        why = "before trainer.precision=16-mixed could unscale the gradients; take trainer.precision=bf16-mixed"
    return (
        f"layerwise=independent steps inside the backward pass, {why} with it, or layerwise=joint"
        if why
        else None
    )


TRUST_AROUND = {
    "lars": ("sgd", "momentum", "nesterov", "nt_asgd"),
    "lamb": ("adam", "adamw", "nadam", "radam", "rmsprop", "adagrad"),
}
NEED_TWO = ("cyclic", "random_blocks", "greedy", "local")


def trust(config: Config) -> str | None:
    """A trust ratio goes around the rules that its paper names, and their kin."""
    around, optimizer = (
        TRUST_AROUND.get(layerwise := name_of(config, "layerwise")),
        name_of(config, "optimizer"),
    )
    if around is None or optimizer in around:
        return None
    other = next((name for name, kin in TRUST_AROUND.items() if optimizer in kin), "joint")
    return f"layerwise={layerwise} goes around {', '.join(around)}, not optimizer={optimizer}; take one of these, or layerwise={other}"


def one_layer(config: Config) -> str | None:
    """With one LSTM layer nothing is left to choose from; a recipe on its own has no model."""
    layerwise = name_of(config, "layerwise")
    if layerwise not in NEED_TWO or config.get("model", {}).get("num_layers", 2) != 1:
        return None
    return f"layerwise={layerwise} needs two LSTM layers, and model.num_layers=1; take model.num_layers=2 with it, or layerwise=joint"


def blocks(config: Config) -> str | None:
    """More blocks than the model has; the head is one of gauss_seidel's."""
    layers, knobs = config.get("model", {}).get("num_layers"), config["layerwise"]
    for key, there in (("active", 0), ("blocks", 1)):
        if (
            isinstance(asked := knobs.get(key), int)
            and isinstance(layers, int)
            and asked > layers + there
        ):
            return too_many(key, asked, layers + there)
    return None


def several_passes(config: Config) -> str | None:
    """gauss_seidel computes a batch again for each block."""
    if name_of(config, "layerwise") != "gauss_seidel":
        return None
    trainer = trainer_of(config)
    why = ""
    if name_of(config, "optimizer") == "schedule_free":
        why = "and optimizer=schedule_free wants one gradient for all weights at a step; take optimizer=adamw"
    elif (clip := name_of(config, "clip")) in ("percentile", "zclip"):
        why = f"and clip={clip} compares each with those before it, which were other blocks'; take clip=layer"
    elif "adversarial" in config[REGULARIZATION]:
        why = "and regularization=adversarial two more for each of them; take regularization=embedding"
    elif trainer.get("accumulate_grad_batches", 1) != 1:
        why = "so trainer.accumulate_grad_batches would accumulate for the first block only; take a larger batch_size"
    elif str(trainer.get("precision")) in ("16", "16-mixed"):
        why = "and trainer.precision=16-mixed scales the gradients of one pass; take trainer.precision=bf16-mixed"
    return (
        f"layerwise=gauss_seidel makes a pass for each block, {why} with it, or layerwise=joint"
        if why
        else None
    )


def detached(config: Config) -> str | None:
    """local's task loss has no gradient in the embedding, unless the net has one layer only."""
    if name_of(config, "layerwise") != "local" or "adversarial" not in config[REGULARIZATION]:
        return None
    nearest = "take regularization=embedding with it, or layerwise=joint"
    return f"layerwise=local stops the gradient between layers, so regularization=adversarial has none in the embedding; {nearest}"


def schedule_free(config: Config) -> str | None:
    """Its weights follow from sequences of its own: what else changes or averages them is lost, or is there twice."""
    if name_of(config, "optimizer") != "schedule_free":
        return None
    schedule, averaging, layerwise = (
        name_of(config, group) for group in ("schedule", "averaging", "layerwise")
    )
    shrinks = [name for name in config[REGULARIZATION] if changes_weights(name)]
    why = ""
    if schedule not in ("constant", "warmup"):  # the paper's own has a warmup
        why = f"has an average in place of schedule={schedule}; take schedule=constant or schedule=warmup"
    elif averaging != "none":
        why = f"keeps an average of its own beside averaging={averaging}; take averaging=none"
    elif shrinks:
        why = f"overwrites what regularization={shrinks[0]} does to the weights after a step; take regularization=l2"
    elif layerwise == "cyclic":
        why = "keeps its average in the state that layerwise=cyclic clears; take layerwise=random_blocks"
    other = (
        "sgd" if layerwise == "lars" else "adam" if "decay" in shrinks else "adamw"
    )  # which decays by itself
    return f"optimizer=schedule_free {why} with it, or optimizer={other}" if why else None


def changes_weights(name: str) -> bool:
    """Whether a regularizer changes the weights after the optimizer's step."""
    return getattr(lookup(REGULARIZATION, name), "after_step", None) is not Regularizer.after_step


def nt_asgd(config: Config) -> str | None:
    if (
        name_of(config, "optimizer") != "nt_asgd"
        or (averaging := name_of(config, "averaging")) == "none"
    ):
        return None
    return f"optimizer=nt_asgd averages the weights itself beside averaging={averaging}; take averaging=none with it, or optimizer=sgd"


RULES: list[Rule] = [
    schedule_free,
    nt_asgd,
    needs,
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

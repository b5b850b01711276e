"""What a part does at no strength, which is nothing; and that at its own strength it does something, or the no-op detector tells."""

import pytest
import torch
import yaml

from helpers.parts import EVERY_CHOICE, EVERY_RUN, TASKS, TOKENS_ONLY, Loop, parts, same, word
from upgate.config.compose import REGULARIZATION, conf_dir
from upgate.recipe.engagement import weights_hash
from upgate.recipe.no_effect import TrainedRecipe, no_effect

STEPS = 15
LONG = {
    "clip=zclip": 30,
    "averaging=ema": 100,
    "layerwise=random_blocks": 60,
}  # a warm-up of 25; plain averaging at first; few draws
NOTHING = {  # a choice, what takes its strength away, and what it then is; nothing: the null recipe
    "optimizer=momentum": (
        "optimizer.momentum=0 optimizer.lr=0.05",
        "optimizer=sgd optimizer.lr=0.05",
    ),
    "optimizer=nt_asgd": ("optimizer.n=1000 optimizer.lr=0.05", "optimizer=sgd optimizer.lr=0.05"),
    "optimizer=adamw": ("optimizer.weight_decay=0", "optimizer=adam"),
    "schedule=cosine": ("schedule.final=1", ""),
    "schedule=warmup": ("schedule.warmup=0", ""),
    "schedule=plateau": ("schedule.patience=1000", ""),
    "clip=norm": ("clip.max_norm=1e9", ""),
    "clip=value": ("clip.max_value=1e9", ""),
    "clip=layer": ("clip.max_norm=1e9", ""),
    "clip=agc": ("clip.lam=1e9", ""),
    "clip=zclip": ("clip.z=1e9", ""),
    "regularization=[l1]": ("regularization.l1.lam=0", ""),
    "regularization=[l2]": ("regularization.l2.lam=0", ""),
    "regularization=[decay]": ("regularization.decay.lam=0", ""),
    "regularization=[dropout]": ("regularization.dropout.p=0", ""),
    "regularization=[locked]": ("regularization.locked.p=0", ""),
    "regularization=[weight_drop]": ("regularization.weight_drop.p=0", ""),
    "regularization=[embedding]": ("regularization.embedding.p=0", ""),
    "regularization=[word]": ("regularization.word.p=0", ""),
    "regularization=[activation]": (
        "regularization.activation.alpha=0 regularization.activation.beta=0",
        "",
    ),
    "regularization=[label_smoothing]": ("regularization.label_smoothing.smoothing=0", ""),
    "init=pytorch": ("init.forget_bias=null", ""),
    "layerwise=independent": ("", ""),  # the negative control, at any strength
    "layerwise=discriminative": ("layerwise.factor=1", ""),
    "layerwise=unfreeze": ("layerwise.share=0", ""),
    "layerwise=chain_thaw": ("layerwise.share=0", ""),
    "layerwise=cyclic": ("layerwise.active=2", ""),
    "layerwise=random_blocks": ("layerwise.active=2", ""),
    "layerwise=greedy": ("layerwise.active=2", ""),
    "layerwise=gauss_seidel": ("layerwise.blocks=1", ""),
    "averaging=ema": ("averaging.decay=0", ""),
}
IDLE = [
    (t, c)
    for c in NOTHING
    for t in TASKS
    if t == "sentiment" or not any(f"[{name}]" in c for name in TOKENS_ONLY)
]
NEVER = (
    "schedule=plateau",
    "stopping=early",
    "clip=zclip",
    "layerwise=independent",
)  # no effect in six steps; the last, in none


def storm(grad: torch.Tensor) -> torch.Tensor:
    return 50 * grad


def run(*words: str, task: str, steps: int) -> Loop:
    """A run with a validation of no progress after every third step, and gradients fifty times their size in the last step but two.

    It ends with the weights that would be judged.
    """
    loop = Loop(parts(*words), total=steps, task=task)
    for i in range(steps):
        handles = (
            [p.register_hook(storm) for p in loop.net.parameters() if p.requires_grad]
            if i == steps - 3
            else []
        )
        loop.steps(1)
        for handle in handles:
            handle.remove()
        if i % 3 == 2:
            loop.recipe.validated(1.0)
    loop.hold_judged_weights()
    return loop


@pytest.mark.parametrize(("task", "choice"), IDLE, ids=[f"{t} {c}" for t, c in IDLE])
def test_at_no_strength_a_part_is_the_null_choice_bit_for_bit(task: str, choice: str) -> None:
    without, null = NOTHING[choice]
    idle, plain = (
        run(*words.split(), task=task, steps=LONG.get(choice, STEPS))
        for words in (f"{choice} {without}", null)
    )
    assert same(idle.weights(), plain.weights())


@pytest.mark.parametrize(
    ("task", "group", "name"), EVERY_RUN, ids=[f"{t} {g}={n}" for t, g, n in EVERY_RUN]
)
def test_a_part_does_something_or_the_detector_tells(task: str, group: str, name: str) -> None:
    """Beside the null recipe, with the same optimizer: other weights, or one sentence that names the choice."""
    words = (word(group, name),)
    null = () if group == "optimizer" else (f"optimizer={parts(*words)['optimizer']['name']}",)
    told = no_effect([ended("plain", task, *null), ended("chosen", task, *words)])
    is_null = parts(*words) == parts(*null)
    assert [sentence.partition(" had")[0] for sentence in told] == (
        [words[0]] if words[0] in NEVER and not is_null else []
    )


def ended(title: str, task: str, *words: str) -> TrainedRecipe:
    ended_with = weights_hash(run(*words, task=task, steps=6).net)
    return TrainedRecipe(title, task, parts(*words), ended_with)


def ends(group: str, name: str) -> dict[str, tuple[str, str]]:
    """A choice's search ranges: the lowest and the highest of each knob, as one types them."""
    content = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    asked = (content.get(name, {}) if group == REGULARIZATION else content).get("search", {})
    pairs = {
        key: [list(end) for end in zip(*found, strict=True)]
        if isinstance(found[0], list)
        else found
        for key, found in asked.items()
    }
    return {key: (str(found[0]), str(found[1])) for key, found in pairs.items()}


KNOBS = [
    (g, n, key) for g, n in EVERY_CHOICE if g != "stopping" for key in ends(g, n)
]  # stopping's are in its scripted curves


@pytest.mark.parametrize(
    ("group", "name", "knob"), KNOBS, ids=[f"{g}={n} {k}" for g, n, k in KNOBS]
)
def test_every_knob_that_is_searched_reaches_the_weights(group: str, name: str, knob: str) -> None:
    where, choice = f"{group}.{name}" if group == REGULARIZATION else group, word(group, name)
    ways = (f"{where}.{knob}={end}".replace(" ", "") for end in ends(group, name)[knob])
    low, high = (run(choice, way, task="sentiment", steps=LONG.get(choice, STEPS)) for way in ways)
    assert not same(low.weights(), high.weights())

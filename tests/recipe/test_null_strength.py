"""What a part does at no strength, which is nothing."""

import pytest

from helpers.parts import TASKS, TOKENS_ONLY, parts, same
from upgate.part_checks.properties import LONG_STEPS, LONGER, run_with_shocks

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


@pytest.mark.parametrize(("task", "choice"), IDLE, ids=[f"{t} {c}" for t, c in IDLE])
def test_at_no_strength_a_part_is_the_null_choice_bit_for_bit(task: str, choice: str) -> None:
    without, null = NOTHING[choice]
    idle, plain = (
        run_with_shocks(parts(*words.split()), task, LONGER.get(choice, LONG_STEPS))
        for words in (f"{choice} {without}", null)
    )
    assert same(idle.weights(), plain.weights())

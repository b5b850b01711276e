"""What holds for every choice of every part. The choices are found in conf/: a new one is tested without a word here."""

import math
import re
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import nn
from torch.utils.data import DataLoader

from helpers.parts import (
    CLASSES,
    EMBEDDING,
    EVERY_CHOICE,
    EVERY_RUN,
    TOKENS_ONLY,
    VOCABULARY,
    Loop,
    batch,
    knobs,
    learner,
    parts,
    same,
    word,
)
from upgate.config.compose import PARTS, REGULARIZATION, choices, compose, conf_dir
from upgate.errors import UserError
from upgate.recipe.recipe import part
from upgate.run.resolve import check_recipe
from upgate.run.train import quiet
from upgate.seeds import derive
from upgate.tasks.generic import SequenceNet
from upgate.tasks.sentiment.module import SentimentNet

every_choice = pytest.mark.parametrize(
    ("group", "name"), EVERY_CHOICE, ids=[f"{g}={n}" for g, n in EVERY_CHOICE]
)
every_run = pytest.mark.parametrize(
    ("task", "group", "name"), EVERY_RUN, ids=[f"{t} {g}={n}" for t, g, n in EVERY_RUN]
)
NULL = {
    g: {"optimizer": "sgd", "schedule": "constant", "init": "pytorch", "layerwise": "joint"}.get(
        g, "none"
    )
    for g in PARTS
}
STEPS = 6


@every_choice
def test_a_yaml_is_called_what_it_says(group: str, name: str) -> None:
    content = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    if group == REGULARIZATION:
        assert list(content) == ([] if name == "none" else [name])
    else:
        assert content["name"] == name


@every_choice
def test_a_choice_is_built_from_its_yaml(group: str, name: str) -> None:
    if (group, name) != (REGULARIZATION, "none"):  # nothing to build: an empty mapping
        assert part(group, name, knobs(group, name)) is not None


@every_choice
def test_a_wrong_knob_is_refused_by_its_whole_name(group: str, name: str) -> None:
    if (group, name) == (REGULARIZATION, "none"):
        return
    where, good = f"{group}.{name}" if group == REGULARIZATION else group, knobs(group, name)
    with pytest.raises(UserError, match=rf"^unknown key {where}\.no_such_knob"):
        part(group, name, good | {"no_such_knob": 1})
    for key in good:
        with pytest.raises(UserError, match=rf"^{where}\.{key}="):
            part(group, name, good | {key: {"a": "mapping"}})
        with pytest.raises(UserError, match=rf"^{where}\.{key} is missing"):
            part(group, name, {k: v for k, v in good.items() if k != key})


@pytest.mark.parametrize("group", PARTS)
def test_a_choice_that_is_none_is_refused(group: str) -> None:
    for name in ("no_such_choice", "torch", "_foreach"):
        with pytest.raises(UserError, match=f"^{group}={name} is not a choice"):
            part(group, name, {})


@every_run
def test_a_choice_trains(task: str, group: str, name: str) -> None:
    """Finite losses, weights that move, and no draw from the global generator, which others may read."""
    before = torch.get_rng_state()
    loop = Loop(parts(word(group, name)), total=STEPS, task=task)
    start = loop.weights()
    assert all(math.isfinite(loss) for loss in loop.steps(3))
    assert torch.equal(torch.get_rng_state(), before)
    moved = [not torch.equal(start[n], w) for n, w in loop.weights().items()]
    assert any(moved) if group == "layerwise" else all(moved)
    engagement = loop.recipe.engagement()
    assert engagement and all(
        isinstance(v, float) and math.isfinite(v) for v in engagement.values()
    ), engagement


@every_run
def test_a_choice_goes_on_from_a_checkpoint_bit_for_bit(task: str, group: str, name: str) -> None:
    recipe = parts(word(group, name))
    whole = Loop(recipe, total=STEPS, task=task)
    whole.steps(3)
    resumed = Loop(recipe, total=STEPS, checkpoint=whole.checkpoint(), task=task)
    assert whole.steps(3) == resumed.steps(3)
    assert same(whole.weights(), resumed.weights())
    assert whole.rates() == resumed.rates()
    assert whole.recipe.engagement() == resumed.recipe.engagement()
    for loop in (whole, resumed):
        loop.hold_judged_weights()
    assert same(whole.weights(), resumed.weights())


@every_run
def test_a_choice_shifts_no_other_draw(task: str, group: str, name: str) -> None:
    """Weights start as with the null recipe, whatever is chosen; but for the LSTM and the embedding, which an init may change."""
    null, chosen = (
        Loop(parts(), task=task).weights(),
        Loop(parts(word(group, name)), task=task).weights(),
    )
    if group == "init":
        null, chosen = (
            {n: w for n, w in ws.items() if n.startswith("head")} for ws in (null, chosen)
        )
    assert same(null, chosen)


@every_run
def test_the_validation_loss_is_free_of_the_recipe(task: str, group: str, name: str) -> None:
    """No penalty, no noise: the plain loss of the net in evaluation."""
    loop = Loop(parts(word(group, name)), num_layers=3, task=task)
    loop.steps(2)
    loop.learner.eval()
    plain, loss = bare(task, loop.learner.hparams["spec"]["model"])
    plain.load_state_dict(loop.net.state_dict())
    data = loop.batch(9)
    with torch.no_grad():
        loop.learner.validation_step(data, 0)
        assert float(loop.learner.validation_loss.compute()) == pytest.approx(
            float(loss(plain.eval()(data), data["y"])), rel=1e-6
        )


def bare(task: str, model: dict[str, Any]) -> tuple[nn.Module, Any]:
    """A task's net without a recipe, and its loss."""
    if task == "stock":
        return SequenceNet(3, 1, model), F.mse_loss
    return SentimentNet(VOCABULARY, len(CLASSES), EMBEDDING, model), F.cross_entropy


@pytest.mark.parametrize("name", TOKENS_ONLY)
def test_what_prices_lack_is_refused_in_one_sentence(name: str) -> None:
    said = rf"^regularization={name} needs (tokens|classes): take task=sentiment; for prices, .*$"
    with pytest.raises(UserError, match=said):
        check_recipe(compose(["recipe=traditional", "task=stock", word(REGULARIZATION, name)]))
    with pytest.raises(UserError, match=said) as told:
        Loop(parts(word(REGULARIZATION, name)))
    assert "\n" not in str(told.value)
    for nearest in re.findall(r"regularization=(\w+)", str(told.value))[1:]:
        Loop(parts(word(REGULARIZATION, nearest))).steps(1)


@pytest.mark.parametrize("group", [g for g in PARTS if g != REGULARIZATION])
def test_the_traditional_recipe_is_all_null_choices(group: str) -> None:
    assert parts()[group]["name"] == NULL[group] in choices(group)
    assert parts()[REGULARIZATION] == {}


def test_the_null_recipe_is_a_plain_sgd_loop_bit_for_bit() -> None:
    loop = Loop(parts("optimizer.lr=0.05"))
    with torch.random.fork_rng():
        torch.manual_seed(derive(0, "init"))
        net = SequenceNet(3, 1, loop.learner.hparams["spec"]["model"])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for i in range(10):
        loss = F.mse_loss(net(batch(i)), batch(i)["y"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loop.step(batch(i)) == loss.item()
    assert same(loop.weights(), dict(net.named_parameters()))


BUSY = (
    "optimizer=adamw",
    "schedule=onecycle",
    "clip=norm",
    "regularization=[dropout,l1,l2]",
    "init=orthogonal",
    "averaging=ema",
)


BACKWARD = ("layerwise=independent", "clip=value", "clip.max_value=0.01", "optimizer=rmsprop")
TEXT = ("optimizer=adamw", "clip=norm", "regularization=[locked,word,l2]", "averaging=ema")


@pytest.mark.parametrize(
    ("task", "words"),
    [("stock", BUSY), ("stock", BACKWARD), ("sentiment", TEXT), ("sentiment", BACKWARD)],
)
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning"
)  # Lightning's; `quiet` says which
def test_the_loop_of_these_tests_is_lightnings(task: str, words: tuple[str, ...]) -> None:
    loop = Loop(parts(*words), total=8, task=task)
    other = learner(task, parts(*words))
    quiet()
    silent: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", **silent)
    trainer.fit(other, DataLoader([loop.batch(i) for i in range(8)], batch_size=None))
    loop.steps(8)
    assert same(loop.weights(), dict(other.net.named_parameters()))
    assert loop.recipe.engagement() == other.recipe.engagement()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["clip=norm"], "clip=norm"),
        (["trainer.accumulate_grad_batches=2"], "trainer.accumulate_grad_batches"),
        (["trainer.precision=16-mixed"], "trainer.precision=16-mixed"),
    ],
)
def test_what_cannot_be_combined_is_refused_in_one_sentence(words: list[str], named: str) -> None:
    with pytest.raises(
        UserError, match=rf"^layerwise=independent .*{named}.*; take .* or layerwise=joint$"
    ) as told:
        check_recipe(compose(["recipe=traditional", "layerwise=independent", *words]))
    assert "\n" not in str(told.value)
    check_recipe(compose(["recipe=traditional", *words]))


def test_a_recipe_on_its_own_refuses_the_same() -> None:
    with pytest.raises(UserError, match="clip=norm"):
        Loop(
            parts()
            | {"layerwise": {"name": "independent"}, "clip": {"name": "norm", "max_norm": 1.0}}
        )

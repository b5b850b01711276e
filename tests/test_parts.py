"""What holds for every choice of every part. The choices are found in conf/: a new one is tested without a word here."""

import math
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
import yaml
from torch.utils.data import DataLoader

from parts_help import EVERY_CHOICE, Loop, batch, knobs, parts, same, word
from upgate.config import PARTS, REGULARIZATION, choices, compose, conf_dir
from upgate.errors import UserError
from upgate.model.stock import StockLearner, StockNet
from upgate.recipe.recipe import part
from upgate.run.spec import recipe_of
from upgate.run.train import quiet
from upgate.seeds import derive

every_choice = pytest.mark.parametrize(("group", "name"), EVERY_CHOICE, ids=[f"{g}={n}" for g, n in EVERY_CHOICE])
NULL = {g: {"optimizer": "sgd", "schedule": "constant", "init": "pytorch", "layerwise": "joint"}.get(g, "none") for g in PARTS}
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


@every_choice
def test_a_choice_trains(group: str, name: str) -> None:
    """Finite losses, weights that move, and no draw from the global generator, which others may read."""
    before = torch.get_rng_state()
    loop = Loop(parts(word(group, name)), total=STEPS)
    start = loop.weights()
    assert all(math.isfinite(loss) for loss in loop.steps(3))
    assert torch.equal(torch.get_rng_state(), before)
    moved = [not torch.equal(start[n], w) for n, w in loop.weights().items()]
    assert any(moved) if group == "layerwise" else all(moved)
    engagement = loop.recipe.engagement()
    assert engagement and all(isinstance(v, float) and math.isfinite(v) for v in engagement.values()), engagement


@every_choice
def test_a_choice_goes_on_from_a_checkpoint_bit_for_bit(group: str, name: str) -> None:
    recipe = parts(word(group, name))
    whole = Loop(recipe, total=STEPS)
    whole.steps(3)
    resumed = Loop(recipe, total=STEPS, checkpoint=whole.checkpoint())
    assert whole.steps(3) == resumed.steps(3)
    assert same(whole.weights(), resumed.weights())
    assert whole.rates() == resumed.rates()
    assert whole.recipe.engagement() == resumed.recipe.engagement()
    for loop in (whole, resumed):
        loop.recipe.averaging.swap()
    assert same(whole.weights(), resumed.weights())


@every_choice
def test_a_choice_shifts_no_other_draw(group: str, name: str) -> None:
    """Weights start as with the null recipe, whatever else is chosen; only an init may start them elsewhere, and only the LSTM's."""
    null, chosen = Loop(parts()).weights(), Loop(parts(word(group, name))).weights()
    if group == "init":
        null, chosen = ({n: w for n, w in ws.items() if "head" in n} for ws in (null, chosen))
    assert same(null, chosen)


@every_choice
def test_the_validation_loss_is_free_of_the_recipe(group: str, name: str) -> None:
    """No penalty, no noise: the plain mean squared error of the net in evaluation."""
    loop = Loop(parts(word(group, name)), num_layers=3)
    loop.steps(2)
    loop.learner.eval()
    plain = StockNet(3, loop.learner.hparams["spec"]["model"]).eval()
    plain.load_state_dict(loop.net.state_dict())
    with torch.no_grad():
        loop.learner.validation_step(batch(9), 0)
        assert float(loop.learner.validation_loss.compute()) == pytest.approx(float(F.mse_loss(plain(batch(9)), batch(9)["y"])), rel=1e-6)


@pytest.mark.parametrize("group", [g for g in PARTS if g != REGULARIZATION])
def test_the_traditional_recipe_is_all_null_choices(group: str) -> None:
    assert parts()[group]["name"] == NULL[group] in choices(group)
    assert parts()[REGULARIZATION] == {}


def test_the_null_recipe_is_a_plain_sgd_loop_bit_for_bit() -> None:
    loop = Loop(parts("optimizer.lr=0.05"))
    with torch.random.fork_rng():
        torch.manual_seed(derive(0, "init"))
        net = StockNet(3, loop.learner.hparams["spec"]["model"])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for i in range(10):
        loss = F.mse_loss(net(batch(i)), batch(i)["y"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loop.step(batch(i)) == loss.item()
    assert same(loop.weights(), dict(net.named_parameters()))


BUSY = ("optimizer=adamw", "schedule=onecycle", "clip=norm", "regularization=[dropout,l1,l2]", "init=orthogonal", "averaging=ema")


@pytest.mark.parametrize("words", [BUSY, ("layerwise=independent", "clip=value", "clip.max_value=0.01", "optimizer=rmsprop")])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # Lightning's; `quiet` says which
def test_the_loop_of_these_tests_is_lightnings(words: tuple[str, ...]) -> None:
    loop = Loop(parts(*words), total=8)
    learner = StockLearner(dict(loop.learner.hparams["spec"]), {})
    quiet()
    silent: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", **silent)
    trainer.fit(learner, DataLoader([batch(i) for i in range(8)], batch_size=None))
    loop.steps(8)
    assert same(loop.weights(), dict(learner.net.named_parameters()))
    assert loop.recipe.engagement() == learner.recipe.engagement()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["clip=norm"], "clip=norm"),
        (["trainer.accumulate_grad_batches=2"], "trainer.accumulate_grad_batches"),
        (["trainer.precision=16-mixed"], "trainer.precision=16-mixed"),
    ],
)
def test_what_cannot_be_combined_is_refused_in_one_sentence(words: list[str], named: str) -> None:
    with pytest.raises(UserError, match=rf"^layerwise=independent .*{named}.*; take .* or layerwise=joint$") as told:
        recipe_of(compose(["recipe=traditional", "layerwise=independent", *words]))
    assert "\n" not in str(told.value)
    recipe_of(compose(["recipe=traditional", *words]))


def test_a_recipe_on_its_own_refuses_the_same() -> None:
    with pytest.raises(UserError, match="clip=norm"):
        Loop(parts() | {"layerwise": {"name": "independent"}, "clip": {"name": "norm", "max_norm": 1.0}})

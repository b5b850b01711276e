"""What holds for every choice of every part. The choices are found in conf/.

A new one is tested without a word here.
"""

import re
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from helpers.parts import (
    EVERY_CHOICE,
    EVERY_RUN,
    TOKENS_ONLY,
    Loop,
    batch,
    learner,
    parts,
    same,
    word,
)
from upgate.config.compose import PARTS, REGULARIZATION, choices, compose
from upgate.errors import UserError
from upgate.part_checks import properties
from upgate.part_checks.properties import Candidate
from upgate.recipe.recipe import part
from upgate.run.resolve import check_recipe
from upgate.run.train import quiet
from upgate.seeds import derive
from upgate.tasks.generic import SequenceNet

every_choice = pytest.mark.parametrize(
    ("group", "name"), EVERY_CHOICE, ids=[f"{g}={n}" for g, n in EVERY_CHOICE]
)
BY_GROUP = {g: [run for run in EVERY_RUN if run[1] == g] for g in PARTS}


def runs_of(*groups: str) -> pytest.MarkDecorator:
    """Each task and choice of these groups."""
    runs = [run for group in groups for run in BY_GROUP[group]]
    return pytest.mark.parametrize(
        ("task", "group", "name"), runs, ids=[f"{t} {g}={n}" for t, g, n in runs]
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


@every_choice
def test_a_yaml_is_called_what_it_says(group: str, name: str) -> None:
    properties.named_as_its_yaml(Candidate(group, name))


@every_choice
def test_a_choice_is_built_from_its_yaml(group: str, name: str) -> None:
    properties.built_from_its_yaml(Candidate(group, name))


@every_choice
def test_a_wrong_knob_is_refused_by_its_whole_name(group: str, name: str) -> None:
    properties.wrong_knobs_refused(Candidate(group, name))


@pytest.mark.parametrize("group", PARTS)
def test_a_choice_that_is_none_is_refused(group: str) -> None:
    for name in ("no_such_choice", "torch", "_foreach"):
        with pytest.raises(UserError, match=f"^{group}={name} is not a choice"):
            part(group, name, {})


@every_run
def test_a_choice_trains(task: str, group: str, name: str) -> None:
    properties.trains(Candidate(group, name), task)


@every_run
def test_a_choice_goes_on_from_a_checkpoint_bit_for_bit(task: str, group: str, name: str) -> None:
    properties.resumes_exactly(Candidate(group, name), task)


@every_run
def test_a_choice_shifts_no_other_draw(task: str, group: str, name: str) -> None:
    properties.shifts_no_draw(Candidate(group, name), task)


@every_run
def test_the_validation_loss_is_free_of_the_recipe(task: str, group: str, name: str) -> None:
    properties.leaves_validation_alone(Candidate(group, name), task)


@runs_of(REGULARIZATION)
def test_an_evaluation_draws_nothing(task: str, group: str, name: str) -> None:
    properties.draws_nothing_in_evaluation(Candidate(group, name), task)


@runs_of("clip", REGULARIZATION)
def test_a_part_steps_in_the_backward_pass_as_it_does_after_it(
    task: str, group: str, name: str
) -> None:
    properties.steps_in_backward(Candidate(group, name), task)


@every_run
def test_a_part_does_something_or_the_detector_tells(task: str, group: str, name: str) -> None:
    """Beside the null recipe, with the same optimizer.

    Other weights, or one sentence that names it.
    """
    properties.has_an_effect(Candidate(group, name), task)


KNOBS = [(g, n, key) for g, n in EVERY_CHOICE for key in Candidate(g, n).searched]
KNOBS = [knob for knob in KNOBS if knob[0] not in properties.NO_KNOB_EFFECT]


@pytest.mark.parametrize(
    ("group", "name", "knob"), KNOBS, ids=[f"{g}={n} {k}" for g, n, k in KNOBS]
)
def test_every_knob_that_is_searched_reaches_the_weights(group: str, name: str, knob: str) -> None:
    properties.knob_reaches_the_weights(Candidate(group, name), knob)


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

"""Tests of engagement.

Gates against a cell by hand, ratios against their definition, hashes and what they tell.
"""

import math
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from helpers.parts import TASKS, Loop, batch, learner, parts, same, texts
from upgate.generators import generator
from upgate.model.module import RecipeModule
from upgate.recipe.engagement import GATES, gate_numbers, gates, weights_hash
from upgate.recipe.no_effect import TrainedRecipe, no_effect
from upgate.run.train import quiet

STACK = {"num_layers": 3, "bidirectional": True}


def lstm(input_size: int = 3, hidden_size: int = 4, loud: float = 1.0) -> nn.LSTM:
    net, g = nn.LSTM(input_size, hidden_size, batch_first=True), generator(0, "lstm")
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(loud * torch.randn(p.shape, generator=g))
    return net


def by_hand(net: nn.LSTM, x: Tensor) -> list[Tensor]:
    """The cell's equations, one step after another: i, f, g, o, each (B, T, H)."""
    h = c = torch.zeros(len(x), net.hidden_size)
    steps = []
    for t in range(x.shape[1]):
        a = x[:, t] @ net.weight_ih_l0.T + net.bias_ih_l0 + h @ net.weight_hh_l0.T + net.bias_hh_l0
        i, f, g, o = a.chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        steps.append((i, f, g, o))
    return [torch.stack(gate, dim=1) for gate in zip(*steps, strict=True)]


@torch.no_grad()
def test_gates_are_those_of_the_cell() -> None:
    net, x = lstm(), torch.randn(5, 7, 3, generator=generator(0, "x"))
    h, _ = net(x)
    for ours, theirs in zip(gates(net, x, h), by_hand(net, x), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("loud", [0.1, 3.0])
@torch.no_grad()
def test_gate_numbers_are_means_and_shares(loud: float) -> None:
    net, x = lstm(loud=loud), torch.randn(5, 7, 3, generator=generator(0, "x"))
    i, f, _, o = by_hand(net, x)
    wanted = {"forget_gate_mean/only": float(f.mean())}
    wanted |= {
        f"gate_saturation/only/{n}": float(((g < 0.05) | (g > 0.95)).float().mean())
        for n, g in zip("ifo", (i, f, o), strict=True)
    }

    class Net(nn.Module):
        def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
            return net(batch["x"])[0]

    assert gate_numbers(Net(), [("only", net)], {"x": x, "y": torch.zeros(5)}) == pytest.approx(
        wanted
    )
    assert (wanted["gate_saturation/only/f"] > 0.3) == (loud > 1)


def test_padding_takes_no_part() -> None:
    """The same texts in a longer batch: the same numbers, in both directions."""
    module = learner("sentiment", parts(), **STACK).eval()
    data = texts(n=8)
    longer = data | {"x": torch.nn.functional.pad(data["x"], (0, 20))}
    short, long = (gate_numbers(module.net, module.layers(), b) for b in (data, longer))
    assert short == pytest.approx(long, abs=1e-6) and len(short) == 3 * 4
    moved = data | {"x": data["x"].clone()}
    moved["x"][:, 0] = 1 + moved["x"][:, 0] % 8
    assert gate_numbers(module.net, module.layers(), moved) != pytest.approx(short, abs=1e-6)


def test_the_forget_gates_bias_is_seen() -> None:
    for bias, low, high in ((-4.0, 0.0, 0.1), (0.0, 0.4, 0.6), (4.0, 0.9, 1.0)):
        module = learner(
            "stock", parts("init=pytorch", f"init.forget_bias={bias}"), num_layers=2
        ).eval()
        numbers = gate_numbers(module.net, module.layers(), batch(n=40))
        assert all(low < numbers[f"forget_gate_mean/lstm.{i}"] < high for i in range(2))
        assert all((numbers[f"gate_saturation/lstm.{i}/f"] > 0.5) == (bias != 0) for i in range(2))
        assert all(numbers[f"gate_saturation/lstm.{i}/o"] < 0.1 for i in range(2))


@pytest.mark.parametrize("task", TASKS)
def test_looking_at_gates_changes_nothing(task: str) -> None:
    """No draw, no hook left, the same losses after it."""
    words = ("regularization=[dropout]",)
    plain, watched = Loop(parts(*words), task=task), Loop(parts(*words), task=task)
    for loop in (plain, watched):
        loop.steps(2)
    watched.learner.eval()
    watched.learner.validation_step(watched.batch(9, 500), 0)
    assert not any(m._forward_hooks for m in watched.net.modules())
    assert plain.steps(3) == watched.steps(3) and same(plain.weights(), watched.weights())


@pytest.mark.parametrize("task", TASKS)
def test_update_ratios_of_layers_and_gates_are_those_of_the_first_step(task: str) -> None:
    loop = Loop(parts("optimizer=adam", "layerwise=discriminative"), task=task, **STACK)
    before = loop.weights()
    loop.steps(1)
    after = loop.weights()
    found = {k: v for k, v in loop.learner.measured.items() if k.startswith("update_ratio/")}
    names = [name for name, _ in loop.learner.layers()]
    assert set(found) == {f"update_ratio/{n}" for n in names} | {
        f"update_ratio/lstm.{i}/{g}" for i in range(3) for g in GATES
    }
    for k, gate in enumerate(GATES):
        own = [n for n in before if n.startswith("backbone.layers.1.")]
        w, moved = (torch.cat([s[n].chunk(4)[k].flatten() for n in own]) for s in (before, after))
        assert found[f"update_ratio/lstm.1/{gate}"] == pytest.approx(
            float((moved - w).norm() / w.norm()), rel=1e-5
        )
    head = [n for n in before if n.startswith("head")]
    w, moved = (torch.cat([s[n].flatten() for n in head]) for s in (before, after))
    assert found["update_ratio/head"] == pytest.approx(
        float((moved - w).norm() / w.norm()), rel=1e-5
    )
    loop.steps(2)  # not the first of an epoch
    assert found.items() <= loop.learner.measured.items()
    loop.learner.on_train_epoch_start()
    loop.steps(1)
    assert all(loop.learner.measured[name] not in (0.0, ratio) for name, ratio in found.items())


def test_learning_rates_are_those_of_the_last_step() -> None:
    total, lr = 5, 0.1
    loop = Loop(
        parts("schedule=cosine", "layerwise=discriminative", f"optimizer.lr={lr}"),
        total=total,
        num_layers=2,
    )
    loop.steps(total)
    share = (
        1 + math.cos(math.pi * (total - 1) / total)
    ) / 2  # the schedule has moved on to 0 meanwhile
    wanted = {"head": lr * share, "lstm.1": lr * share / 2.6, "lstm.0": lr * share / 2.6**2}
    rates = {
        k.removeprefix("learning_rate/"): v
        for k, v in loop.learner.measured.items()
        if k.startswith("learning_rate/")
    }
    assert rates == pytest.approx(wanted)


def trained(task: str, **trainer: Any) -> RecipeModule:
    """One epoch of four batches, and two to validate on, by Lightning."""
    module, data = learner(task, parts()), batch if task == "stock" else texts
    quiet()
    silent: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    loaders = [
        DataLoader([data(i) for i in numbers], batch_size=None) for numbers in (range(4), (9, 10))
    ]
    pl.Trainer(max_epochs=1, accelerator="cpu", num_sanity_val_steps=0, **silent, **trainer).fit(
        module, *loaders
    )
    return module


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning"
)  # Lightning's; `quiet` says which
def test_the_first_step_is_found_where_gradients_accumulate() -> None:
    plain, accumulated = (trained("stock", accumulate_grad_batches=n).measured for n in (1, 2))
    assert plain.keys() == accumulated.keys() and accumulated["update_ratio/lstm.0/f"] > 0


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning"
)  # Lightning's; `quiet` says which
def test_lightnings_loop_measures_the_same(task: str) -> None:
    loop, other = Loop(parts(), total=4, task=task), trained(task)
    loop.steps(4)
    loop.learner.eval()
    loop.learner.validation_step(loop.batch(9), 0)
    assert loop.learner.measured == other.measured
    assert all(math.isfinite(v) for v in other.measured.values())


def test_a_hash_is_of_the_weights_alone() -> None:
    first, second, third = (learner("stock", parts(), seed=seed).net for seed in (0, 0, 1))
    assert (
        weights_hash(first) == weights_hash(second) != weights_hash(third)
        and len(weights_hash(first)) == 64
    )
    with torch.no_grad():
        first.head.bias += 1e-6
    assert weights_hash(first) != weights_hash(second)
    second.load_state_dict(first.state_dict())
    assert weights_hash(first.bfloat16()) != weights_hash(second)


def ended(
    name: str, *words: str, seed: int = 0, task: str = "stock", steps: int = 6
) -> TrainedRecipe:
    """A short run by hand, as `no_effect` takes it."""
    recipe = parts(*words)
    loop = Loop(recipe, total=steps, seed=seed, task=task)
    loop.steps(steps)
    return TrainedRecipe(name, f"{task} {seed}", recipe, weights_hash(loop.net))


def test_a_clip_that_never_engages_is_told_of() -> None:
    runs = [
        ended("plain"),
        ended("wide", "clip=norm", "clip.max_norm=1e9"),
        ended("tight", "clip=norm", "clip.max_norm=0.01"),
    ]
    wanted = (
        "clip=norm had no effect: wide ends with the same weights as plain, which has clip=none"
    )
    assert no_effect(runs) == no_effect(runs[::-1]) == [wanted]
    assert no_effect(runs[1:]) == no_effect(runs[:1]) == no_effect([]) == []


IDLE = {
    "layerwise=independent": "layerwise=joint",
    "regularization=[l2] regularization.l2.lam=0": "regularization=[none]",
    "clip=value clip.max_value=1e6": "clip=none",
    "clip=zclip": "clip=none",  # shorter than its warm-up
    "init=pytorch init.forget_bias=null": "",
}


@pytest.mark.parametrize("words", IDLE)
def test_parts_that_did_nothing_are_found(words: str) -> None:
    told = no_effect([ended("plain"), ended("idle", *words.split())])
    choice = words.split()[0]
    wanted = (
        [
            f"{choice} had no effect: idle ends with the same weights as plain, "
            f"which has {IDLE[words]}"
        ]
        if IDLE[words]
        else []
    )
    assert told == wanted


@pytest.mark.parametrize(
    "words",
    [
        "clip=agc",
        "clip=percentile",
        "clip=layer clip.max_norm=0.1",
        "init=lecun",
        "init=chrono",
        "optimizer=adam",
    ],
)
def test_parts_that_did_something_are_not(words: str) -> None:
    assert no_effect([ended("plain"), ended("busy", *words.split())]) == []


def test_a_knob_without_an_effect_is_named() -> None:
    runs = [ended(f"c={c}", "clip=norm", f"clip.max_norm={c}", "averaging=ema") for c in (1e8, 1e9)]
    wanted = (
        "clip.max_norm=1000000000.0 had no effect: "
        "c=1000000000.0 ends with the same weights as c=100000000.0, "
    )
    assert no_effect(runs) == [wanted + "which has clip.max_norm=100000000.0"]


def test_what_holds_for_several_seeds_is_said_once_and_only_comparable_runs_are_compared() -> None:
    runs = [
        ended(f"{n} {seed}", *w, seed=seed)
        for seed in (0, 1, 2)
        for n, w in (("wide", ("clip=value", "clip.max_value=1e9")), ("plain", ()))
    ]
    sentence = (
        "clip=value had no effect: wide 0 ends with the same weights as plain 0, "
        "which has clip=none; so it is for 2 more"
    )
    assert no_effect(runs) == [sentence]
    apart = [(name, f"{shared} {name}", recipe, digest) for name, shared, recipe, digest in runs]
    assert no_effect(apart) == []


def test_two_regularizers_are_told_apart() -> None:
    idle = ("regularization=[l1,l2]", "regularization.l1.lam=0", "regularization.l2.lam=0")
    one = ("regularization=[l1]", "regularization.l1.lam=0")
    assert no_effect([ended("both", *idle), ended("one", *one)]) == [
        "regularization=[l1,l2] had no effect: both ends with the same weights as one, "
        "which has regularization=[l1]"
    ]

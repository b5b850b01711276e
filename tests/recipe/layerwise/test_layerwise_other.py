"""Tests of layerwise.

Trust ratios, sweeps with fresh gradients, local heads, and what a step on some of the layers costs.
"""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.parts import TASKS, Loop, batch, made, parts, poison, same
from helpers.run import results, train
from upgate.config.compose import choices
from upgate.errors import UserError
from upgate.recipe.compatibility import TRUST_AROUND
from upgate.recipe.layerwise.cost import cost_share, lstm_sizes
from upgate.recipe.param_groups import ParamGroup

AROUND = [(name, optimizer) for name, kin in TRUST_AROUND.items() for optimizer in kin]
TRUST = {"lars": 0.01, "lamb": 1.0}


@pytest.mark.parametrize(("name", "optimizer"), AROUND)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rate", [0.1, 0.01])
def test_each_matrix_steps_its_share_of_its_length_from_the_first_step_on(
    name: str, optimizer: str, task: str, rate: float
) -> None:
    loop = Loop(
        parts(
            f"layerwise={name}", f"optimizer={optimizer}", f"optimizer.lr={rate}", "schedule=cosine"
        ),
        task=task,
    )
    for _ in range(4):
        before, lr = loop.weights(), loop.optimizer.param_groups[0]["lr"]
        loop.steps(1)
        for key, w in loop.weights().items():
            if w.ndim == 2 and "embedding" not in key:
                ratio = (w.double() - before[key].double()).norm() / (
                    lr * before[key].double().norm()
                )
                assert float(ratio) == pytest.approx(TRUST[name], rel=2e-3), key
    assert loop.recipe.engagement()["trust_ratio"] > 0


@pytest.mark.parametrize(
    ("name", "optimizer"), [("lars", "momentum"), ("lamb", "adamw"), ("lamb", "rmsprop")]
)
def test_the_direction_is_the_optimizers_own_and_the_exempt_take_its_step(
    name: str, optimizer: str
) -> None:
    words = (
        f"optimizer={optimizer}",
        "optimizer.lr=0.01",
        *(("optimizer.weight_decay=0.5",) if optimizer == "adamw" else ()),
    )
    plain, trusted = Loop(parts(*words)), Loop(parts(*words, f"layerwise={name}"))
    start = plain.weights()
    for loop in (plain, trusted):
        loop.steps(1)
    theirs, ours = plain.weights(), trusted.weights()
    for key, w in start.items():
        if w.ndim < 2:
            assert torch.equal(theirs[key], ours[key]), key
        else:
            steps = [(after[key] - w).double().flatten() for after in (theirs, ours)]
            assert float(torch.cosine_similarity(*steps, dim=0)) == pytest.approx(1, abs=1e-6), key


def test_a_step_too_small_to_be_seen_beside_its_weight_keeps_its_direction() -> None:
    """Gradients of 1e-9 change no digit of a weight near 1, and yet they say where to go."""
    w = nn.Parameter(torch.ones(3, 4))
    group = ParamGroup([w], "all")
    optimizer = made("layerwise", "lars", trust=1.0).optimizer(
        lambda _: made("optimizer", "sgd", lr=0.1)([group]), [], lambda _: None
    )
    g = torch.linspace(-1e-9, 1e-9, 12).reshape(3, 4)
    w.grad = g.clone()
    optimizer.step()
    torch.testing.assert_close(1 - w.detach(), 0.1 * 12**0.5 * g / g.norm(), rtol=1e-4, atol=1e-7)


def test_a_matrix_of_zeros_and_a_gradient_of_zeros_are_left_to_the_rule() -> None:
    loop = Loop(parts("layerwise=lars", "optimizer=momentum"))
    with torch.no_grad():
        loop.net.head.weight.zero_()
    poison(loop.net.backbone.layers[1].forth.weight_hh_l0, 0.0)
    start = loop.weights()
    loop.steps(1)
    now = loop.weights()
    assert all(torch.isfinite(w).all() for w in now.values()) and now["head.weight"].abs().sum() > 0
    assert torch.equal(
        now["backbone.layers.1.forth.weight_hh_l0"], start["backbone.layers.1.forth.weight_hh_l0"]
    )


def test_a_step_that_is_skipped_leaves_a_trusted_weight_where_it_is() -> None:
    loop = Loop(parts("layerwise=lamb", "optimizer=adamw"))
    loop.steps(1)
    before, handle = loop.weights(), poison(loop.net.head.weight, float("nan"))
    loop.steps(1)
    assert same(before, loop.weights())
    handle.remove()
    loop.steps(1)
    assert not same(before, loop.weights())


@pytest.mark.parametrize(
    "optimizer",
    [one for one in choices("optimizer") if one not in (*TRUST_AROUND["lars"], "schedule_free")],
)
def test_lars_goes_around_sgd_only_and_says_so(optimizer: str) -> None:
    with pytest.raises(
        UserError,
        match=rf"^layerwise=lars goes around sgd, .*, not optimizer={optimizer}; "
        "take one of these, or layerwise=",
    ):
        parts("layerwise=lars", f"optimizer={optimizer}")


def test_gauss_seidel_is_a_pass_for_each_block_with_the_weights_that_the_others_left() -> None:
    loop = Loop(parts("layerwise=gauss_seidel", "optimizer.lr=0.1"), num_layers=3)
    plain = Loop(parts(), num_layers=3)
    losses = []
    for i in range(3):
        for own in (*plain.net.backbone.layers, plain.net.head):
            loss = F.mse_loss(plain.net(batch(i)), batch(i)["y"])
            losses.append(float(loss.detach()))
            with torch.no_grad():
                for p, g in zip(
                    own.parameters(), torch.autograd.grad(loss, list(own.parameters())), strict=True
                ):
                    p.sub_(0.1 * g)
    assert loop.steps(3) == pytest.approx(
        losses[::4], rel=1e-6
    )  # the first of each step: before any block has moved
    for name, w in plain.weights().items():
        torch.testing.assert_close(loop.weights()[name], w, rtol=1e-6, atol=1e-8)
    assert loop.recipe.engagement() == pytest.approx(
        loop.recipe.engagement() | {f"passes_per_step/lstm.{i}": 1.0 for i in range(3)}
    )


def test_gauss_seidel_changes_with_the_number_of_blocks() -> None:
    losses = set()
    for n in (1, 2, 3, 4, "null"):
        losses.add(
            tuple(
                Loop(
                    parts("layerwise=gauss_seidel", f"layerwise.blocks={n}", "model.num_layers=3"),
                    num_layers=3,
                ).steps(4)
            )
        )
    assert len(losses) == 4  # null is 4
    told = r"^layerwise\.blocks=5 is more than the model's 4 blocks of layers; take 4 or fewer$"
    with pytest.raises(UserError, match=told):
        parts("layerwise=gauss_seidel", "layerwise.blocks=5", "model.num_layers=3")
    with pytest.raises(UserError, match=told):
        Loop(
            parts("layerwise=gauss_seidel", "layerwise.blocks=5", "model.num_layers=4"),
            num_layers=3,
        )


def test_a_bad_gradient_in_one_block_of_a_sweep_moves_that_block_by_nothing() -> None:
    loop = Loop(parts("layerwise=gauss_seidel"))
    poison(loop.net.backbone.layers[0].forth.weight_hh_l0, float("inf"))
    start = loop.weights()
    loop.steps(1)
    stayed = {n for n, w in loop.weights().items() if torch.equal(w, start[n])}
    assert stayed == {n for n in start if "layers.0" in n}
    assert loop.recipe.engagement()["skipped_steps"] == 1.0


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("pooling", ["last", "attention", "concat"])
def test_local_layers_learn_from_their_own_heads_only(task: str, pooling: str) -> None:
    """The lowest layer's step is that of a one-layer net with the auxiliary head.

    Poison above does not reach it.
    """
    shape = {"num_layers": 3, "bidirectional": True, "pooling": pooling}
    loop = Loop(parts("layerwise=local"), task=task, **shape)
    one = Loop(parts(), task=task, **shape | {"num_layers": 1})
    lowest = loop.net.backbone.layers[0]
    one.net.backbone.layers[0].load_state_dict(lowest.state_dict())
    if task == "sentiment":
        one.net.embedding.load_state_dict(loop.net.embedding.state_dict())
    head, *score = loop.learner.auxiliary[0].children()  # type: ignore[union-attr]
    one.net.head.load_state_dict(head.state_dict())
    for own in score:
        one.net.backbone.score.load_state_dict(own.state_dict())
    for layer in loop.net.backbone.layers[1:]:
        for p in layer.parameters():
            p.register_hook(lambda g: g * 3)
    loop.steps(3)
    one.steps(3)
    for a, b in zip(lowest.parameters(), one.net.backbone.layers[0].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    assert set(loop.recipe.engagement()) >= {"auxiliary_loss/lstm.0", "auxiliary_loss/lstm.1"}


@pytest.mark.parametrize("task", TASKS)
def test_local_with_one_layer_is_joint_bit_for_bit(task: str) -> None:
    joint, local = (
        Loop(parts("optimizer=adam", f"layerwise={name}"), num_layers=1, task=task)
        for name in ("joint", "local")
    )
    assert joint.steps(5) == local.steps(5) and same(joint.weights(), local.weights())


def test_locals_heads_are_trained_and_saved_and_not_needed_to_predict() -> None:
    loop = Loop(parts("layerwise=local", "optimizer=adam"), num_layers=3)
    heads = {n: p.detach().clone() for n, p in loop.learner.auxiliary.named_parameters()}
    assert len(heads) == 4 and not torch.equal(heads["0.0.weight"], heads["1.0.weight"])
    held = {id(p) for g in loop.optimizer.param_groups for p in g["params"]}
    assert held == {id(p) for p in loop.learner.parameters()}
    loop.steps(2)
    assert not any(torch.equal(heads[n], p) for n, p in loop.learner.auxiliary.named_parameters())
    assert {f"auxiliary.{n}" for n in heads} <= set(loop.checkpoint()["state_dict"])
    plain = Loop(parts(), num_layers=3)
    plain.net.load_state_dict(loop.net.state_dict())
    assert torch.equal(plain.net.eval()(batch()), loop.net.eval()(batch()))


def test_the_formula_gives_the_shares_of_parts_md() -> None:
    three = [[(64, 64)]] * 3
    assert [round(cost_share(three, [i]), 2) for i in range(3)] == [0.76, 0.65, 0.53]
    assert cost_share(three, range(3)) == 1.0 and cost_share(three, []) == pytest.approx(48 / 136)
    H, narrow = 64, 5  # by hand, for unequal layers: an input of 5
    below, above = 8 * H * (narrow + H), 8 * H * 2 * H
    joint = 2 * (below + above) + 2 * 8 * H * H + 8 * H * H
    assert cost_share([[(narrow, H)], [(H, H)]], [1]) == pytest.approx(
        (below + 2 * above + 8 * H * H) / joint
    )
    embedded = cost_share([[(32, H)]], [0], embedding=True)
    assert embedded == 1.0 and cost_share([[(32, H)], [(H, H)]], [1], embedding=True) < cost_share(
        [[(32, H)], [(H, H)]], [1]
    )
    assert lstm_sizes(nn.ModuleList([nn.LSTM(3, 4), nn.LSTM(3, 4)])) == [(3, 4), (3, 4)]


def test_seconds_and_shares_of_each_block_are_in_a_runs_result(tmp_path: Path) -> None:
    code, said = train(
        tmp_path / "runs",
        "recipe=traditional",
        "layerwise=cyclic",
        "layerwise.steps=3",
        "twin=false",
    )
    assert code == 0, said
    (result,) = results(tmp_path / "runs").values()
    told = {
        key: value
        for key, value in result["metrics"].items()
        if "seconds_per_step/" in key or "cost_share" in key
    }
    assert set(told) == {
        f"engagement/{what}/lstm.{i}" for what in ("seconds_per_step", "cost_share") for i in (0, 1)
    }
    assert all(value > 0 for value in told.values())
    assert told["engagement/cost_share/lstm.1"] < told["engagement/cost_share/lstm.0"] <= 1


def test_greedy_promises_no_saving() -> None:
    loop = Loop(parts("layerwise=greedy"))
    loop.steps(2)
    shares = {
        key: value
        for key, value in loop.recipe.layerwise.timing().items()
        if key.startswith("cost_share")
    }
    assert shares and set(shares.values()) == {1.0}

"""Tests of layerwise.

Independent updates are joint ones bit for bit (the negative control), discriminative ones are real
learning rates.
"""

import warnings
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader

from helpers.parts import Loop, batch, made, parts, same
from upgate.config.compose import choices
from upgate.errors import UserError
from upgate.recipe.layerwise.in_backward import InBackward
from upgate.run.train import quiet

OTHERS = (
    (),
    ("clip=value", "clip.max_value=0.02"),
    ("regularization=[l1,l2]", "regularization.l1.lam=0.01", "regularization.l2.lam=0.1"),
    ("schedule=onecycle", "regularization=[dropout,l1]", "averaging=ema", "init=orthogonal"),
    ("schedule=cosine", "clip=value", "regularization=[dropout,l2]"),
)
SHAPES: tuple[dict[str, Any], ...] = (
    {"num_layers": 2},
    {"num_layers": 3, "bidirectional": True, "pooling": "attention"},
)


def fits(*words: str) -> bool:
    try:
        return bool(parts(*words))
    except UserError:
        return False


def allowed() -> list[Any]:
    """Every optimizer with all others that it goes with, by turns in one of the two shapes; in the
    other one in the long tests.
    """
    found = []
    for i, one in enumerate(choices("optimizer")):
        for j, others in enumerate(OTHERS):
            if fits(f"optimizer={one}", *others):
                for k, shape in enumerate(SHAPES):
                    marks = [] if (i + j + k) % 2 == 0 else pytest.mark.long
                    name = f"{' '.join([one, *others])}, {shape['num_layers']} layers"
                    found.append(pytest.param(one, others, shape, marks=marks, id=name))
    return found


@pytest.mark.parametrize(("optimizer", "others", "shape"), allowed())
def test_independent_is_joint_bit_for_bit(
    optimizer: str, others: tuple[str, ...], shape: dict[str, Any]
) -> None:
    joint, independent = (
        Loop(parts(f"optimizer={optimizer}", *others, f"layerwise={name}"), **shape)
        for name in ("joint", "independent")
    )
    assert (
        isinstance(independent.optimizer, InBackward)
        and len(independent.optimizer.parts) == shape["num_layers"] + 1
    )
    assert joint.steps(20) == independent.steps(20)
    assert same(joint.weights(), independent.weights())
    told, wanted = independent.recipe.engagement(), joint.recipe.engagement()
    assert (
        told == pytest.approx(wanted, rel=1e-6) and told["clipped_share"] == wanted["clipped_share"]
    )
    assert ("clip=value" in others) == (wanted["clipped_share"] > 0)


def test_independent_holds_no_gradient_of_a_layer_that_has_stepped() -> None:
    """By the time the bottom layer's gradients come, those above are gone.

    That is where memory falls.
    """
    loop = Loop(parts("layerwise=independent"), num_layers=3)
    bottom = loop.net.backbone.layers[0].forth.weight_ih_l0
    above = [
        p for layer in (*loop.net.backbone.layers[1:], loop.net.head) for p in layer.parameters()
    ]
    held: list[int] = []
    bottom.register_hook(lambda grad: held.append(sum(p.grad is not None for p in above)))
    loop.steps(3)
    assert held == [0, 0, 0]
    assert all(p.grad is None for p in loop.net.parameters())


def test_independent_takes_each_layer_once_whole_and_from_the_top() -> None:
    loop, seen = Loop(parts(), num_layers=3, bidirectional=True), []

    def prepare(params: list[nn.Parameter]) -> None:
        assert all(p.grad is not None for p in params)
        seen.append({id(p) for p in params})

    optimizer = made("layerwise", "independent").optimizer(
        made("optimizer", "adam"), loop.learner.layers(), prepare
    )
    optimizer.step(lambda: loop.learner.training_step(batch(), 0).backward())
    assert seen == [
        {id(p) for p in layer.parameters()} for _, layer in reversed(loop.learner.layers())
    ]


@pytest.mark.parametrize("fails", [False, True], ids=["a step", "a step that fails"])
def test_a_backward_pass_of_ones_own_steps_nothing(fails: bool) -> None:
    """Only the closure of `step` has the hooks.

    Before it, after it, and where it raised, gradients stay as PyTorch leaves them.
    """
    loop = Loop(parts("layerwise=independent", "clip=value"), num_layers=3)

    def fail(*_: object) -> None:
        raise RuntimeError("the loss")

    for _ in range(2):
        before = loop.weights()
        loop.learner.training_step(batch(), 0).backward()
        assert same(loop.weights(), before) and all(
            p.grad is not None for p in loop.net.parameters()
        )
        if fails:
            with pytest.raises(RuntimeError, match="the loss"):
                loop.optimizer.step(fail)
        else:
            loop.steps(1)
            assert not same(loop.weights(), before)


def test_a_fit_steps_as_joint_does_and_leaves_no_hook_behind() -> None:
    results = []
    for name in ("joint", "independent"):
        recipe = parts("optimizer=adam", "clip=value", f"layerwise={name}")
        learner = Loop(recipe).learner
        silent = {
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
        trainer = pl.Trainer(max_epochs=1, accelerator="cpu", num_sanity_val_steps=0, **silent)
        loader = DataLoader([batch(i) for i in range(8)], batch_size=None)
        with warnings.catch_warnings():
            quiet()
            trainer.fit(learner, loader, loader)
        after = {n: p.detach().clone() for n, p in learner.net.named_parameters()}
        results.append(after)
        learner.train_loss.reset()
        learner.training_step(batch(), 0).backward()
        assert same({n: p.detach() for n, p in learner.net.named_parameters()}, after)
    assert same(*results)


def test_independent_goes_on_from_a_checkpoint_and_schedules_still_reach_its_groups() -> None:
    recipe = parts("layerwise=independent", "optimizer=adamw", "schedule=onecycle")
    whole = Loop(recipe, num_layers=3)
    whole.steps(5)
    state = whole.checkpoint()
    assert len(state["optimizer_states"][0]["layers"]) == 4
    resumed = Loop(recipe, num_layers=3, checkpoint=state)
    before = resumed.rates()
    assert before == whole.rates()
    assert whole.steps(5) == resumed.steps(5)
    assert resumed.rates() == whole.rates() != before
    for group, layer_group in zip(
        resumed.optimizer.param_groups,
        [g for o in resumed.optimizer.parts for g in o.param_groups],
        strict=True,
    ):
        assert group is layer_group
    left, right = (
        [layer["state"] for layer in loop.optimizer.state_dict()["layers"]]
        for loop in (whole, resumed)
    )
    torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_a_layer_with_an_idle_parameter_is_stepped_as_joint_would() -> None:
    """Its gradients are never complete, so the hook alone would wait forever."""
    results = []
    for name in ("joint", "independent"):
        torch.manual_seed(0)
        net = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 1)})
        net["b"].register_parameter("idle", nn.Parameter(torch.ones(2, 2)))
        loop = Loop(parts())
        optimizer = made("layerwise", name).optimizer(
            made("optimizer", "adam"), [*net.items()], loop.recipe.gradient_guard
        )

        def closure(net=net, optimizer=optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            loss = net["b"](net["a"](batch()["x"])).square().sum()
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        results.append({n: p.detach() for n, p in net.named_parameters()})
    assert same(*results)
    assert torch.equal(results[0]["b.idle"], torch.ones(2, 2)) and all(
        p.grad is None for p in net.parameters()
    )


@pytest.mark.parametrize("optimizer", choices("optimizer"))
@pytest.mark.parametrize("factor", [2.6, 1.0, 0.5])
def test_discriminative_rates_are_the_groups_rates(optimizer: str, factor: float) -> None:
    loop = Loop(
        parts(
            f"optimizer={optimizer}",
            "optimizer.lr=0.01",
            "layerwise=discriminative",
            f"layerwise.factor={factor}",
        ),
        num_layers=3,
    )
    assert loop.rates() == pytest.approx(
        {f"lstm.{i}": 0.01 / factor ** (3 - i) for i in range(3)} | {"head": 0.01}, rel=1e-12
    )


def test_discriminative_steps_are_joint_steps_times_the_rate() -> None:
    joint, own = (
        Loop(parts(f"layerwise={name}"), num_layers=3) for name in ("joint", "discriminative")
    )
    start = joint.weights()
    joint.steps(1)
    own.steps(1)
    a, b = joint.weights(), own.weights()
    for name, w in start.items():
        depth = 3 - int(name.split(".")[2]) if "layers" in name else 0
        torch.testing.assert_close(b[name] - w, (a[name] - w) * 2.6**-depth, rtol=1e-3, atol=1e-7)


def test_a_factor_of_1_is_joint_bit_for_bit() -> None:
    joint, own = (
        Loop(parts("optimizer=adam")),
        Loop(parts("optimizer=adam", "layerwise=discriminative", "layerwise.factor=1")),
    )
    assert joint.steps(5) == own.steps(5) and same(joint.weights(), own.weights())


def test_discriminative_rates_follow_a_schedule_each_in_its_proportion() -> None:
    """PyTorch's OneCycleLR with a list of peaks is the reference.

    See test_schedule.py for the step between the two.
    """
    N = 20
    loop = Loop(
        parts("optimizer.lr=0.05", "layerwise=discriminative", "schedule=onecycle"),
        total=N,
        num_layers=3,
    )
    peaks = {f"lstm.{i}": 0.05 / 2.6 ** (3 - i) for i in range(3)} | {"head": 0.05}
    reference = SGD([{"params": [nn.Parameter(torch.zeros(1))]} for _ in peaks], lr=1.0)
    theirs = OneCycleLR(
        reference,
        list(peaks.values()),
        total_steps=N + 1,
        pct_start=(0.3 * N + 1) / (N + 1),
        cycle_momentum=False,
    )
    for i in range(N):
        assert loop.rates() == pytest.approx(
            dict(zip(peaks, (g["lr"] for g in reference.param_groups), strict=True)), rel=1e-9
        )
        loop.step(batch(i))
        reference.step()
        theirs.step()


def test_the_negative_control_does_not_hold_by_accident() -> None:
    """Other layerwise updates do come out different."""
    assert Loop(parts()).steps(5) != Loop(parts("layerwise=discriminative")).steps(5)

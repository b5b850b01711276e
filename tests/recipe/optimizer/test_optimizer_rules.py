"""Tests of optimizer.

Each rule against ten lines of NumPy, and what was asked for against what the groups hold.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer

from helpers.parts import Loop, knobs, made, parts
from upgate.config.compose import choices
from upgate.errors import UserError
from upgate.recipe.effective import check_effective
from upgate.recipe.param_groups import ParamGroup, check_layers

Array = NDArray[np.float64]
EVERY = choices("optimizer")
W0 = np.random.default_rng(0).normal(size=(3, 2))
GRADS = np.random.default_rng(1).normal(size=(20, 3, 2)) * np.logspace(-3, 1, 20)[:, None, None]


def sgd(w: Array, lr: float) -> Iterator[Array]:
    for g in GRADS:
        w = w - lr * g
        yield w


def momentum(w: Array, lr: float, momentum: float) -> Iterator[Array]:
    v = np.zeros_like(w)
    for g in GRADS:
        v = momentum * v + g
        w = w - lr * v
        yield w


def nesterov(w: Array, lr: float, momentum: float) -> Iterator[Array]:
    v = np.zeros_like(w)
    for g in GRADS:
        v = momentum * v + g
        w = w - lr * (g + momentum * v)
        yield w


def adagrad(w: Array, lr: float, eps: float) -> Iterator[Array]:
    v = np.zeros_like(w)
    for g in GRADS:
        v = v + g**2
        w = w - lr * g / (np.sqrt(v) + eps)
        yield w


def nadam(w: Array, lr: float, betas: list[float], eps: float) -> Iterator[Array]:
    """With Dozat's warming momentum, b1 (1 - .96^(.004 t) / 2)."""
    m, v, product = np.zeros_like(w), np.zeros_like(w), 1.0
    for t, g in enumerate(GRADS, start=1):
        now, ahead = (betas[0] * (1 - 0.5 * 0.96 ** (0.004 * s)) for s in (t, t + 1))
        product *= now
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat = ahead * m / (1 - product * ahead) + (1 - now) * g / (1 - product)
        w = w - lr * m_hat / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        yield w


def radam(w: Array, lr: float, betas: list[float], eps: float) -> Iterator[Array]:
    m, v, rho_inf = np.zeros_like(w), np.zeros_like(w), 2 / (1 - betas[1]) - 1
    for t, g in enumerate(GRADS, start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        rho = rho_inf - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        step = m / (1 - betas[0] ** t)
        if rho > 5:
            r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            step = step * r * np.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps)
        w = w - lr * step
        yield w


def lion(w: Array, lr: float, betas: list[float], weight_decay: float) -> Iterator[Array]:
    m = np.zeros_like(w)
    for g in GRADS:
        w = w - lr * (np.sign(betas[0] * m + (1 - betas[0]) * g) + weight_decay * w)
        m = betas[1] * m + (1 - betas[1]) * g
        yield w


def rmsprop(w: Array, lr: float, alpha: float, eps: float) -> Iterator[Array]:
    v = np.zeros_like(w)
    for g in GRADS:
        v = alpha * v + (1 - alpha) * g**2
        w = w - lr * g / (np.sqrt(v) + eps)
        yield w


def adam(
    w: Array, lr: float, betas: list[float], eps: float, weight_decay: float = 0.0
) -> Iterator[Array]:
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(GRADS, start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        w = w * (1 - lr * weight_decay) - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield w


RULES = {
    "sgd": (sgd, {"lr": 0.3}),
    "momentum": (momentum, {"lr": 0.3, "momentum": 0.7}),
    "nesterov": (nesterov, {"lr": 0.3, "momentum": 0.7}),
    "adagrad": (adagrad, {"lr": 0.1, "eps": 1e-3}),
    "nadam": (nadam, {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3}),
    "radam": (radam, {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3}),
    "lion": (lion, {"lr": 0.02, "betas": [0.8, 0.95], "weight_decay": 0.4}),
    "rmsprop": (rmsprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-3}),
    "adam": (adam, {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3}),
    "adamw": (adam, {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.4}),
}


def run(optimizer: Optimizer, w: nn.Parameter) -> Iterator[Array]:
    for g in GRADS:
        w.grad = torch.tensor(g)
        optimizer.step()
        yield w.detach().numpy().copy()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("default", [False, True], ids=["other knobs", "the yaml's knobs"])
@pytest.mark.parametrize("exempt", [False, True])
def test_the_rule_over_one_step_and_twenty(name: str, default: bool, exempt: bool) -> None:
    rule, changed = RULES[name]
    asked = knobs("optimizer", name) | ({} if default else changed)
    w = nn.Parameter(torch.tensor(W0))
    optimizer = made("optimizer", name, **asked)(
        [ParamGroup([w], "all", no_decay=exempt, lr_scale=0.5)]
    )
    asked["lr"] *= 0.5
    if exempt and "weight_decay" in asked:
        asked["weight_decay"] = 0.0
    for got, wanted in zip(run(optimizer, w), rule(W0, **asked), strict=True):
        np.testing.assert_allclose(
            got, wanted, rtol=1e-6 if name == "nadam" else 1e-12, atol=1e-14
        )  # it keeps a float32 product


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("layerwise", ["joint", "independent", "discriminative"])
def test_every_parameter_is_in_one_group_that_holds_what_was_asked(
    name: str, layerwise: str
) -> None:
    recipe = parts(f"optimizer={name}", "optimizer.lr=0.0123", f"layerwise={layerwise}")
    loop = Loop(recipe, num_layers=3, bidirectional=True, pooling="attention")
    groups = loop.optimizer.param_groups
    held = [id(p) for g in groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in loop.net.parameters())
    for group in groups:
        assert group["lr"] == 0.0123 * group["lr_scale"]
        assert {p.ndim >= 2 for p in group["params"]} == {
            not group["no_decay"]
        }  # there is no embedding in this net
        for key, value in recipe["optimizer"].items():
            if key in group and key not in ("lr", "weight_decay"):
                assert (list(group[key]) if isinstance(group[key], tuple) else group[key]) == value
        if "weight_decay" in recipe["optimizer"]:
            assert group["weight_decay"] == (
                0.0 if group["no_decay"] else recipe["optimizer"]["weight_decay"]
            )


@pytest.mark.parametrize("name", EVERY)
def test_a_difference_between_asked_and_got_raises(name: str) -> None:
    recipe = parts(f"optimizer={name}")
    for key in [k for k in recipe["optimizer"] if k != "name"]:
        loop = Loop(recipe)
        group = next(g for g in loop.optimizer.param_groups if not g["no_decay"])
        check_effective(loop.optimizer, recipe["optimizer"], loop.net)
        if key in group:
            group[key] = (0.123, 0.456) if isinstance(group[key], tuple) else 0.123
            with pytest.raises(
                UserError, match=rf"^optimizer\.{key}=.* was asked for and layer .* got "
            ):
                check_effective(loop.optimizer, recipe["optimizer"], loop.net)


def test_no_recipe_hands_out_an_optimizer_that_differs() -> None:
    loop = Loop(parts("optimizer.lr=0.1"))
    loop.recipe.optimizer_factory = made("optimizer", "sgd", lr=0.2)
    with pytest.raises(UserError, match=r"^optimizer\.lr=0\.1 was asked for and layer .* got 0\.2"):
        loop.recipe.make_optimizer(loop.learner.layers(), loop.net)


def test_a_forgotten_or_a_strange_parameter_raises() -> None:
    recipe = parts()
    loop = Loop(recipe)
    group = loop.optimizer.param_groups[0]
    forgotten = group["params"].pop()
    with pytest.raises(UserError, match="each must be in exactly one group"):
        check_effective(loop.optimizer, recipe["optimizer"], loop.net)
    group["params"] += [forgotten, forgotten]
    with pytest.raises(UserError, match="each must be in exactly one group"):
        check_effective(loop.optimizer, recipe["optimizer"], loop.net)


def test_a_knob_that_reaches_no_group_raises() -> None:
    loop = Loop(parts())
    with pytest.raises(
        UserError, match=r"^optimizer\.alpha=0\.9 was asked for and reached no layer$"
    ):
        check_effective(loop.optimizer, parts()["optimizer"] | {"alpha": 0.9}, loop.net)


def test_radams_first_steps_are_by_the_momentum_alone() -> None:
    """The rule above has taken both its branches."""
    b = knobs("optimizer", "radam")["betas"][1]
    rho = [2 / (1 - b) - 1 - 2 * t * b**t / (1 - b**t) for t in range(1, len(GRADS) + 1)]
    assert rho[0] <= 5 < rho[-1]


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"^optimizer\.momentum=0 leaves nesterov nothing .* or optimizer=sgd$"
    ):
        made("optimizer", "nesterov", momentum=0.0)


def test_layers_that_miss_or_share_a_parameter_raise() -> None:
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 1, bias=False)})
    check_layers([("a", net["a"]), ("b", net["b"])], net)
    with pytest.raises(UserError, match=r"b\.weight is in 0"):
        check_layers([("a", net["a"])], net)
    with pytest.raises(UserError, match=r"b\.weight is in 2"):
        check_layers([("a", net), ("b", net["b"])], net)


def test_decay_touches_neither_biases_nor_embeddings() -> None:
    """With a gradient of 0, AdamW moves what it decays and nothing else."""
    recipe = parts("optimizer=adamw", "optimizer.lr=0.1", "optimizer.weight_decay=0.5")
    loop = Loop(recipe)
    net = nn.ModuleDict(
        {"embedding": nn.Embedding(5, 3), "lstm": nn.LSTM(3, 4), "head": nn.Linear(4, 1)}
    )
    optimizer = loop.recipe.make_optimizer([*net.items()], net)
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in net.named_parameters():
        kept = 1.0 if name == "embedding.weight" or "bias" in name else 1 - 0.1 * 0.5
        assert torch.equal(p, before[name] * kept), name


@pytest.mark.parametrize("name", EVERY)
def test_a_quadratic_falls(name: str) -> None:
    """|w - 1|^2 from w = 0 with the yaml's own knobs."""
    w = nn.Parameter(torch.zeros(4, 4))
    optimizer = made("optimizer", name)([ParamGroup([w], "all", no_decay=False, lr_scale=1.0)])
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = (w - 1).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert (
        losses[1] < losses[0] and losses[-1] < losses[0]
    )  # between the two a momentum may overshoot


@pytest.mark.parametrize("betas", [[0.9], [0.9, 0.99, 0.999], [0.9, 1.0], [-0.1, 0.9], 0.9])
def test_betas_are_two_fractions(betas: object) -> None:
    with pytest.raises(UserError, match=r"optimizer\.betas"):
        made("optimizer", "adam", betas=betas)(
            [ParamGroup([nn.Parameter(torch.zeros(1))], "a", no_decay=False, lr_scale=1.0)]
        )

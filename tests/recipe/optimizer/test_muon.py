"""optimizer=muon: orthogonal steps gate by gate for the LSTMs' matrices, AdamW for the rest."""

import pytest
import torch
from torch import Tensor, nn

from helpers.parts import TASKS, Loop, parts
from upgate.recipe.optimizer.base import CompositeOptimizer
from upgate.recipe.optimizer.muon import GateMuon

WIDE = {"hidden_size": 16, "num_layers": 2, "bidirectional": True, "pooling": "attention"}
LR = 1.0


def stepped(*words: str, task: str = "stock") -> tuple[Loop, dict[str, Tensor], dict[str, Tensor]]:
    """A loop after a step by random gradients from a weight of 0, which no decay moves.

    The gradients, and the weights' steps.
    """
    loop = Loop(parts("optimizer=muon", f"optimizer.lr={LR}", *words), task=task, **WIDE)
    g = torch.Generator().manual_seed(0)
    gradients = {}
    for name, p in loop.net.named_parameters():
        nn.init.zeros_(p)
        gradients[name] = p.grad = torch.randn(p.shape, generator=g)
    loop.optimizer.step()
    return (
        loop,
        {n: w.clone() for n, w in gradients.items()},
        {n: -w for n, w in loop.weights().items()},
    )


def is_matrix(name: str) -> bool:
    return ".weight_ih" in name or ".weight_hh" in name


@pytest.mark.parametrize("task", TASKS)
def test_muon_takes_the_lstms_matrices_and_adamw_the_rest(task: str) -> None:
    loop = stepped(task=task)[0]
    gates, rest = loop.optimizer.parts
    assert isinstance(gates, GateMuon) and isinstance(rest, torch.optim.AdamW)
    held = {id(p) for g in gates.param_groups for p in g["params"]}
    assert (
        held == {id(p) for n, p in loop.net.named_parameters() if is_matrix(n)} and len(held) == 8
    )
    assert {"backbone.score.weight", "head.weight"} <= {
        n for n, p in loop.net.named_parameters() if id(p) not in held
    }


@pytest.mark.parametrize("task", TASKS)
def test_each_gates_step_is_orthogonal_on_its_own(task: str) -> None:
    """Newton and Schulz's five rounds bring singular values to about .7 to 1.2.

    None of them is too small to begin with. The scale is AdamW's.
    """
    _, _, steps = stepped(task=task)
    for name, step in steps.items():
        if is_matrix(name):
            for gate in step.chunk(4):
                values = torch.linalg.svdvals(gate / (0.2 * LR * max(gate.shape) ** 0.5))
                middle = (
                    values.sort().values[1:-1] if len(values) > 8 else values
                )  # a random square matrix is nearly singular
                assert middle.min() > 0.6 and values.max() < 1.3, (name, values)


def test_a_stacked_matrix_as_a_whole_would_not_be() -> None:
    """The control: what splitting the gates is for."""
    g = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    w = nn.Parameter(torch.zeros_like(g))
    w.grad = g
    torch.optim.Muon([w], lr=LR, adjust_lr_fn="match_rms_adamw").step()
    values = torch.stack(
        [torch.linalg.svdvals(gate / (0.2 * LR * 8)) for gate in w.detach().chunk(4)]
    )
    assert (values < 0.6).float().mean() > 0.5


def test_the_root_mean_square_of_a_step_is_that_of_adamws() -> None:
    """About .2 of lr (Liu et al. 2025) for the square matrices."""
    for name, step in stepped()[2].items():
        if ".weight_hh" in name:
            assert 0.14 * LR < float(step.square().mean().sqrt()) < 0.26 * LR


def test_twenty_steps_are_pytorchs_muon_on_each_gate_and_adamw_on_the_rest() -> None:
    words = (
        "optimizer=muon",
        "optimizer.lr=0.02",
        "optimizer.weight_decay=0.3",
        "optimizer.momentum=0.8",
    )
    loop = Loop(parts(*words), **WIDE)
    copies = {
        n: [nn.Parameter(gate.clone()) for gate in w.chunk(4 if is_matrix(n) else 1)]
        for n, w in loop.weights().items()
    }
    muon = torch.optim.Muon(
        [gate for n, split in copies.items() if is_matrix(n) for gate in split],
        lr=0.02,
        weight_decay=0.3,
        momentum=0.8,
        adjust_lr_fn="match_rms_adamw",
    )
    rest = [(n, split[0]) for n, split in copies.items() if not is_matrix(n)]
    kinds = [
        {
            "params": [p for n, p in rest if ("bias" in n) == exempt],
            "weight_decay": 0.3 * (not exempt),
        }
        for exempt in (False, True)
    ]
    adamw = torch.optim.AdamW(kinds, lr=0.02, fused=True)
    for i in range(20):
        loop.step(loop.batch(i))
        for n, p in loop.net.named_parameters():
            for one, gradient in zip(copies[n], p.grad.chunk(len(copies[n])), strict=True):
                one.grad = gradient.clone()
        muon.step()
        adamw.step()
        for n, w in loop.weights().items():
            assert torch.equal(w, torch.cat(copies[n])), (n, i)


def test_the_groups_are_real_ones() -> None:
    """A schedule and discriminative rates reach both rules, before a checkpoint and after it."""
    words = ("optimizer=muon", "optimizer.lr=0.02", "layerwise=discriminative", "schedule=cosine")
    loop = Loop(parts(*words), **WIDE)
    loop.steps(5)
    resumed = Loop(parts(*words), checkpoint=loop.checkpoint(), **WIDE)
    for one in (loop, resumed):
        assert isinstance(one.optimizer, CompositeOptimizer)
        assert [id(g) for g in one.optimizer.param_groups] == [
            id(g) for part in one.optimizer.parts for g in part.param_groups
        ]
        assert {round(g["lr"] / g["lr_scale"], 12) for g in one.optimizer.param_groups} == {
            round(0.02 * one.recipe.schedule(5 / 20), 12)
        }
    assert loop.steps(5) == resumed.steps(5)
    assert [g["lr"] for g in resumed.optimizer.param_groups] == [
        g["lr"] for g in loop.optimizer.param_groups
    ]


def test_a_layer_of_one_kind_needs_one_rule() -> None:
    """Under layerwise=independent the head's optimizer is AdamW, an LSTM layer's both."""
    loop = Loop(parts("optimizer=muon", "layerwise=independent"))
    assert [type(one) for one in loop.optimizer.parts] == [
        CompositeOptimizer,
        CompositeOptimizer,
        torch.optim.AdamW,
    ]


def test_a_skipped_step_moves_nothing() -> None:
    loop = Loop(parts("optimizer=muon", "optimizer.weight_decay=0.5"))
    loop.steps(2)
    before = loop.weights()
    loop.optimizer.zero_grad()
    loop.optimizer.step()
    assert all(torch.equal(before[n], w) for n, w in loop.weights().items())

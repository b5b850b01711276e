"""Tests of clip.

The bounds hold, directions stay, what engaged is counted, and a gradient that is not finite takes
no step.
"""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from helpers.parts import Loop, made, parts, poison, same, with_gradients
from upgate.config.compose import choices
from upgate.generators import generator
from upgate.recipe.gradient_guard import GIVE_UP, Diverged, GradientGuard

EVERY = choices("clip")


def gradients(scale: float = 1.0) -> list[Tensor]:
    g = generator(0, "gradients")
    return [scale * torch.randn(*shape, generator=g) for shape in ((20, 5), (20,), (3, 20))]


def flat(params: Sequence[nn.Parameter]) -> Tensor:
    return torch.cat([p.grad.flatten() for p in params if p.grad is not None])


def clipped(name: str, scale: float, times: int = 1, **knobs: float) -> tuple[Tensor, Tensor, bool]:
    """The gradient before, after, and whether the clip says that it engaged."""
    params = with_gradients(*gradients(scale))
    raw = flat(params).clone()
    clip = made("clip", name, **knobs)
    engaged = [
        clip(params, nn.utils.get_total_norm([p.grad for p in params if p.grad is not None]))
        for _ in range(times)
    ]
    return raw, flat(params), engaged[0]


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
def test_none_touches_nothing(scale: float) -> None:
    raw, after, engaged = clipped("none", scale)
    assert torch.equal(raw, after) and engaged is False


@pytest.mark.parametrize("scale", [1e-3, 0.05, 1.0, 1e4])
@pytest.mark.parametrize("c", [0.25, 1.0, 5.0])
def test_norm_bounds_the_length_and_keeps_the_direction(scale: float, c: float) -> None:
    raw, after, engaged = clipped("norm", scale, max_norm=c)
    norm = float(raw.double().norm())
    assert engaged == (norm > c)
    assert float(after.double().norm()) <= c * (1 + 1e-6)
    assert float(torch.cosine_similarity(raw.double(), after.double(), dim=0)) == pytest.approx(
        1.0, abs=1e-12
    )
    torch.testing.assert_close(after, raw * min(1.0, c / (norm + 1e-6)))
    if not engaged:
        assert torch.equal(raw, after)


def test_norm_is_idempotent_and_a_huge_bound_changes_nothing() -> None:
    torch.testing.assert_close(
        clipped("norm", 100.0, times=2)[1], clipped("norm", 100.0)[1], rtol=2e-6, atol=0
    )
    raw, after, engaged = clipped("norm", 1e6, max_norm=1e30)
    assert torch.equal(raw, after) and not engaged


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("c", [0.1, 0.5])
def test_value_bounds_each_element(scale: float, c: float) -> None:
    raw, after, engaged = clipped("value", scale, max_value=c)
    assert torch.equal(after, raw.clamp(-c, c))
    assert engaged == bool((raw.abs() > c).any())
    assert torch.equal(clipped("value", scale, times=2, max_value=c)[1], after)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_a_clip_shortens_never_turns_round_and_says_whether_it_engaged(
    name: str, scale: float
) -> None:
    raw, after, engaged = clipped(name, scale)
    assert float(after.norm()) <= float(raw.norm()) * (1 + 1e-6)
    assert (raw * after >= 0).all()
    assert isinstance(engaged, bool) and engaged == (not torch.equal(raw, after))


@pytest.mark.parametrize("name", EVERY)
def test_a_clip_takes_parameters_without_a_gradient(name: str) -> None:
    params = [*with_gradients(*gradients(100.0)), nn.Parameter(torch.zeros(2))]
    made("clip", name)(params, nn.utils.get_total_norm(gradients(100.0)))
    assert params[-1].grad is None


def test_the_share_of_clipped_steps_and_the_norms_before_are_reported() -> None:
    meter = GradientGuard(made("clip", "norm", max_norm=2.0))
    for length in (1.0, 3.0, 5.0, 0.5, math.inf):
        meter(with_gradients(torch.tensor([length, 0.0])))
        meter.end_step()
    assert meter.norms == [1.0, 3.0, 5.0, 0.5, math.inf]
    numbers = meter.engagement()
    assert numbers["clipped_share"] == 2 / 5 and numbers["skipped_steps"] == 1.0
    assert numbers["grad_norm_p50"] == 2.0  # the median of the finite ones
    assert GradientGuard(made("clip", "none")).engagement() == {}


@pytest.mark.parametrize("seed", range(20))
def test_a_layers_clip_does_not_depend_on_the_order_of_its_parameters(seed: int) -> None:
    layers = [
        ("lstm.0", nn.ModuleList([nn.LSTM(7, 33), nn.LSTM(7, 33)])),
        ("head", nn.Linear(66, 2)),
    ]
    ordered = [p for _, layer in layers for p in layer.parameters()]
    found = []
    for params in (ordered, sorted(ordered, key=lambda p: p.ndim), ordered[::-1]):
        g = generator(seed, "gradients")
        for p in ordered:
            p.grad = torch.randn(p.shape, generator=g)
        clip = made("clip", "layer", max_norm=0.01)
        clip.attach(layers)
        assert clip(params, torch.tensor(1.0))
        found.append(flat(ordered).clone())
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_layers_that_come_one_by_one_are_one_step() -> None:
    meter = GradientGuard(made("clip", "value", max_value=3.5))
    for g in ([3.0, 0.0], [0.0, 4.0], [0.0]):
        meter(with_gradients(torch.tensor(g)))
    meter.end_step()
    assert meter.norms == [5.0] and meter.clipped == 1
    meter.end_step()  # a step without a gradient is none
    assert meter.norms == [5.0]


SKIPS = (
    "optimizer=adamw",
    "optimizer.weight_decay=0.1",
    "regularization=[l1]",
    "regularization.l1.lam=0.1",
    "averaging=ema",
)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    "words", [*((f"clip={name}",) for name in EVERY), ("layerwise=independent",)], ids=str
)
def test_a_gradient_that_is_not_finite_moves_nothing(bad: float, words: tuple[str, ...]) -> None:
    """Neither weights (decay and l1's shrinkage included) nor the optimizer's state nor the
    average; the next step is a step again.
    """
    loop = Loop(parts(*SKIPS, *words))
    loop.steps(2)
    before, kept = loop.weights(), loop.checkpoint()
    handles = [poison(p, bad) for p in loop.net.parameters()]
    loop.steps(1)
    assert same(loop.weights(), before)
    after = loop.checkpoint()
    torch.testing.assert_close(states(after), states(kept), rtol=0, atol=0)
    torch.testing.assert_close(
        after["recipe"]["averaging"], kept["recipe"]["averaging"], rtol=0, atol=0
    )
    assert loop.recipe.engagement()["skipped_steps"] == 1.0
    for handle in handles:
        handle.remove()
    loop.steps(1)
    assert not same(loop.weights(), before)
    assert loop.recipe.engagement()["skipped_steps"] == 1.0


def states(checkpoint: dict) -> list:
    """The optimizers' moments, without the groups: their learning rates follow the schedule."""
    (state,) = checkpoint["optimizer_states"]
    return [one["state"] for one in state.get("layers", [state])]


@pytest.mark.parametrize("layerwise", ["joint", "independent"])
@pytest.mark.parametrize("where", ["net.backbone.layers.0.forth.weight_hh_l0", "net.head.weight"])
def test_one_bad_element_in_any_layer_counts_once_a_step_and_ends_the_run(
    layerwise: str, where: str
) -> None:
    loop = Loop(parts(f"layerwise={layerwise}"), num_layers=3)
    poison(loop.learner.get_parameter(where), math.nan)
    for i in range(1, GIVE_UP):
        loop.steps(1)
        assert loop.recipe.gradient_guard.skipped == loop.recipe.gradient_guard.in_a_row == i
    with pytest.raises(Diverged, match=f"{GIVE_UP} steps in a row"):
        loop.steps(1)


def test_only_a_row_of_bad_steps_ends_the_run() -> None:
    loop = Loop(parts())
    for _ in range(2):
        handle = poison(loop.net.head.weight, math.inf)
        loop.steps(GIVE_UP - 1)
        handle.remove()
        loop.steps(1)
    assert (
        loop.recipe.gradient_guard.skipped == 2 * (GIVE_UP - 1)
        and loop.recipe.gradient_guard.in_a_row == 0
    )


def test_the_count_of_bad_steps_survives_a_checkpoint() -> None:
    loop = Loop(parts())
    poison(loop.net.head.weight, math.inf)
    loop.steps(GIVE_UP - 1)
    resumed = Loop(parts(), checkpoint=loop.checkpoint())
    poison(resumed.net.head.weight, math.inf)
    with pytest.raises(Diverged):
        resumed.steps(1)

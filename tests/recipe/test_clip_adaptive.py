"""Tests of clip.

Layer, agc, percentile and zclip, which know the layers, the weights or the steps before.
"""

import math
from statistics import fmean, pvariance
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.parts import TASKS, Loop, made, parts, same, with_gradients
from upgate.generators import generator
from upgate.recipe.clip.base import Clip


def pushed(clip: Clip, length: float) -> float:
    """The length that a gradient of this length has after the clip."""
    (param,) = with_gradients(torch.tensor([0.6, -0.8], dtype=torch.float64) * length)
    clip([param], torch.tensor(length, dtype=torch.float64))
    assert param.grad is not None
    assert param.grad[0] * -0.8 == pytest.approx(
        float(param.grad[1]) * 0.6
    )  # shortened, not turned
    return float(param.grad.norm())


def stream(n: int, seed: int = 0) -> list[float]:
    """Lengths of gradients as a run has them: around 1, some much longer."""
    return (
        torch.randn(n, generator=generator(seed, "stream"), dtype=torch.float64)
        .mul(0.5)
        .exp()
        .tolist()
    )


def loop_with_gradients(*words: str, scale: float, task: str = "sentiment") -> Loop:
    """A loop whose parameters hold random gradients, as after a backward pass."""
    loop = Loop(parts(*words), task=task, num_layers=3)
    g = generator(0, "gradients")
    for p in loop.net.parameters():
        p.grad = scale * torch.randn(p.shape, generator=g)
    return loop


def clip_all(loop: Loop) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gradients by name before and after what stands between backward and step."""
    before, after = (
        {n: p.grad for n, p in loop.net.named_parameters() if p.grad is not None} for _ in range(2)
    )
    before = {n: g.clone() for n, g in before.items()}
    loop.learner.configure_gradient_clipping(loop.optimizer)
    return before, after


def by_layer(loop: Loop, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {id(p): n for n, p in loop.net.named_parameters()}
    layers = loop.learner.layers()
    return {
        layer: torch.cat([gradients[names[id(p)]].flatten() for p in m.parameters()]).double()
        for layer, m in layers
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("scale", [1e-3, 0.05, 1.0, 1e4])
@pytest.mark.parametrize("c", [0.25, 2.0])
def test_layer_bounds_each_and_so_the_whole(task: str, scale: float, c: float) -> None:
    loop = loop_with_gradients("clip=layer", f"clip.max_norm={c}", scale=scale, task=task)
    raw, clipped = (by_layer(loop, g) for g in clip_all(loop))
    assert math.hypot(*(float(g.norm()) for g in clipped.values())) <= c * (1 + 1e-6)
    own = c / math.sqrt(len(raw))
    numbers = loop.recipe.gradient_guard.clip.engagement()
    for name, g in raw.items():
        torch.testing.assert_close(
            clipped[name], g * min(1.0, own / (float(g.norm()) + 1e-6)), rtol=1e-5, atol=0
        )
        assert numbers[f"clipped_share/{name}"] == float(g.norm() > own)
        if g.norm() <= own:
            assert torch.equal(clipped[name], g)


def test_layer_lets_a_loud_layer_shorten_itself_alone() -> None:
    """The point of it: under clip=norm an exploding layer takes the others' steps away."""
    for word, untouched in (("clip=layer", True), ("clip=norm", False)):
        loop = loop_with_gradients(word, scale=1e-3)
        loud = loop.net.get_parameter("backbone.layers.1.forth.weight_hh_l0")
        assert loud.grad is not None
        loud.grad *= 1e6
        raw, clipped = (by_layer(loop, g) for g in clip_all(loop))
        assert float(clipped["lstm.1"].norm()) < 1
        assert all(torch.equal(clipped[n], raw[n]) == untouched for n in raw if n != "lstm.1")


@pytest.mark.parametrize("clip", ["layer", "agc", "value"])
@pytest.mark.parametrize("task", TASKS)
def test_a_clip_that_needs_one_layer_is_the_same_inside_the_backward_pass(
    clip: str, task: str
) -> None:
    strong = {
        "layer": "clip.max_norm=0.01",
        "agc": "clip.lam=0.001",
        "value": "clip.max_value=0.001",
    }[clip]
    joint, independent = (
        Loop(parts(f"clip={clip}", strong, f"layerwise={w}"), task=task)
        for w in ("joint", "independent")
    )
    assert joint.steps(5) == independent.steps(5) and same(joint.weights(), independent.weights())
    numbers = [loop.recipe.gradient_guard.clip.engagement() for loop in (joint, independent)]
    assert (
        numbers[0] == numbers[1]
        and joint.recipe.gradient_guard.clipped == independent.recipe.gradient_guard.clipped > 0
    )


def agc_by_hand(w: np.ndarray, g: np.ndarray, lam: float, eps: float) -> np.ndarray:
    rows = [(w, g)] if w.ndim == 1 else zip(w, g, strict=True)
    held = [r * min(1.0, lam * max(np.linalg.norm(v), eps) / np.linalg.norm(r)) for v, r in rows]
    return held[0] if w.ndim == 1 else np.stack(held)


def held_by_agc(w: Tensor, g: Tensor, **changed: float) -> Tensor:
    param = nn.Parameter(w.clone())
    param.grad = g.clone()
    made("clip", "agc", **changed)([param], g.norm())
    return param.grad


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    g = generator(0, "agc")
    return torch.randn(*shape, generator=g, dtype=torch.float64), 0.02 * torch.randn(
        *shape, generator=g, dtype=torch.float64
    )


@pytest.mark.parametrize("shape", [(40, 7), (40,)])
@pytest.mark.parametrize("lam", [1e-3, 0.01, 0.03])
def test_agc_holds_each_row_to_its_weights(shape: tuple[int, ...], lam: float) -> None:
    w, g = pair(*shape)
    held = held_by_agc(w, g, lam=lam)
    np.testing.assert_allclose(
        held.numpy(), agc_by_hand(w.numpy(), g.numpy(), lam, 1e-3), rtol=1e-12
    )
    if len(shape) == 2 and lam == 0.01:
        kept = (held == g).all(dim=1)
        assert (
            0 < int(kept.sum()) < 40
        )  # some rows each way; those within their bound stay bit for bit
        bound = lam * w.norm(dim=1)
        assert (held.norm(dim=1) <= bound * (1 + 1e-12)).all() and torch.equal(
            kept, g.norm(dim=1) <= bound
        )


@pytest.mark.parametrize("k", [1e-2, 0.5, 3.0, 1e3])
def test_agc_scales_with_the_weights(k: float) -> None:
    """(W, G) -> (kW, kG) gives k times the result, as long as no weight's row is below eps."""
    w, g = pair(40, 7)
    torch.testing.assert_close(held_by_agc(k * w, k * g), k * held_by_agc(w, g), rtol=1e-12, atol=0)


def test_agc_lets_weights_leave_zero_and_takes_gradients_of_zero() -> None:
    _, g = pair(40, 7)
    held = held_by_agc(torch.zeros(40, 7, dtype=torch.float64), g, lam=0.01, eps=1e-3)
    assert held.norm(dim=1).sub(1e-5).abs().max() < 1e-15
    assert torch.equal(held_by_agc(g, torch.zeros_like(g)), torch.zeros_like(g))


def test_agc_leaves_the_head_and_embeddings_alone_and_counts_rows() -> None:
    loop = loop_with_gradients("clip=agc", scale=1e3)
    raw, held = clip_all(loop)
    free = {n for n in raw if torch.equal(raw[n], held[n])}
    assert free == {n for n in raw if n.startswith(("head", "embedding"))} and len(free) == 3
    assert loop.recipe.gradient_guard.clip.engagement() == {"clipped_rows": 1.0}


@pytest.mark.parametrize("layerwise", ["joint", "local"])
def test_agc_holds_the_lstms_and_nothing_else(layerwise: str) -> None:
    """Neither the attention of the pooling nor auxiliary heads."""
    loop = Loop(
        parts("clip=agc", "clip.lam=1e-9", f"layerwise={layerwise}"),
        pooling="attention",
        bidirectional=True,
    )
    loop.steps(1)
    lstms = {id(p) for m in loop.net.modules() if isinstance(m, nn.LSTM) for p in m.parameters()}
    held = {
        id(p) for group in loop.optimizer.param_groups for p in group["params"]
    } - loop.recipe.gradient_guard.clip.unclipped
    assert held == lstms


def test_agc_shortens_a_gate_without_touching_the_others() -> None:
    loop = loop_with_gradients("clip=agc", scale=1e-6)
    matrix = loop.net.get_parameter("backbone.layers.0.forth.weight_hh_l0")
    assert matrix.grad is not None
    h = matrix.shape[1]
    matrix.grad[h : 2 * h] *= 1e9  # the forget gate
    raw, held = ({n: g for n, g in gs.items() if n.startswith("backbone")} for gs in clip_all(loop))
    assert {n for n in raw if not torch.equal(raw[n], held[n])} == {
        "backbone.layers.0.forth.weight_hh_l0"
    }
    rows = (
        raw["backbone.layers.0.forth.weight_hh_l0"] != held["backbone.layers.0.forth.weight_hh_l0"]
    ).any(dim=1)
    assert rows.nonzero().flatten().tolist() == list(range(h, 2 * h))


@pytest.mark.parametrize("quantile", [0.0, 0.1, 0.5, 0.9])
def test_percentile_is_the_quantile_of_all_norms_so_far(quantile: float) -> None:
    clip, seen = made("clip", "percentile", quantile=quantile), []
    for length in stream(200):
        seen.append(length)
        assert pushed(clip, length) == pytest.approx(
            min(length, np.quantile(seen, quantile)), rel=1e-5
        )
    assert clip.engagement()["clip_threshold"] == pytest.approx(np.quantile(seen, quantile))


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_percentile_clips_the_share_above_its_quantile(quantile: float) -> None:
    clip = made("clip", "percentile", quantile=quantile)
    share = sum(pushed(clip, length) < length * 0.99999 for length in stream(2000)) / 2000
    assert share == pytest.approx(1 - quantile, abs=0.03)


@pytest.mark.parametrize("name", ["percentile", "zclip"])
def test_a_stream_of_one_norm_is_left_alone(name: str) -> None:
    clip = made("clip", name)
    assert all(pushed(clip, 0.3) == pytest.approx(0.3, rel=1e-15) for _ in range(100))


def zclip_by_hand(lengths: list[float], alpha: float, z: float, warmup: int) -> list[float]:
    """The rule of the paper's code (mode zscore, adaptive scaling), which measures z with an eps of
    1e-6.
    """
    mean, var, kept = fmean(lengths[:warmup]), pvariance(lengths[:warmup]), lengths[:warmup]
    for length in lengths[warmup:]:
        score = (length - mean) / (var**0.5 + 1e-6)
        kept.append(mean + z * var**0.5 / (score / z) if score > z else length)
        mean = alpha * mean + (1 - alpha) * kept[-1]
        var = alpha * var + (1 - alpha) * (kept[-1] - mean) ** 2
    return kept


@pytest.mark.parametrize("knobs", [{}, {"alpha": 0.9, "z": 1.5, "warmup": 5}])
def test_zclip_is_the_papers(knobs: dict[str, Any]) -> None:
    lengths = [length * (100 if i % 50 == 49 else 1) for i, length in enumerate(stream(400))]
    clip = made("clip", "zclip", **knobs)
    kept = zclip_by_hand(lengths, **({"alpha": 0.97, "z": 2.5, "warmup": 25} | knobs))
    assert [pushed(clip, length) for length in lengths] == pytest.approx(kept, rel=1e-5)
    assert kept != lengths


def test_zclip_holds_a_spike_below_its_bound_and_forgets_it() -> None:
    clip, calm = made("clip", "zclip"), stream(100)
    for length in calm:
        pushed(clip, length)
    bound = clip.mean + 2.5 * math.sqrt(clip.variance)
    after = pushed(clip, 100 * fmean(calm))
    assert fmean(calm) * 0.5 < after < bound
    assert (
        clip.mean + 2.5 * math.sqrt(clip.variance) < bound * 1.01
    )  # the moments have seen what was left of it


def test_zclip_shortens_a_larger_spike_further() -> None:
    left = []
    for factor in (5.0, 20.0, 100.0):
        clip = made("clip", "zclip")
        for length in stream(60):
            pushed(clip, length)
        left.append(pushed(clip, factor * 2))
    assert left == sorted(left, reverse=True) and left[-1] == pytest.approx(clip.mean, rel=0.2)


def test_zclip_touches_nothing_in_its_warmup() -> None:
    clip = made("clip", "zclip", warmup=10)
    lengths = [*stream(9), 1e6]
    assert [pushed(clip, length) for length in lengths] == pytest.approx(lengths, rel=1e-15)


HISTORY = {
    "zclip": ("clip=zclip", "clip.warmup=3", "clip.z=0.5"),
    "percentile": ("clip=percentile",),
}


@pytest.mark.parametrize("name", HISTORY)
@pytest.mark.parametrize("cut", [2, 5])
def test_a_history_survives_a_checkpoint(name: str, cut: int) -> None:
    whole = Loop(parts(*HISTORY[name]))
    whole.steps(cut)
    resumed = Loop(parts(*HISTORY[name]), checkpoint=whole.checkpoint())
    assert whole.steps(10) == resumed.steps(10) and same(whole.weights(), resumed.weights())
    assert whole.recipe.gradient_guard.state_dict() == resumed.recipe.gradient_guard.state_dict()
    assert 0 < whole.recipe.engagement()["clipped_share"] < 1
    fresh = Loop(parts(*HISTORY[name]))
    fresh.learner.load_state_dict(whole.learner.state_dict())
    assert (
        fresh.recipe.gradient_guard.clip.state_dict()
        != whole.recipe.gradient_guard.clip.state_dict()
    )

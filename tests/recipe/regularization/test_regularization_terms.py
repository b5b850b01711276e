"""regularization: activation, label_smoothing and adversarial, each a term of the training loss."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.parts import TASKS, Loop, made, parts, texts
from upgate.recipe.regularization.adversarial import divergence, spread, unit

LENGTHS = torch.tensor([5, 1, 3])


def ragged() -> tuple[Tensor, Tensor]:
    """A sequence before and after masking, (3, 5, 4)."""
    g = torch.Generator().manual_seed(0)
    raw = torch.randn(3, 5, 4, generator=g)
    return raw, raw * torch.rand(3, 1, 4, generator=g).gt(0.5) * 2


def activation(raw: Tensor, dropped: Tensor, batch: dict[str, Tensor], **knobs: float) -> float:
    part = made("regularization", "activation", **knobs)
    part.h = {"raw": raw, "dropped": dropped}
    return float(part.loss_term(torch.zeros(()), torch.zeros(()), None, batch).detach())


def test_activation_is_its_closed_form_over_what_is_no_padding() -> None:
    raw, dropped = ragged()
    ar = [h for row, n in zip(dropped.numpy(), LENGTHS, strict=True) for h in row[:n].ravel()]
    tar = [
        d
        for row, n in zip(raw.numpy(), LENGTHS, strict=True)
        for d in np.diff(row[:n], axis=0).ravel()
    ]
    expected = 2 * np.mean(np.square(ar)) + np.mean(np.square(tar))
    assert activation(raw, dropped, {"lengths": LENGTHS}) == pytest.approx(expected, rel=1e-6)
    padded = [F.pad(h, (0, 0, 0, 3), value=100.0) for h in (raw, dropped)]
    assert activation(*padded, {"lengths": LENGTHS}) == pytest.approx(expected, rel=1e-6)
    whole = 2 * dropped.square().mean() + (raw[:, 1:] - raw[:, :-1]).square().mean()
    assert activation(raw, dropped, {}) == pytest.approx(float(whole), rel=1e-6)


def test_activation_of_zeros_is_0_and_a_constant_has_no_temporal_part() -> None:
    zeros, constant = torch.zeros(3, 5, 4), torch.randn(3, 1, 4).expand(3, 5, 4)
    assert activation(zeros, zeros, {"lengths": LENGTHS}) == 0
    assert activation(constant, constant, {"lengths": LENGTHS}, alpha=0.0) == 0
    assert activation(constant, constant, {"lengths": LENGTHS}, beta=0.0) > 0
    assert (
        activation(*ragged(), {"lengths": torch.ones(3, dtype=torch.int64)}, alpha=0.0) == 0
    )  # texts of one token


@pytest.mark.parametrize("task", TASKS)
def test_activation_takes_the_last_layers_sequence_before_and_after_its_mask(task: str) -> None:
    loop = Loop(
        parts("regularization=[activation,locked]"), task=task, num_layers=2, bidirectional=True
    )
    part, seen = loop.recipe.regularizers["activation"], {}
    taps = loop.net.activation_hooks["output"]
    taps.insert(0, lambda h: seen.setdefault("raw", h))
    taps.append(lambda h: seen.setdefault("dropped", h))
    data = loop.batch(0)
    loss = loop.learner.train().training_step(data, 0)
    assert not torch.equal(seen["raw"], seen["dropped"])
    task_loss, term = (
        float(loop.learner.train_loss.compute()),
        activation(seen["raw"], seen["dropped"], data),
    )
    assert float(loss.detach()) == pytest.approx(task_loss + term, rel=1e-6)
    assert loop.recipe.engagement()["activation_over_loss"] == pytest.approx(
        term / task_loss, rel=1e-6
    )
    assert not part.h  # no graph outlives its step


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_label_smoothing_is_the_cross_entropy_with_a_mixed_target(smoothing: float) -> None:
    loop = Loop(
        parts(
            "regularization=[label_smoothing]",
            f"regularization.label_smoothing.smoothing={smoothing}",
        ),
        task="sentiment",
    )
    data = texts(n=8)
    loss = loop.learner.train().training_step(data, 0)
    logits = loop.net(data)
    target = (1 - smoothing) * F.one_hot(data["y"], 2) + smoothing / 2
    torch.testing.assert_close(loss, -(target * logits.log_softmax(-1)).sum(-1).mean())
    torch.testing.assert_close(loss, F.cross_entropy(logits, data["y"], label_smoothing=smoothing))
    weights = list(loop.net.parameters())
    ours, theirs = (
        torch.autograd.grad(loss, weights),
        torch.autograd.grad(-(target * logits.log_softmax(-1)).sum(-1).mean(), weights),
    )
    torch.testing.assert_close(ours, theirs)
    assert float(loop.learner.train_loss.compute()) == pytest.approx(
        float(F.cross_entropy(logits, data["y"]).detach())
    )


def passes(loop: Loop, data: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
    """What the first layer's masks got in each pass of a training step, and the batch's spread."""
    seen: list[Tensor] = []
    taps = loop.net.activation_hooks["input"]
    taps.insert(1, lambda x: (seen.append(x.detach()), x)[1])
    loop.learner.train().training_step(data, 0)
    del taps[1]
    table = loop.net.embedding.weight.detach()
    return seen, table[data["x"][data["x"] != 0]].var(0, correction=0).add(1e-6).sqrt()


def adversary(*more: str, **knobs: Any) -> Loop:
    words = [f"regularization.adversarial.{key}={value}" for key, value in knobs.items()]
    names = ",".join(["adversarial", *(name for name in more if "=" not in name)])
    return Loop(
        parts(f"regularization=[{names}]", *words, *(w for w in more if "=" in w)), task="sentiment"
    )


@pytest.mark.parametrize("mode", ["plain", "virtual"])
@pytest.mark.parametrize(
    "others", [(), ("locked", "word", "embedding", "weight_drop")], ids=["alone", "masked"]
)
def test_the_perturbation_of_each_text_has_the_norm_asked_for_and_spares_padding(
    mode: str, others: tuple[str, ...]
) -> None:
    loop, data = adversary(*others, mode=mode, eps=0.3), texts(n=16)
    seen, std = passes(loop, data)
    assert len(seen) == {"plain": 2, "virtual": 3}[mode]
    r = (seen[-1] - seen[0]) / std
    norms = r.flatten(1).norm(dim=1)
    assert (r * (torch.arange(6) >= data["lengths"][:, None])[..., None] == 0).all()
    gradless = norms < 1e-6  # every unit that a text's gradient passes through may be masked
    assert gradless.float().mean() < 0.5
    torch.testing.assert_close(
        norms[~gradless], torch.full_like(norms[~gradless], 0.3), rtol=1e-4, atol=0
    )
    if mode == "virtual":
        torch.testing.assert_close(
            ((seen[1] - seen[0]) / std).flatten(1).norm(dim=1),
            torch.full((16,), 0.1),
            rtol=1e-4,
            atol=0,
        )


@pytest.mark.parametrize("mode", ["plain", "virtual"])
def test_the_loss_rises_on_more_than_95_percent_of_batches(mode: str) -> None:
    loop = adversary("locked", "optimizer=adam", "optimizer.lr=0.01", mode=mode, eps=0.5)
    loop.steps(100)
    numbers = loop.recipe.engagement()
    assert numbers["adversarial_raised"] > 0.95 and numbers["adversarial_gain"] > 0
    assert numbers["adversarial_over_loss"] > (1 if mode == "plain" else 0)


def test_the_gain_is_eps_times_the_gradients_norm_to_first_order() -> None:
    """And no direction of the same norm gains more."""
    eps, data = 1e-3, texts(n=16)
    loop = adversary(eps=eps).learner.double()
    x = loop.net.embedding.weight.detach()[data["x"]].requires_grad_()
    std = spread(x.detach(), (data["x"] != 0)[..., None])

    def losses(x: Tensor) -> Tensor:
        return F.cross_entropy(
            loop.net.head(loop.net.backbone.eval()(x, data["lengths"])), data["y"], reduction="none"
        )

    (g,) = torch.autograd.grad(losses(x).sum(), x)
    loop.train().training_step(data, 0)
    gain = loop.recipe.engagement()["adversarial_gain"]
    assert gain == pytest.approx(eps * float((g * std).flatten(1).norm(dim=1).mean()), rel=1e-2)
    for seed in range(20):
        d = unit(
            torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).double()
            * (data["x"] != 0)[..., None]
        )
        assert float((losses(x.detach() + eps * d * std) - losses(x)).mean().detach()) < gain


def test_the_virtual_direction_is_that_in_which_the_logits_turn() -> None:
    """Of two classes there is one such direction, up to its sign; labels take no part."""
    data = texts(n=16)
    ways = []
    for y in (data["y"], 1 - data["y"]):
        seen, std = passes(adversary(mode="virtual", eps=0.3), data | {"y": y})
        ways.append((seen[2] - seen[0]) / std)
    assert torch.equal(*ways)
    net = Loop(parts(), task="sentiment").net
    x = net.embedding.weight.detach()[data["x"]].requires_grad_()
    logits = net.head(net.backbone(x, data["lengths"]))
    (g,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), x)
    cosine = F.cosine_similarity((g * std).flatten(1), ways[0].flatten(1))
    assert (cosine.abs() > 0.98).all(), cosine


def test_the_virtual_guess_is_drawn_anew_at_each_step() -> None:
    loop, data = adversary(mode="virtual"), texts()
    guesses = [passes(loop, data)[0][:2] for _ in range(2)]
    assert not torch.equal(*(second - first for first, second in guesses))


def test_a_perturbation_of_nothing_gains_nothing_under_any_mask() -> None:
    """The passes of one step share their masks, and take no draw from them."""
    names = ("locked", "word", "embedding", "weight_drop", "dropout")
    loop, plain = (
        adversary(*names, eps=1e-7),
        Loop(parts(f"regularization=[{','.join(names)}]"), task="sentiment"),
    )
    for one in (loop, plain):
        one.learner.train().training_step(texts(n=8), 0)
    assert abs(loop.recipe.engagement()["adversarial_gain"]) < 1e-5
    for name in names:
        assert torch.equal(
            *(one.recipe.regularizers[name].generator.get_state() for one in (loop, plain))
        )


def test_embeddings_cannot_outgrow_the_perturbation() -> None:
    """Ten times the embeddings, read by a tenth of the weights: the same net, and the same gain."""
    gains = []
    for factor in (10.0, 100.0):
        loop = adversary(eps=0.5)
        with torch.no_grad():
            loop.net.embedding.weight *= factor
            loop.net.backbone.layers[0].forth.weight_ih_l0 /= factor
        loop.learner.train().training_step(texts(n=8), 0)
        gains.append(loop.recipe.engagement()["adversarial_gain"])
    assert gains[0] == pytest.approx(gains[1], rel=1e-3) and gains[0] > 0


def test_a_frozen_embedding_is_perturbed_too() -> None:
    loop = adversary(eps=0.5)
    loop.net.embedding.requires_grad_(False)
    seen, _ = passes(loop, texts(n=8))
    assert not torch.equal(*seen) and loop.recipe.engagement()["adversarial_gain"] > 0


def test_the_weight_of_a_term_is_its_factor() -> None:
    totals = [
        float(adversary(weight=w).learner.train().training_step(texts(), 0).detach())
        for w in (0.0, 1.0, 3.0)
    ]
    assert totals[2] - totals[0] == pytest.approx(3 * (totals[1] - totals[0]), rel=1e-4)


def test_divergence_is_kl_in_nats() -> None:
    p, q = torch.tensor([[0.2, 0.8], [0.5, 0.5]]), torch.tensor([[0.6, 0.4], [0.5, 0.5]])
    expected = (0.2 * math.log(0.2 / 0.6) + 0.8 * math.log(0.8 / 0.4)) / 2
    assert float(divergence(p.log(), q.log() + 7)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e30])
def test_a_unit_vector_has_norm_1_whatever_its_size_was_and_0_stays_0(size: float) -> None:
    d = unit(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) * size)
    torch.testing.assert_close(d.flatten(1).norm(dim=1), torch.full((3,), float(size > 0)))

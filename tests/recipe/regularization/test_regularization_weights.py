"""regularization: decay, weight_drop and embedding, which change the weights or read changed ones.

And all of them at once.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.parts import (
    TASKS,
    TOKENS_ONLY,
    VOCABULARY,
    Loop,
    made,
    needs_bf16,
    parts,
    same,
    texts,
)
from upgate.config.compose import choices, compose
from upgate.errors import UserError
from upgate.model.backbone import run_lstm
from upgate.recipe.regularization.base import keep_mask
from upgate.run.resolve import check_recipe

ALL = [name for name in choices("regularization") if name != "none"]
EVERY = {"sentiment": ALL, "stock": [name for name in ALL if name not in TOKENS_ONLY]}


def test_decay_is_its_closed_form_and_passes_over_what_is_exempt_or_frozen() -> None:
    """At each group's own rate."""
    a, b, bias, frozen = (
        nn.Parameter(torch.randn(20, 3, generator=torch.Generator().manual_seed(i)).double())
        for i in range(4)
    )
    frozen.requires_grad_(False)
    groups = [
        {"params": [a], "lr": 0.1, "no_decay": False},
        {"params": [b, frozen], "lr": 0.05, "no_decay": False},
        {"params": [bias], "lr": 0.1, "no_decay": True},
    ]
    before = [p.detach().clone() for p in (a, b, bias, frozen)]
    decay, optimizer = made("regularization", "decay", lam=0.7), torch.optim.SGD(groups, lr=1.0)
    for _ in range(30):
        decay.after_step(optimizer)
    torch.testing.assert_close(a.detach(), before[0] * (1 - 0.07) ** 30)
    torch.testing.assert_close(b.detach(), before[1] * (1 - 0.035) ** 30)
    assert torch.equal(bias, before[2]) and torch.equal(frozen, before[3])
    assert decay.engagement() == {"decay_share_per_step": pytest.approx((0.07 + 0.035) / 2)}


def test_l1_passes_over_what_is_frozen() -> None:
    w, frozen = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(3, 2), requires_grad=False)
    made("regularization", "l1", lam=0.5).after_step(
        torch.optim.SGD([{"params": [w, frozen], "lr": 1.0, "no_decay": False}], lr=1.0)
    )
    assert (w == 0.5).all() and (frozen == 1).all()


def test_adam_and_decay_is_adamw_but_for_the_order_within_a_step() -> None:
    lr, lam = 1e-3, 0.5
    ours = Loop(
        parts(
            "optimizer=adam",
            f"optimizer.lr={lr}",
            "regularization=[decay]",
            f"regularization.decay.lam={lam}",
        )
    )
    theirs = Loop(parts("optimizer=adamw", f"optimizer.lr={lr}", f"optimizer.weight_decay={lam}"))
    plain = Loop(parts("optimizer=adam", f"optimizer.lr={lr}"))
    for loop in (ours, theirs, plain):
        loop.steps(20)
    apart, moved = (
        max(float((w - other.weights()[n]).abs().max()) for n, w in ours.weights().items())
        for other in (theirs, plain)
    )
    assert apart < 20 * 2 * lr**2 * lam < moved


def test_two_decays_are_refused_and_one_is_not() -> None:
    words = ["recipe=traditional", "optimizer=adamw", "regularization=[decay]"]
    with pytest.raises(
        UserError,
        match=r"^regularization=decay and optimizer=adamw, weight_decay=0.01, "
        r".*optimizer.weight_decay=0 .*$",
    ) as told:
        check_recipe(compose(words))
    assert "\n" not in str(told.value)
    check_recipe(compose([*words, "optimizer.weight_decay=0"]))


def lstms(loop: Loop) -> list[nn.LSTM]:
    return [m for m in loop.net.modules() if isinstance(m, nn.LSTM)]


def masks(loop: Loop, p: float) -> list[Tensor]:
    """The masks of the next forward pass, in its order, which is that of the modules."""
    g = loop.recipe.regularizers["weight_drop"].generator.clone_state()
    return [keep_mask(lstm.weight_hh_l0, p, g) for lstm in lstms(loop)]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("both_ways", [False, True], ids=["forth", "both"])
def test_weight_drop_is_an_lstm_of_the_masked_weights_and_their_gradient_is_exactly_0(
    task: str, both_ways: bool
) -> None:
    """Of every layer and direction; its mask is one for the whole pass."""
    loop = Loop(
        parts("regularization=[weight_drop]"), task=task, num_layers=3, bidirectional=both_ways
    )
    reference = Loop(parts(), task=task, num_layers=3, bidirectional=both_ways)
    drawn = masks(loop, 0.5)
    for lstm, mask in zip(lstms(reference), drawn, strict=True):
        with torch.no_grad():
            lstm.weight_hh_l0 *= mask
    raw = loop.weights()
    losses = [one.learner.train().training_step(one.batch(0), 0) for one in (loop, reference)]
    assert torch.equal(*losses) and same(loop.weights(), raw)
    for loss in losses:
        loss.backward()
    for lstm, other, mask in zip(lstms(loop), lstms(reference), drawn, strict=True):
        assert set(mask.unique().tolist()) == {0.0, 2.0}
        grad, expected = lstm.weight_hh_l0.grad, other.weight_hh_l0.grad
        assert (grad[mask == 0] == 0).all() and (grad[mask != 0] != 0).all()
        torch.testing.assert_close(grad, expected * mask)
        torch.testing.assert_close(lstm.weight_ih_l0.grad, other.weight_ih_l0.grad)
    assert not any(torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    share = sum(float((mask == 0).float().mean()) for mask in drawn) / len(drawn)
    assert loop.recipe.engagement()["weight_drop_dropped"] == pytest.approx(share)


def test_weight_drop_masks_anew_at_each_step_and_evaluates_the_raw_weights() -> None:
    loop, plain = Loop(parts("regularization=[weight_drop]")), Loop(parts())
    first, second = (loop.net.train()(loop.batch(0)) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(loop.net.eval()(loop.batch(0)), plain.net.eval()(loop.batch(0)))


every_precision = pytest.mark.parametrize(
    "precision", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bf16)]
)


@every_precision
def test_weight_drop_keeps_the_fused_kernel(precision: torch.dtype) -> None:
    loop = Loop(parts("regularization=[weight_drop]"), bidirectional=True)
    lstm, x = lstms(loop)[0].train(), torch.randn(4, 6, 3)
    used = []
    for way in (run_lstm, loop.recipe.regularizers["weight_drop"].run):
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16),
            torch.profiler.profile() as profile,
        ):
            assert way(lstm, x).dtype == precision
        used.append(
            {
                event.key
                for event in profile.key_averages()
                if "lstm" in event.key or "rnn" in event.key
            }
        )
    assert used[0] == used[1] != set()


def test_embedding_drops_rows_as_a_masked_embedding_matrix_does() -> None:
    loop, reference = (
        Loop(parts(*w), task="sentiment")
        for w in (("regularization=[embedding]", "regularization.embedding.p=0.4"), ())
    )
    g = loop.recipe.regularizers["embedding"].generator.clone_state()
    mask = keep_mask(torch.zeros(VOCABULARY), 0.4, g)
    data, weight = texts(n=8), reference.net.embedding.weight
    seen: list[Tensor] = []
    loop.net.activation_hooks["input"].append(lambda x: (seen.append(x), x)[1])
    loss = loop.learner.train().training_step(data, 0)
    expected = F.embedding(data["x"], weight * mask[:, None])
    torch.testing.assert_close(seen[0], expected)
    assert 0 < int((mask == 0).sum()) < VOCABULARY
    reference.net.activation_hooks["input"].append(lambda x: expected)
    plain = reference.learner.train().training_step(data, 0)
    for one in (loss, plain):
        one.backward()
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(loop.net.embedding.weight.grad[1:], weight.grad[1:])
    assert (loop.net.embedding.weight.grad[mask == 0] == 0).all()
    words = data["x"] != 0
    share = float((mask == 0)[data["x"]][words].double().mean())
    assert loop.recipe.engagement()["embedding_dropped"] == pytest.approx(share)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_embedding_drops_the_share_it_should_of_the_vocabulary_and_scales_the_rest(
    p: float,
) -> None:
    part, n, batches = made("regularization", "embedding", p=p), 1000, 50
    part.generator = torch.Generator().manual_seed(0)
    table = nn.Embedding.from_pretrained(torch.ones(n, 2))
    tokens = torch.arange(n)[None]
    kept = torch.stack(
        [part.drop(table.train(), (tokens,), table(tokens))[0] for _ in range(batches)]
    )  # (batches, n, 2)
    assert set(np.round(kept.unique().tolist(), 5)) == {0.0, round(1 / (1 - p), 5)}
    gone = (kept[..., 0] == 0).double()
    assert float(gone.mean()) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / gone.numel()))
    assert torch.equal(kept[..., 0], kept[..., 1]) and not torch.equal(kept[0], kept[1])
    assert torch.equal(part.drop(table.eval(), (tokens,), table(tokens)), table(tokens))


@pytest.mark.parametrize("task", TASKS)
@every_precision
def test_all_at_once_train_and_go_on_from_a_checkpoint_bit_for_bit(
    task: str, precision: torch.dtype
) -> None:
    recipe = parts(f"regularization=[{','.join(EVERY[task])}]")

    def steps(loop: Loop) -> list[float]:
        """Under a context of their own each, as Lightning does it.

        Autocast keeps its casts of the weights until it ends.
        """
        losses = []
        for _ in range(3):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
                losses += loop.steps(1)
        return losses

    whole = Loop(recipe, task=task, bidirectional=True)
    assert all(map(math.isfinite, steps(whole)))
    resumed = Loop(recipe, task=task, checkpoint=whole.checkpoint(), bidirectional=True)
    assert steps(whole) == steps(resumed)
    assert same(whole.weights(), resumed.weights())
    assert whole.recipe.engagement() == resumed.recipe.engagement()


@pytest.mark.parametrize("task", TASKS)
def test_all_at_once_step_in_the_backward_pass_as_they_do_after_it(task: str) -> None:
    words = (f"regularization=[{','.join(EVERY[task])}]", "optimizer=rmsprop")
    joint, independent = (
        Loop(parts(*words, f"layerwise={name}"), task=task) for name in ("joint", "independent")
    )
    assert joint.steps(5) == independent.steps(5)
    assert same(joint.weights(), independent.weights())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", [name for name in ALL if name not in ("l1", "l2", "decay")])
def test_the_curves_loss_is_the_plain_one_of_the_step_itself(task: str, name: str) -> None:
    """The loss of the curve is that of this forward pass, whatever is differentiated."""
    if name not in EVERY[task]:
        return
    loop = Loop(parts(f"regularization=[{name}]"), task=task)
    outputs: list[Tensor] = []
    loop.net.register_forward_hook(lambda module, inputs, output: outputs.append(output.detach()))
    loop.step(loop.batch(0))
    assert float(loop.learner.train_loss.compute()) == pytest.approx(
        float(loop.learner.loss(outputs[0], loop.batch(0)))
    )

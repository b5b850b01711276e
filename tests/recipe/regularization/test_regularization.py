"""Tests of regularization.

Closed forms of the penalties, what a dropout keeps, and that nobody else notices.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from helpers.parts import (
    TASKS,
    TOKENS_ONLY,
    Loop,
    batch,
    knobs,
    made,
    needs_bf16,
    parts,
    same,
    texts,
    word,
)
from upgate.config.compose import choices
from upgate.recipe.param_groups import ParamGroup, penalized_weights
from upgate.recipe.regularization.base import Regularizer, keep_mask
from upgate.recipe.regularization.penalties import exact_zeros

EVERY = [name for name in choices("regularization") if name != "none"]
DROPS = [
    (t, name)
    for name in EVERY
    if "p" in knobs("regularization", name)
    for t in TASKS
    if t == "sentiment" or name not in TOKENS_ONLY
]


def sgd(lr: float, *weights: nn.Parameter, exempt: bool = False) -> torch.optim.SGD:
    return torch.optim.SGD([{"params": list(weights), "no_decay": exempt}], lr=lr)


def shrink(regularizer: Regularizer, w: nn.Parameter, lr: float, steps: int) -> Tensor:
    """Steps on a gradient of 0."""
    optimizer = sgd(lr, w)
    for _ in range(steps):
        w.grad = torch.zeros_like(w)
        optimizer.step()
        regularizer.after_step(optimizer)
    return w.detach()


@pytest.mark.parametrize("w", [1.0, -0.37, 0.05, 1e-5])
def test_l1_reaches_exactly_0_after_the_steps_it_should_take(w: float) -> None:
    lr, lam = 0.1, 0.07
    n = math.ceil(abs(w) / (lr * lam))
    param = nn.Parameter(torch.full((3, 2), w, dtype=torch.float64))
    left = shrink(made("regularization", "l1", lam=lam), param, lr, n - 1)
    torch.testing.assert_close(
        left, torch.full_like(left, math.copysign(abs(w) - (n - 1) * lr * lam, w))
    )
    assert (left != 0).all()
    assert (shrink(made("regularization", "l1", lam=lam), param, lr, 1) == 0).all()
    assert exact_zeros([param]) == 1.0
    assert (shrink(made("regularization", "l1", lam=lam), param, lr, 3) == 0).all()


def test_l1_is_the_proximal_map_at_each_groups_own_rate() -> None:
    a, b, c = (
        nn.Parameter(torch.randn(50, 4, generator=torch.Generator().manual_seed(i)))
        for i in range(3)
    )
    groups = [
        {"params": [p], "lr": lr, "no_decay": e}
        for p, lr, e in ((a, 1.0, False), (b, 0.5, False), (c, 1.0, True))
    ]
    before = [p.detach().clone() for p in (a, b, c)]
    made("regularization", "l1", lam=0.4).after_step(torch.optim.SGD(groups, lr=1.0))
    for p, old, threshold in zip((a, b, c), before, (0.4, 0.2, 0.0), strict=True):
        torch.testing.assert_close(p.detach(), old.sign() * (old.abs() - threshold).clamp_min(0))
    assert torch.equal(c, before[2])
    assert exact_zeros([a]) == pytest.approx(float((before[0].abs() <= 0.4).float().mean()))


def test_l1_makes_exact_zeros_where_a_subgradient_would_not() -> None:
    loop = Loop(parts("regularization=[l1]", "regularization.l1.lam=0.05", "optimizer.lr=0.1"))
    loop.steps(20)
    assert 0.1 < loop.recipe.engagement()["exact_zeros"] < 1.0
    assert all((p != 0).all() for p in loop.net.parameters() if p.ndim < 2)


def test_the_gradient_of_l2_is_its_closed_form_and_biases_are_exempt() -> None:
    lam = 0.3
    plain, loop = Loop(parts()), Loop(parts("regularization=[l2]", f"regularization.l2.lam={lam}"))
    grads = []
    for one in (plain, loop):
        one.learner.training_step(batch(), 0).backward()
        grads.append({n: p.grad for n, p in one.net.named_parameters()})
    for name, p in plain.net.named_parameters():
        torch.testing.assert_close(
            grads[1][name], grads[0][name] + (lam * p.detach() if p.ndim >= 2 else 0)
        )


def test_the_penalty_is_half_lam_the_squared_norm_and_its_share_is_reported() -> None:
    loop = Loop(parts("regularization=[l2]", "regularization.l2.lam=0.3"))
    size = sum(
        float(p.detach().double().square().sum()) for p in loop.net.parameters() if p.ndim >= 2
    )
    loss = float(loop.learner.loss(loop.net(batch(0)), batch(0)).detach())
    assert loop.step(batch(0)) == pytest.approx(loss + 0.15 * size, rel=1e-6)
    assert loop.recipe.engagement()["penalty_over_loss"] == pytest.approx(
        0.15 * size / loss, rel=1e-6
    )
    assert float(loop.learner.train_loss.compute()) == pytest.approx(
        loss
    )  # the curve's loss is without it


def test_l2_is_sgds_weight_decay() -> None:
    lam, lr = 0.3, 0.1
    ours = Loop(parts("regularization=[l2]", f"regularization.l2.lam={lam}", f"optimizer.lr={lr}"))
    theirs = Loop(parts(f"optimizer.lr={lr}"))
    for group in theirs.optimizer.param_groups:
        group["weight_decay"] = 0.0 if group["no_decay"] else lam
    ours.steps(20)
    theirs.steps(20)
    torch.testing.assert_close(ours.weights(), theirs.weights(), rtol=1e-5, atol=1e-6)


def test_under_adam_l2_is_not_weight_decay() -> None:
    """Two weights of 1, one with large gradients that cancel, one with small.

    Adam + L2 shrinks only the second, AdamW both alike.
    """
    lr, lam, steps = 1e-2, 0.1, 200
    left = {}
    for name, decay in (("adam", {}), ("adamw", {"weight_decay": lam})):
        w = nn.Parameter(torch.ones(2, 1, dtype=torch.float64))
        optimizer = made("optimizer", name, lr=lr, **decay)(
            [ParamGroup([w], "all", no_decay=False, lr_scale=1.0)]
        )
        penalty = made("regularization", "l2", lam=0.0 if decay else lam)
        for t in range(steps):
            optimizer.zero_grad()
            noise = (-1) ** t * (w * torch.tensor([[100.0], [1e-3]])).sum()
            (noise + penalty.penalty([w])).backward()
            optimizer.step()
        left[name] = w.detach().flatten().tolist()
    assert left["adamw"] == pytest.approx(
        [(1 - lr * lam) ** steps] * 2, abs=0.02
    )  # the noise does not cancel in the first steps
    assert left["adamw"][0] == pytest.approx(left["adamw"][1], rel=1e-5)
    assert left["adam"][0] > 0.95 and left["adam"][1] < 0.1, left


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_a_dropout_mask_keeps_the_mean(p: float) -> None:
    n = 400_000
    mask = keep_mask(torch.zeros(n // 100, 100), p, torch.Generator().manual_seed(0))
    kept = 1 / (1 - p)
    assert set(mask.unique().tolist()) <= {0.0, torch.tensor(kept).item()}
    assert float((mask == 0).double().mean()) == pytest.approx(
        p, abs=4 * math.sqrt(p * (1 - p) / n)
    )
    assert float(mask.double().mean()) == pytest.approx(
        1.0, abs=4 * math.sqrt(p / (1 - p) / n) + 1e-7
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_dropout_mask_has_the_activations_type_and_the_same_draws(dtype: torch.dtype) -> None:
    mask, reference = (
        keep_mask(torch.zeros(9, 7, dtype=t), 0.5, torch.Generator().manual_seed(3))
        for t in (dtype, torch.float32)
    )
    assert mask.dtype == dtype and torch.equal(mask.float(), reference)


def test_dropout_stands_between_layers_and_before_the_head_in_training_only() -> None:
    loop = Loop(parts("regularization=[dropout]", "regularization.dropout.p=0.5"), num_layers=3)
    seen: list[Tensor] = []
    for place in ("between", "head"):
        loop.net.activation_hooks[place].append(lambda h: (seen.append(h), h)[1])
    loop.net.train()(batch(n=8))
    assert [h.shape for h in seen] == [
        (8, 6, 5),
        (8, 6, 5),
        (8, 5),
    ]  # two gaps between three layers; the head
    assert all(0.2 < float((h == 0).float().mean()) < 0.8 for h in seen)
    assert not torch.equal(seen[0] == 0, seen[1] == 0) and not torch.equal(
        seen[0][:, 0] == 0, seen[0][:, 1] == 0
    )
    loop.net.eval()(batch(n=8))
    assert len(seen) == 3


@pytest.mark.parametrize(("task", "name"), DROPS)
def test_dropping_nothing_is_nothing_bit_for_bit(task: str, name: str) -> None:
    words = (word("regularization", name), f"regularization.{name}.p=0")
    plain, none, some = (Loop(parts(*w), task=task, num_layers=2) for w in ((), words, words[:1]))
    assert plain.steps(5) == none.steps(5) != some.steps(5)
    assert same(plain.weights(), none.weights())


def through(loop: Loop, data: dict[str, Tensor]) -> list[tuple[str, Tensor, Tensor]]:
    """Position, activations before its hooks, and after, of one forward pass in training."""
    seen: list[tuple[str, Tensor, Tensor]] = []
    for place, taps in loop.net.activation_hooks.items():
        before: list[Tensor] = []
        taps.insert(0, lambda h, before=before: (before.append(h), h)[1])
        taps.append(
            lambda h, place=place, before=before: (seen.append((place, before[-1], h)), h)[1]
        )
    loop.net.train()(data)
    return seen


@pytest.mark.parametrize(
    ("task", "places"),
    [
        ("stock", ["between"] * 2 + ["output"]),
        ("sentiment", ["input"] + ["between"] * 2 + ["output"]),
    ],
)
@pytest.mark.parametrize("both_ways", [False, True], ids=["forth", "both"])
def test_locked_draws_one_mask_for_all_time_steps_of_a_sequence(
    task: str, places: list[str], both_ways: bool
) -> None:
    """On learned activations.

    The features of prices, the tokens themselves and the pooled state pass as they are.
    """
    loop = Loop(
        parts("regularization=[locked]", "regularization.locked.p=0.25"),
        task=task,
        num_layers=3,
        bidirectional=both_ways,
    )
    data = loop.batch(n=32)
    changed = [
        (place, h / x)
        for place, x, h in through(loop, data | {"x": data["x"].clamp_min(1)})
        if not torch.equal(x, h)
    ]
    assert [place for place, _ in changed] == places
    for _, mask in changed:  # (B, T, D)
        torch.testing.assert_close(mask, torch.where(mask == 0, 0, 1 / 0.75))
        assert torch.equal(mask == 0, (mask[:, :1] == 0).expand_as(mask))
        assert len(torch.unique(mask[:, 0] == 0, dim=0)) > 8  # sequences differ
        assert 0.15 < float((mask[:, 0] == 0).float().mean()) < 0.35
    assert not torch.equal(*(mask for place, mask in changed if place == "between"))


def test_more_padding_changes_nothing_under_locked() -> None:
    """Its masks do not depend on how long the longest text of a batch is."""
    losses = []
    for padding in (0, 5):
        loop = Loop(
            parts("regularization=[locked]"),
            task="sentiment",
            num_layers=2,
            bidirectional=True,
            pooling="concat",
        )
        losses.append(
            [
                loop.step(d | {"x": nn.functional.pad(d["x"], (0, padding))})
                for d in map(texts, range(5))
            ]
        )
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def dropped(data: dict[str, Tensor], p: float) -> Tensor:
    """The tokens of one training batch as they come out of word dropout."""
    loop, seen = (
        Loop(parts("regularization=[word]", f"regularization.word.p={p}"), task="sentiment"),
        [],
    )
    loop.net.activation_hooks["tokens"].append(lambda tokens: (seen.append(tokens), tokens)[1])
    loop.net.train()(data)
    return seen[0]


@pytest.mark.parametrize("p", [0.0, 0.2, 0.7])
def test_word_drops_each_occurrence_on_its_own_and_leaves_the_others_as_they_are(p: float) -> None:
    n, length = 200, 100
    data = {
        "x": torch.full((n, length), 3),
        "lengths": torch.full((n,), length),
        "y": torch.zeros(n, dtype=torch.int64),
    }
    tokens = dropped(data, p)
    assert tokens.dtype == torch.int64 and set(tokens.unique().tolist()) <= {0, 3}
    gone = (tokens == 0).double()
    assert float(gone.mean()) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / gone.numel()))
    for share in (
        gone.mean(0),
        gone.mean(1),
    ):  # over texts and over time alike: neither is dropped as a whole
        assert float(share.std()) == pytest.approx(
            math.sqrt(p * (1 - p) / (gone.numel() / len(share))), rel=0.35
        )


def test_word_is_a_zero_in_the_place_of_the_tokens_vector() -> None:
    data = texts(n=8)
    tokens = dropped(data, 0.5)
    net = Loop(parts(), task="sentiment").net
    net.activation_hooks["input"].append(lambda x: x * (tokens != 0)[..., None])
    assert torch.equal(net.train()(data), net(data | {"x": tokens}))
    assert (tokens != data["x"]).any() and ((tokens == data["x"]) | (tokens == 0)).all()


def test_parts_that_draw_shift_no_draw_of_each_other() -> None:
    names = [name for name in EVERY if ("sentiment", name) in DROPS]
    together = Loop(parts(f"regularization=[{','.join(names)}]"), task="sentiment")
    together.steps(3)
    for name in names:
        alone = Loop(parts(word("regularization", name)), task="sentiment")
        alone.steps(3)
        assert torch.equal(
            *(loop.recipe.regularizers[name].generator.get_state() for loop in (alone, together))
        )


def test_dropout_draws_from_its_own_stream() -> None:
    """Each run of a seed alike; other seeds, other masks.

    Neither other parts nor the global generator count.
    """
    words = ("regularization=[dropout]",)
    first = Loop(parts(*words)).steps(3)
    torch.rand(5)
    assert Loop(parts(*words)).steps(3) == first
    streams = [
        loop.recipe.regularizers["dropout"].generator
        for loop in (Loop(parts(*words)), Loop(parts(*words), seed=1))
    ]
    assert not torch.equal(*(keep_mask(torch.zeros(50), 0.5, g) for g in streams))
    beside = Loop(
        parts(
            "regularization=[dropout,l1,l2]",
            "regularization.l1.lam=0",
            "regularization.l2.lam=0",
            "init=he",
        )
    )
    alone = Loop(parts(*words))
    beside.steps(3)
    alone.steps(3)
    after = [loop.recipe.regularizers["dropout"].generator.get_state() for loop in (alone, beside)]
    assert torch.equal(*after)


@needs_bf16
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", EVERY)
def test_under_bf16_every_part_trains(task: str, name: str) -> None:
    if task == "stock" and name in TOKENS_ONLY:
        return
    loop = Loop(parts(word("regularization", name)), task=task, bidirectional=True, pooling="max")
    start = loop.weights()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(math.isfinite(loss) for loss in loop.steps(3))
        assert loop.net.train()(loop.batch(0)).dtype == torch.float32
    assert all(
        w.dtype == torch.float32 and not torch.equal(w, start[n]) for n, w in loop.weights().items()
    )


def test_what_penalties_touch() -> None:
    net = nn.ModuleDict(
        {
            "embedding": nn.Embedding(5, 3),
            "lstm": nn.LSTM(3, 4),
            "norm": nn.LayerNorm(4),
            "head": nn.Linear(4, 1),
        }
    )
    touched = {id(p) for p in penalized_weights(net)}
    assert {n for n, p in net.named_parameters() if id(p) in touched} == {
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "head.weight",
    }


PENALTIES = (
    ("regularization=[l1]", "regularization.l1.lam=1000"),
    ("regularization=[l2]", "regularization.l2.lam=1000"),
    ("regularization=[decay]", "regularization.decay.lam=100"),
    ("optimizer=adamw", "optimizer.weight_decay=1000"),
)


@pytest.mark.parametrize("words", PENALTIES, ids=["l1", "l2", "decay", "adamw"])
def test_penalties_and_decay_leave_embeddings_and_biases_alone(words: tuple[str, ...]) -> None:
    """One step of a penalty that drowns the loss.

    What is exempt moves as it does without it, what is not moves otherwise.
    """
    rate = ("optimizer=adamw", "optimizer.weight_decay=0") if "optimizer=adamw" in words else ()
    plain, loop = (
        Loop(parts(*w, "optimizer.lr=0.001"), task="sentiment", num_layers=2) for w in (rate, words)
    )
    plain.steps(1)
    loop.steps(1)
    exempt = {n for n, w in loop.weights().items() if w.ndim < 2 or "embedding" in n}
    assert {n for n, w in loop.weights().items() if torch.equal(w, plain.weights()[n])} == exempt
    assert {n.split(".")[0] for n in exempt} == {"embedding", "backbone", "head"}

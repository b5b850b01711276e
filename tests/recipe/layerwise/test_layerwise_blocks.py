"""Tests of layerwise.

What is frozen does not move, what is not moves as it would with joint, and every block has its
turn.
"""

from collections import Counter
from functools import cache
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from helpers.parts import TASKS, Loop, learner, parts, same
from upgate.config.compose import choices
from upgate.errors import UserError
from upgate.run.train import quiet

L = 3  # LSTM layers
WINDOWS = ("cyclic", "random_blocks")
SUBSETS = ("unfreeze", "chain_thaw", *WINDOWS, "greedy")
ALL_ON = {
    "unfreeze": ("layerwise.share=0",),
    "chain_thaw": ("layerwise.share=0",),
    **dict.fromkeys(WINDOWS, (f"layerwise.active={L}", "layerwise.steps=2")),
    "greedy": (f"layerwise.active={L}",),
    "gauss_seidel": ("layerwise.blocks=1",),
}
OTHERS = ("clip=norm", "regularization=[dropout,l2]", "averaging=ema")


def fits(*words: str) -> bool:
    try:
        return bool(parts(*words))
    except UserError:
        return False


def loop_of(
    name: str, *words: str, total: int = 20, task: str = "stock", layers: int = L, **model: Any
) -> Loop:
    return Loop(
        parts(f"layerwise={name}", f"model.num_layers={layers}", *words),
        total=total,
        task=task,
        num_layers=layers,
        **model,
    )


def block(parameter: str) -> str:
    """The block of a parameter by its name; an embedding goes with the lowest."""
    if "layers." in parameter:
        return f"lstm.{parameter.split('layers.')[1][0]}"
    return "lstm.0" if "embedding" in parameter else "head"


def moved(loop: Loop, n: int = 1) -> list[set[str]]:
    """The blocks that moved in each of n steps.

    Raises unless a block moves in all its parameters or in none.
    """
    found = []
    for _ in range(n):
        before = loop.weights()
        loop.steps(1)
        now = {name: not torch.equal(before[name], w) for name, w in loop.weights().items()}
        blocks = {block(name) for name, yes in now.items() if yes}
        assert all(yes for name, yes in now.items() if block(name) in blocks), now
        found.append(blocks)
    return found


EVERY = [
    (one, name)
    for one in choices("optimizer")
    for name in ALL_ON
    if fits(f"optimizer={one}", f"layerwise={name}")
]


@pytest.mark.parametrize(("optimizer", "name"), EVERY, ids=[f"{one} {name}" for one, name in EVERY])
def test_with_all_blocks_on_it_is_joint_bit_for_bit(optimizer: str, name: str) -> None:
    words = (
        f"optimizer={optimizer}",
        *(OTHERS if optimizer not in ("schedule_free", "nt_asgd") else ()),
    )
    own = loop_of(name, *ALL_ON[name], *words)
    losses, weights = five_joint_steps(words)
    assert own.steps(5) == losses
    assert same(own.weights(), weights)


@cache
def five_joint_steps(words: tuple[str, ...]) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and weights: what the updates of every name must give."""
    joint = Loop(parts(*words), num_layers=L)
    return joint.steps(5), joint.weights()


@pytest.mark.parametrize("name", ALL_ON)
def test_with_all_blocks_on_it_is_joint_for_texts_too(name: str) -> None:
    words, shape = (
        ("optimizer=adamw", "regularization=[locked,l1]"),
        {"bidirectional": True, "pooling": "attention"},
    )
    joint, own = (
        Loop(parts(*words), task="sentiment", num_layers=L, **shape),
        loop_of(name, *ALL_ON[name], *words, task="sentiment", **shape),
    )
    assert joint.steps(8) == own.steps(8)
    assert same(joint.weights(), own.weights())


MOVERS = [one for one in choices("optimizer") if fits(f"optimizer={one}", "layerwise=cyclic")]


@pytest.mark.parametrize("optimizer", MOVERS)
@pytest.mark.parametrize("task", TASKS)
def test_cyclic_moves_a_block_and_the_head_and_nothing_else(optimizer: str, task: str) -> None:
    """From the top down, K steps each.

    Neither momentum nor decay, l1, or a penalty moves what is frozen.
    """
    shrinks = (
        "regularization=[l1,l2]"
        if fits(f"optimizer={optimizer}", "regularization=[l1]")
        else "regularization=[l2]"
    )
    loop = loop_of("cyclic", "layerwise.steps=2", f"optimizer={optimizer}", shrinks, task=task)
    windows = [{f"lstm.{i}", "head"} for i in (2, 1, 0, 2) for _ in range(2)]
    if task == "stock":
        assert moved(loop, 8) == windows
        return
    for window in windows:  # of an embedding only the batch's rows move
        before = loop.weights()
        loop.steps(1)
        assert {
            block(n) for n, w in loop.weights().items() if not torch.equal(before[n], w)
        } == window


def test_a_decay_passes_over_what_is_frozen() -> None:
    loop = loop_of(
        "cyclic",
        "layerwise.steps=3",
        "optimizer=momentum",
        "regularization=[decay]",
        "regularization.decay.lam=10",
    )
    assert moved(loop, 9) == [{f"lstm.{i}", "head"} for i in (2, 1, 0) for _ in range(3)]


@pytest.mark.parametrize("active", [1, 2, 3])
def test_cyclic_visits_each_block_equally_often_within_1(active: int) -> None:
    loop = loop_of("cyclic", "layerwise.steps=1", f"layerwise.active={active}")
    visits: Counter[str] = Counter()
    for i, blocks in enumerate(moved(loop, 10)):
        assert len(blocks) == active + 1
        visits.update(blocks - {"head"})
        each = [visits[f"lstm.{k}"] for k in range(L)]
        assert max(each) - min(each) <= 1, i
    assert loop.recipe.engagement()["active_share/lstm.1"] == visits["lstm.1"] / 10
    assert loop.recipe.engagement()["active_share/head"] == 1.0


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "momentum", "muon"])
def test_cyclic_clears_the_state_of_a_block_whose_window_ends(optimizer: str) -> None:
    """A block's second window starts as a new optimizer would.

    Its first step is the one that a fresh one takes.
    """
    loop = loop_of("cyclic", "layerwise.steps=2", f"optimizer={optimizer}")
    loop.steps(6)
    fresh = Loop(loop.learner.hparams["spec"]["recipe"], num_layers=L)
    fresh.net.load_state_dict(loop.net.state_dict())
    for one in (loop, fresh):
        one.step(loop.batch(6))
    top = {n for n in loop.weights() if block(n) == "lstm.2"}
    ours, theirs = loop.weights(), fresh.weights()
    assert all(torch.equal(ours[n], theirs[n]) for n in top)
    kept = {n for n in ours if not torch.equal(ours[n], theirs[n])}
    assert {block(n) for n in kept} == {"head"}  # whose state went on


def test_unfreeze_goes_down_from_the_head() -> None:
    on = [
        {"head"},
        {"head", "lstm.2"},
        {"head", "lstm.2", "lstm.1"},
        {"head", "lstm.2", "lstm.1", "lstm.0"},
    ]
    assert (
        moved(loop_of("unfreeze"), 10) == [one for one in on for _ in range(2)] + [on[-1]] * 2
    )  # .1 of 20 steps


def test_chain_thaw_takes_each_by_itself_and_then_all() -> None:
    one = [{"head"}, {"lstm.0"}, {"lstm.1"}, {"lstm.2"}]
    assert (
        moved(loop_of("chain_thaw", "optimizer=adamw"), 12)
        == [s for s in one for _ in range(2)] + [set().union(*one)] * 4
    )


def test_random_blocks_draws_evenly_by_the_runs_seed() -> None:
    draws = [
        moved(
            Loop(parts("layerwise=random_blocks", "layerwise.steps=1"), num_layers=L, seed=seed), 60
        )
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    counts = Counter(b for blocks in draws[0] for b in blocks)
    assert counts["head"] == 60 and all(
        abs(counts[f"lstm.{i}"] - 20) < 4 * (60 * 2 / 9) ** 0.5 for i in range(L)
    )
    window = moved(loop_of("random_blocks", "layerwise.steps=5", "layerwise.active=2"), 20)
    assert all(len(blocks) == 3 for blocks in window)
    assert (
        all(window[i] == window[i - i % 5] for i in range(20))
        and len({frozenset(b) for b in window}) > 1
    )


def test_greedy_takes_the_block_of_the_largest_gradient() -> None:
    loop, chosen = loop_of("greedy", "optimizer=adam"), set()
    for i in range(6):
        plain = Loop(parts(), num_layers=L)
        plain.net.load_state_dict(loop.net.state_dict())
        plain.learner.training_step(loop.batch(i), 0).backward()
        squares: Counter[str] = Counter()
        for name, p in plain.net.named_parameters():
            assert p.grad is not None
            squares[block(name)] += float(p.grad.double().square().sum())
        del squares["head"]
        (blocks,) = moved(loop)
        assert blocks == {"head", squares.most_common(1)[0][0]}
        chosen |= blocks
    shares = [loop.recipe.engagement()[f"active_share/lstm.{i}"] for i in range(L)]
    assert sum(shares) == pytest.approx(1.0)


@pytest.mark.parametrize("name", SUBSETS)
@pytest.mark.parametrize("task", TASKS)
def test_every_block_has_moved_when_a_cycle_is_over(name: str, task: str) -> None:
    loop = loop_of(name, *(("layerwise.steps=1",) if name in WINDOWS else ()), total=40, task=task)
    start = loop.weights()
    loop.steps(40)
    if name != "greedy":  # which may have no use for one
        assert not any(torch.equal(start[n], w) for n, w in loop.weights().items())


@pytest.mark.parametrize("name", [*WINDOWS, "greedy"])
def test_results_change_with_the_number_of_active_blocks(name: str) -> None:
    results = []
    for active in (1, 2, 3):
        loop = loop_of(name, f"layerwise.active={active}")
        loop.steps(8)
        results.append(loop.weights())
    assert (
        not same(results[0], results[1])
        and not same(results[1], results[2])
        and not same(results[0], results[2])
    )


@pytest.mark.parametrize("name", ["unfreeze", "cyclic", "random_blocks"])
def test_backward_stops_below_the_lowest_block_on(name: str) -> None:
    """What leaves a frozen lower part asks for no gradient.

    Nothing below is kept for a backward pass.
    """
    loop, asks = loop_of(name, *(("layerwise.steps=2",) if name == "cyclic" else ())), []

    def see(h: Tensor) -> Tensor:
        asks.append(h.requires_grad)
        return h

    loop.net.activation_hooks["between"].append(see)
    for _ in range(8):
        asks.clear()
        on = moved(loop)[0]
        lowest = min((int(b[-1]) for b in on - {"head"}), default=L)
        assert asks == [i >= lowest for i in range(L - 1)]


@pytest.mark.parametrize("name", [*SUBSETS, "gauss_seidel"])
@pytest.mark.parametrize(
    ("task", "optimizer"), [("stock", "adam"), ("stock", "adagrad"), ("sentiment", "adamw")]
)
@pytest.mark.parametrize("at", [3, 5])
def test_a_run_goes_on_in_the_middle_of_a_window(
    name: str, task: str, optimizer: str, at: int
) -> None:
    recipe = parts(
        f"layerwise={name}",
        *(("layerwise.steps=3",) if name in WINDOWS else ()),
        f"optimizer={optimizer}",
        "regularization=[dropout,l1]",
    )
    whole = Loop(recipe, num_layers=L, task=task)
    whole.steps(at)
    resumed = Loop(recipe, num_layers=L, task=task, checkpoint=whole.checkpoint())
    assert whole.steps(6) == resumed.steps(6)
    assert same(whole.weights(), resumed.weights())
    assert whole.recipe.engagement() == resumed.recipe.engagement()
    held = [
        {
            n: one.optimizer.state[p]
            for n, p in one.net.named_parameters()
            if p in one.optimizer.state
        }
        for one in (whole, resumed)
    ]
    torch.testing.assert_close(*held, rtol=0, atol=0)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "words",
    [
        ("unfreeze",),
        ("chain_thaw",),
        *((n, "layerwise.steps=2") for n in WINDOWS),
        ("greedy",),
        ("gauss_seidel",),
    ],
)
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning"
)  # Lightning's; `quiet` says which
def test_under_lightning_it_is_the_same(task: str, words: tuple[str, ...]) -> None:
    loop = loop_of(*words, "optimizer=adam", "clip=norm", total=10, task=task, layers=2)
    net = fitted(loop, task, 10)
    loop.steps(10)
    assert same(loop.weights(), dict(net.named_parameters()))


def fitted(loop: Loop, task: str, batches: int, **trainer: Any) -> nn.Module:
    """The net of the loop's recipe after an epoch of Lightning's."""
    spec = loop.learner.hparams["spec"]
    other = learner(task, spec["recipe"], num_layers=spec["model"]["num_layers"])
    quiet()
    silent: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    fit = pl.Trainer(max_epochs=1, accelerator="cpu", **silent, **trainer)
    fit.fit(other, DataLoader([loop.batch(i) for i in range(batches)], batch_size=None))
    return other.net


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_gradients_accumulate_for_the_block_whose_turn_it_is() -> None:
    """With SGD and two batches a step.

    The active blocks' step is the joint one, the first batch's share of it included.
    """
    recipes = [("joint",), ("cyclic", "layerwise.steps=1")]
    joint, own = (
        dict(fitted(loop_of(*words), "stock", 2, accumulate_grad_batches=2).named_parameters())
        for words in recipes
    )
    start = Loop(parts(), num_layers=L).weights()
    for name, w in own.items():
        assert torch.equal(w, joint[name] if block(name) in ("lstm.2", "head") else start[name]), (
            name
        )
    later = dict(
        fitted(loop_of(*recipes[1]), "stock", 4, accumulate_grad_batches=2).named_parameters()
    )
    assert {block(n) for n, w in later.items() if not torch.equal(w, own[n])} == {"lstm.1", "head"}


@pytest.mark.parametrize(
    ("name", "first"),
    [("unfreeze", {"head"}), ("chain_thaw", {"head"}), ("gauss_seidel", {"head", "lstm.0"})],
)
def test_one_lstm_layer_and_its_head_are_two_blocks(name: str, first: set[str]) -> None:
    """Sentiment's default: the embedding goes with the layer."""
    loop = loop_of(name, task="sentiment", layers=1)
    start = loop.weights()
    loop.steps(1)
    assert {block(n) for n, w in loop.weights().items() if not torch.equal(w, start[n])} == first
    loop.steps(9)
    assert not any(torch.equal(w, start[n]) for n, w in loop.weights().items())


@pytest.mark.parametrize("name", [*WINDOWS, "greedy"])
def test_more_blocks_than_there_are_is_refused(name: str) -> None:
    """Where the model is known before anything runs; by a recipe on its own when its net is."""
    told = r"^layerwise\.active=4 is more than the model's 3 blocks of layers; take 3 or fewer$"
    with pytest.raises(UserError, match=told):
        parts(f"layerwise={name}", "layerwise.active=4", "model.num_layers=3")
    with pytest.raises(UserError, match=told):
        Loop(parts(f"layerwise={name}", "layerwise.active=4", "model.num_layers=4"), num_layers=3)

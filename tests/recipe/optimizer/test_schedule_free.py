"""Tests of optimizer.

Those that are judged at an average of their weights, schedule_free and nt_asgd, and the hooks that
put it in place.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from helpers.parts import TASKS, Loop, batch, knobs, learner, made, parts, same
from upgate.config.compose import compose
from upgate.errors import UserError
from upgate.model.module import RecipeModule
from upgate.recipe.averaging import NonMonotone
from upgate.recipe.param_groups import ParamGroup
from upgate.run.callbacks import BestCheckpoint
from upgate.run.resolve import check_recipe
from upgate.run.train import quiet

W0 = np.random.default_rng(0).normal(size=(3, 2))
GRADS = np.random.default_rng(1).normal(size=(40, 3, 2))
RATES = [0.05 * min(1.0, t / 8) for t in range(1, 41)]  # a warmup, then constant
AVERAGED = ("optimizer=schedule_free", "optimizer=nt_asgd", "averaging=ema", "averaging=swa")


def schedule_free(x, betas, eps, weight_decay) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Defazio et al. 2024, algorithm 1: y and x after each step."""
    z, v, total = x, 0 * x, 0.0
    y = (1 - betas[0]) * z + betas[0] * x
    for t, (g, lr) in enumerate(zip(GRADS, RATES, strict=True), start=1):
        v = betas[1] * v + (1 - betas[1]) * g**2
        lr = lr * np.sqrt(1 - betas[1] ** t)
        z = z - lr * g / (np.sqrt(v) + eps) - lr * weight_decay * y
        total += lr**2
        c = lr**2 / total
        x = (1 - c) * x + c * z
        y = (1 - betas[0]) * z + betas[0] * x
        yield y, x


@pytest.mark.parametrize(
    "changed",
    [{}, {"betas": [0.6, 0.9], "eps": 1e-3, "weight_decay": 0.5}],
    ids=["yaml", "other knobs"],
)
def test_schedule_free_is_the_papers_sequences(changed: dict[str, Any]) -> None:
    asked = knobs("optimizer", "schedule_free") | changed
    w = nn.Parameter(torch.tensor(W0))
    optimizer = made("optimizer", "schedule_free", **asked)(
        [ParamGroup([w], "all", no_decay=False, lr_scale=1.0)]
    )
    rule = schedule_free(W0, asked["betas"], asked["eps"], asked["weight_decay"])
    for g, lr, (y, x) in zip(GRADS, RATES, rule, strict=True):
        w.grad, optimizer.param_groups[0]["lr"] = torch.tensor(g), lr
        optimizer.step()
        np.testing.assert_allclose(w.detach(), y, rtol=1e-10, atol=1e-12)
        optimizer.swap()
        np.testing.assert_allclose(w.detach(), x, rtol=1e-10, atol=1e-12)
        optimizer.swap()


def test_schedule_frees_average_is_plain_where_the_rate_is() -> None:
    """With b2 = 0, which needs no correction, and a constant rate, x is the mean of z_1..z_t."""
    w = nn.Parameter(torch.tensor(W0))
    optimizer = made("optimizer", "schedule_free", betas=[0.9, 0.0])(
        [ParamGroup([w], "all", no_decay=True, lr_scale=1.0)]
    )
    zs = []
    for g in GRADS:
        w.grad = torch.tensor(g)
        optimizer.step()
        zs.append(optimizer.state[w]["z"].clone())
    torch.testing.assert_close(
        optimizer.state[w]["x"], torch.stack(zs).mean(0), rtol=1e-10, atol=1e-12
    )


def trigger(losses: list[float], n: int) -> int | None:
    """The number, from 0, of the validation after which averaging begins; a step before each."""
    averaging = NonMonotone(n)
    w = nn.Parameter(torch.zeros(1))
    averaging.start([w], 100)
    for i, loss in enumerate(losses):
        averaging.after_step()
        averaging.validated(loss)
        if averaging.after is not None:
            assert averaging.after == i + 1
            return i
    return None


nan = math.nan


@pytest.mark.parametrize(
    ("losses", "n", "wanted"),
    [
        ([9, 8, 7, 6, 5, 4, 3, 2], 2, None),  # falls on
        ([5, 6, 7, 8], 2, 3),  # 8 > min(5); at 7 there were only two losses before
        (
            [5, 4, 3, 3.5, 3.6, 3.7],
            2,
            5,
        ),  # all three are worse than 3, but only at 3.7 is 3 not among the last two
        ([5, 4, 3, 3, 3, 3, 3], 2, None),  # a tie is not worse
        ([5, 4, 3, 4.5, 2, 1, 0.5], 2, None),  # a bad one right after the best is forgiven
        ([5, 4, 3, 9, 2, 1, 0.5], 2, 3),  # unless it is worse than the older ones too
        ([5, 4, 3, nan, 2, 1], 2, 3),  # NaN is worse
        ([1, 2, 3, 4, 5, 6], 5, None),  # five before it are not more than n
        ([1, 2, 3, 4, 5, 6, 7], 5, 6),
        ([2, 3], 1, None),
        ([2, 1, 3], 1, 2),
    ],
)
def test_nt_asgds_trigger(losses: list[float], n: int, wanted: int | None) -> None:
    assert trigger(losses, n) == wanted == merity(losses, n)


def merity(losses: list[float], n: int) -> int | None:
    """As the AWD-LSTM authors' code has it.

    A NaN there never triggers, here it counts as infinite.
    """
    logs: list[float] = []
    for i, loss in enumerate(math.inf if math.isnan(one) else one for one in losses):
        if len(logs) > n and loss > min(logs[:-n]):
            return i
        logs.append(loss)
    return None


def test_nt_asgd_is_sgd_that_is_judged_at_the_mean_of_its_weights_since_the_trigger() -> None:
    loop, plain = (
        Loop(parts(f"optimizer={name}", "optimizer.lr=0.1")) for name in ("nt_asgd", "sgd")
    )
    since = []
    for i in range(20):
        assert loop.step(batch(i)) == plain.step(batch(i))
        if i >= 10:
            since.append(loop.weights())
        elif i >= 4:
            # the sixth is worse than the first, but five before it are too few; the next would be
            loop.recipe.validated(float(i))
        if i == 9:
            assert loop.recipe.averaging.after is None
            loop.recipe.validated(10.0)
            assert loop.recipe.averaging.after == 10
        trained = loop.weights()
        assert same(trained, plain.weights())
        loop.hold_judged_weights()
        mean = {
            n: torch.stack([w[n] for w in since]).mean(0) if since else trained[n] for n in trained
        }
        torch.testing.assert_close(loop.weights(), mean, rtol=1e-5, atol=1e-7)
        loop.hold_trained_weights()
        assert same(loop.weights(), trained)
    assert loop.recipe.engagement()["averaged_steps"] == 10.0


def triggered(loop: Loop) -> None:
    for loss in range(7):
        loop.recipe.validated(float(loss))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("words", AVERAGED)
def test_evaluation_moves_the_weights_and_leaves_no_trace(words: str, task: str) -> None:
    """Bit for bit: neither training nor what is judged depends on how often one looks."""
    looked, blind = (Loop(parts(words), total=10, task=task) for _ in range(2))
    for loop in (looked, blind):
        loop.steps(4)
        triggered(loop)
    for _ in range(6):
        with looked.recipe.averaged_weights(), looked.recipe.averaged_weights():
            pass  # within another such context it does nothing
        assert looked.steps(1) == blind.steps(1)
    assert same(looked.weights(), blind.weights())
    trained = blind.weights()
    for loop in (looked, blind):
        loop.hold_judged_weights()
    assert same(looked.weights(), blind.weights()) and not same(blind.weights(), trained)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["schedule_free", "nt_asgd"])
@pytest.mark.parametrize("cut", [3, 7])
def test_the_average_goes_on_from_a_checkpoint_bit_for_bit(name: str, task: str, cut: int) -> None:
    recipe = parts(f"optimizer={name}")
    whole = Loop(recipe, total=10, task=task)
    for i in range(10):
        if i == cut:
            state = whole.checkpoint()
        whole.steps(1)
        whole.recipe.validated(float(i))  # averages from step 7 on
    resumed = Loop(recipe, total=10, checkpoint=state, task=task)
    for i in range(cut, 10):
        resumed.steps(1)
        resumed.recipe.validated(float(i))
    assert whole.recipe.engagement() == resumed.recipe.engagement()
    assert same(whole.weights(), resumed.weights())
    for loop in (whole, resumed):
        loop.hold_judged_weights()
    assert same(whole.weights(), resumed.weights())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["schedule_free", "nt_asgd", "muon"])
def test_independent_is_joint_bit_for_bit_in_the_average_too(name: str, task: str) -> None:
    joint, own = (
        Loop(parts(f"optimizer={name}", f"layerwise={how}"), num_layers=3, task=task)
        for how in ("joint", "independent")
    )
    for loop in (joint, own):
        loop.steps(4)
        triggered(loop)
    assert joint.steps(10) == own.steps(10)
    assert same(joint.weights(), own.weights())
    for loop in (joint, own):
        loop.hold_judged_weights()
    assert same(joint.weights(), own.weights())


def test_a_checkpoint_to_go_on_from_is_refused_in_the_evaluation() -> None:
    loop = Loop(parts("optimizer=schedule_free"))
    loop.steps(2)
    loop.hold_judged_weights()
    with pytest.raises(UserError, match="must hold the weights that are trained"):
        loop.checkpoint()
    loop.hold_trained_weights()
    assert loop.checkpoint()


class Seen(pl.Callback):
    """The weights trained and those validated, and the validation losses, epoch by epoch.

    Stops hard after one epoch.
    """

    def __init__(self, until: int | None = None) -> None:
        self.until = until
        self.trained: list[dict[str, torch.Tensor]] = []
        self.validated: list[dict[str, torch.Tensor]] = []

    def weights(self, module: RecipeModule) -> dict[str, torch.Tensor]:
        return {n: p.detach().clone() for n, p in module.net.named_parameters()}

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        self.last = self.weights(module)

    def on_validation_batch_start(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        self.validated.append(self.weights(module))

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        assert same(self.weights(module), self.last)  # back to what is trained
        self.trained.append(self.last)

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        if trainer.current_epoch == self.until:
            raise KeyboardInterrupt


def fit(
    folder: Path, words: tuple[str, ...], epochs: int, until: int | None = None
) -> tuple[RecipeModule, Seen, dict[str, torch.Tensor]]:
    """Train under Lightning as a run does, with a validation batch per epoch.

    Return the best.ckpt's weights as well.
    """
    quiet()
    module, seen, keeper = learner("stock", parts(*words)), Seen(until), BestCheckpoint(folder)
    silent: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        num_sanity_val_steps=0,
        callbacks=[keeper, seen],
        **silent,
    )
    loaders = (
        DataLoader([batch(i) for i in range(4)], batch_size=None),
        DataLoader([batch(9)], batch_size=None),
    )
    resume = keeper.last if keeper.last.exists() else None
    if until is None:
        trainer.fit(module, *loaders, ckpt_path=resume, weights_only=True)
        state = torch.load(keeper.best, weights_only=True)["state_dict"]
        return (
            module,
            seen,
            {n.removeprefix("net."): w for n, w in state.items() if n.startswith("net.")},
        )
    with pytest.raises(SystemExit):
        trainer.fit(module, *loaders, ckpt_path=resume, weights_only=True)
    return module, seen, {}


TRIGGERS = ("optimizer=nt_asgd", "optimizer.n=1", "optimizer.lr=0.05")
WAYS = (
    ("optimizer=schedule_free",),
    TRIGGERS,
    ("averaging=swa", "averaging.begin=0.5"),
    ("schedule=plateau", "schedule.patience=1"),
)


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning"
)  # Lightning's; `quiet` says which
def test_a_run_validates_and_keeps_the_average_and_goes_on_from_its_checkpoint(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    whole, seen, kept = fit(tmp_path / "whole", words, epochs=5)
    averages = not words[0].startswith("schedule=")
    assert len(seen.validated) == len(seen.trained) == 5
    assert same(seen.validated[-1], seen.trained[-1]) != averages
    assert same(kept, seen.validated[-1])  # nothing moved between the last validation and the end
    assert same({n: p.detach() for n, p in whole.net.named_parameters()}, seen.trained[-1])

    fit(tmp_path / "cut", words, epochs=5, until=3)
    resumed, again, kept_again = fit(tmp_path / "cut", words, epochs=5)
    assert len(again.trained) == 2
    assert same(again.trained[-1], seen.trained[-1]) and same(kept_again, kept)
    assert resumed.recipe.engagement() == whole.recipe.engagement()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_each_validation_is_told_once(tmp_path: Path) -> None:
    module, _, _ = fit(tmp_path, TRIGGERS, epochs=4)
    losses = module.recipe.averaging.losses
    assert len(losses) == 4 and losses[-1] == pytest.approx(float(module.validation_loss.compute()))


REFUSED = [
    (["schedule=onecycle"], "schedule=onecycle"),
    (["schedule=cosine"], "schedule=cosine"),
    (["schedule=plateau"], "schedule=plateau"),
    (["averaging=ema"], "averaging=ema"),
    (["averaging=swa"], "averaging=swa"),
    (["regularization=[l1]"], "regularization=l1"),
    (["regularization=[l2,decay]", "optimizer.weight_decay=0"], "regularization=decay"),
    (["layerwise=cyclic"], "layerwise=cyclic"),
]


@pytest.mark.parametrize(("words", "named"), REFUSED)
def test_what_schedule_free_cannot_go_with_is_refused_in_one_sentence(
    words: list[str], named: str
) -> None:
    with pytest.raises(
        UserError,
        match=rf"^optimizer=schedule_free .*{named}\b.*; take .* with it, or optimizer=adamw?$",
    ) as told:
        check_recipe(compose(["recipe=traditional", "optimizer=schedule_free", *words]))
    assert "\n" not in str(told.value)
    check_recipe(compose(["recipe=traditional", "optimizer=adamw", *words]))


@pytest.mark.parametrize(
    "words",
    [
        ["schedule=warmup"],
        ["regularization=[l2,dropout]"],
        ["layerwise=independent"],
        ["stopping=early"],
    ],
)
def test_what_schedule_free_can_go_with(words: list[str]) -> None:
    check_recipe(compose(["recipe=traditional", "optimizer=schedule_free", *words]))


@pytest.mark.parametrize("averaging", ["ema", "swa"])
def test_nt_asgd_averages_alone(averaging: str) -> None:
    words = ["recipe=traditional", f"averaging={averaging}"]
    with pytest.raises(
        UserError,
        match=rf"^optimizer=nt_asgd .*averaging={averaging}; "
        "take averaging=none with it, or optimizer=sgd$",
    ):
        check_recipe(compose([*words, "optimizer=nt_asgd"]))
    check_recipe(compose([*words, "optimizer=sgd"]))

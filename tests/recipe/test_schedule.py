"""schedule: its end points, its pieces, and PyTorch's own schedulers as the reference."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
)

from helpers.parts import Loop, made, parts
from upgate.config.compose import choices
from upgate.errors import UserError

N = 50  # steps of a run
PEAK = 0.3


def rates(scheduler: Callable[[SGD], LRScheduler], steps: int = N) -> list[float]:
    """The learning rate at each step, and the one that would come after the last."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)
    stepper, seen = scheduler(optimizer), []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        stepper.step()
    return [*seen, optimizer.param_groups[0]["lr"]]


def ours(name: str, **knobs: float) -> list[float]:
    share = made("schedule", name, **knobs)
    return rates(lambda optimizer: LambdaLR(optimizer, lambda step: share(step / N)))


@pytest.mark.parametrize("name", choices("schedule"))
def test_a_schedule_is_a_share_of_the_rate(name: str) -> None:
    share = made("schedule", name)
    assert all(0 <= share(i / 1000) <= 1 + 1e-12 for i in range(1001))
    assert max(share(i / 1000) for i in range(1001)) == pytest.approx(1.0, abs=1e-4)
    assert share(1 + 1 / N) == share(1.0)  # the scheduler is stepped once after the last step


def test_constant_changes_no_bit() -> None:
    assert ours("constant") == [PEAK] * (N + 1)


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_cosine_is_pytorchs(final: float) -> None:
    got = ours("cosine", final=final)
    assert got[0] == PEAK and got[-1] == pytest.approx(final * PEAK)
    assert got == sorted(got, reverse=True)
    assert got[N // 2] == pytest.approx(PEAK * (1 + final) / 2)
    assert got == pytest.approx(
        rates(lambda o: CosineAnnealingLR(o, T_max=N, eta_min=final * PEAK)), rel=1e-9, abs=1e-12
    )


def onecycle(total: int, peak_at: float) -> Callable[[SGD], LRScheduler]:
    """PyTorch's, which is at its peak after total * pct_start - 1 steps and at its end after total
    - 1.
    """
    return lambda o: OneCycleLR(
        o, max_lr=PEAK, total_steps=total, pct_start=(peak_at + 1) / total, cycle_momentum=False
    )


@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.5])
def test_onecycle_is_pytorchs_over_the_same_steps(warmup: float) -> None:
    got = ours("onecycle", warmup=warmup)
    top = int(warmup * N)
    assert (
        got[0] == pytest.approx(PEAK / 25)
        and got[top] == pytest.approx(PEAK)
        and got[-1] == pytest.approx(PEAK / 250_000)
    )
    assert got[: top + 1] == sorted(got[: top + 1]) and got[top:] == sorted(got[top:], reverse=True)
    theirs = rates(onecycle(N + 1, warmup * N))
    assert got == pytest.approx(theirs, rel=1e-9)


def test_onecycle_is_never_more_than_a_step_behind_pytorchs_default() -> None:
    """PyTorch's ends on its lowest rate at the last step.

    Ours would reach it at the step after, as the cosine does.
    """
    got, theirs = ours("onecycle", warmup=0.3), rates(onecycle(N, 0.3 * N - 1), steps=N - 1)
    for t in range(1, N):
        low, high = sorted((theirs[t - 1], theirs[t]))
        assert low * (1 - 1e-9) <= got[t] <= high * (1 + 1e-9)


def test_onecycle_without_a_warmup_only_falls() -> None:
    got = ours("onecycle", warmup=0.0)
    assert got[0] == PEAK and got == sorted(got, reverse=True)


@pytest.mark.parametrize("warmup", [0.1, 0.5])
def test_warmup_is_pytorchs(warmup: float) -> None:
    got = ours("warmup", warmup=warmup)
    assert got[0] == pytest.approx(PEAK / 25) and got == sorted(got)
    assert got[int(warmup * N) :] == [PEAK] * (N + 1 - int(warmup * N))
    assert got == pytest.approx(
        rates(lambda o: LinearLR(o, start_factor=1 / 25, total_iters=int(warmup * N))), rel=1e-9
    )


def test_warmup_over_nothing_is_constant() -> None:
    assert ours("warmup", warmup=0.0) == [PEAK] * (N + 1)


nan, inf = math.nan, math.inf
CURVES = [
    [5.0, 4, 3, 2, 1],
    [3.0, 2, 2.5, 2.4, 2.3, 2.2, 2.1, 2.05, 1, 1],
    [3.0, 3, 3, 3, 3, 3, 3],  # a tie is no improvement
    [3.0, nan, nan, 2, nan, nan, nan, nan],
    [nan, nan, inf, 7, 8, 9, 9],
    [1.0, 2, 0.5, 2, 2, 0.4, 3, 3, 3, 3, 3],
]


@pytest.mark.parametrize("losses", CURVES)
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_is_pytorchs(losses: list[float], patience: int) -> None:
    """PyTorch's patience is how many bad validations it bears.

    Ours, as stopping=early's, how many it takes.
    """
    schedule = made("schedule", "plateau", factor=0.5, patience=patience)
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = ReduceLROnPlateau(optimizer, factor=0.5, patience=patience - 1, threshold=0.0)
    cuts = 0
    for loss in losses:
        schedule.validated(loss)
        theirs.step(loss)
        assert schedule(0.5) == optimizer.param_groups[0]["lr"]
        cuts += schedule(0.5) < 0.5**cuts
        assert schedule.engagement() == {"rate_cuts": float(cuts)}


def test_plateau_goes_on_where_it_was_cut() -> None:
    for losses in CURVES:
        for cut in range(len(losses)):
            whole, resumed = made("schedule", "plateau"), made("schedule", "plateau")
            for loss in losses[:cut]:
                whole.validated(loss)
            resumed.load_state_dict(whole.state_dict())
            for loss in losses[cut:]:
                whole.validated(loss)
                resumed.validated(loss)
                assert whole(1.0) == resumed(1.0) and whole.state_dict() == resumed.state_dict()


def test_plateau_lowers_the_rates_in_force_and_a_checkpoint_keeps_them() -> None:
    loop = Loop(
        parts(
            "schedule=plateau",
            "schedule.patience=1",
            "optimizer.lr=0.2",
            "layerwise=discriminative",
        )
    )
    before = loop.rates()
    loop.recipe.validated(1.0)
    loop.recipe.validated(2.0)
    assert loop.rates() == before  # until the scheduler's next step
    loop.steps(1)
    assert loop.rates() == {layer: rate / 2 for layer, rate in before.items()}
    resumed = Loop(
        parts(
            "schedule=plateau",
            "schedule.patience=1",
            "optimizer.lr=0.2",
            "layerwise=discriminative",
        ),
        checkpoint=loop.checkpoint(),
    )
    for one in (loop, resumed):
        one.recipe.validated(2.0)
        one.steps(2)
    assert resumed.rates() == loop.rates() == {layer: rate / 4 for layer, rate in before.items()}
    assert loop.recipe.engagement()["rate_cuts"] == 2.0


@pytest.mark.parametrize("factor", [0.0, 1.0, -0.5, 2.0])
def test_a_factor_that_does_not_lower_is_refused(factor: float) -> None:
    with pytest.raises(
        UserError, match=r"^schedule\.factor=.* must be between 0 and 1, both excluded$"
    ):
        made("schedule", "plateau", factor=factor)


@pytest.mark.parametrize("name", choices("schedule"))
def test_a_schedule_has_no_jumps(name: str) -> None:
    share = made("schedule", name)
    values = [share(i / 10_000) for i in range(10_001)]
    steepest = max(abs(b - a) for a, b in itertools.pairwise(values))
    assert steepest <= math.pi / 2 / (
        0.1 * 10_000
    )  # a half cosine over a tenth of the run would be as steep

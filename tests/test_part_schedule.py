"""schedule: its end points, its pieces, and PyTorch's own schedulers as the reference."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from parts_help import made
from upgate.config import choices

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
    assert got == pytest.approx(rates(lambda o: CosineAnnealingLR(o, T_max=N, eta_min=final * PEAK)), rel=1e-9, abs=1e-12)


def onecycle(total: int, peak_at: float) -> Callable[[SGD], LRScheduler]:
    """PyTorch's, which is at its peak after total * pct_start - 1 steps and at its end after total - 1."""
    return lambda o: OneCycleLR(o, max_lr=PEAK, total_steps=total, pct_start=(peak_at + 1) / total, cycle_momentum=False)


@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.5])
def test_onecycle_is_pytorchs_over_the_same_steps(warmup: float) -> None:
    got = ours("onecycle", warmup=warmup)
    top = int(warmup * N)
    assert got[0] == pytest.approx(PEAK / 25) and got[top] == pytest.approx(PEAK) and got[-1] == pytest.approx(PEAK / 250_000)
    assert got[: top + 1] == sorted(got[: top + 1]) and got[top:] == sorted(got[top:], reverse=True)
    theirs = rates(onecycle(N + 1, warmup * N))
    assert got == pytest.approx(theirs, rel=1e-9)


def test_onecycle_is_never_more_than_a_step_behind_pytorchs_default() -> None:
    """PyTorch's ends on its lowest rate at the last step; ours would reach it at the step after, as the cosine does."""
    got, theirs = ours("onecycle", warmup=0.3), rates(onecycle(N, 0.3 * N - 1), steps=N - 1)
    for t in range(1, N):
        low, high = sorted((theirs[t - 1], theirs[t]))
        assert low * (1 - 1e-9) <= got[t] <= high * (1 + 1e-9)


def test_onecycle_without_a_warmup_only_falls() -> None:
    got = ours("onecycle", warmup=0.0)
    assert got[0] == PEAK and got == sorted(got, reverse=True)


@pytest.mark.parametrize("name", choices("schedule"))
def test_a_schedule_has_no_jumps(name: str) -> None:
    share = made("schedule", name)
    values = [share(i / 10_000) for i in range(10_001)]
    steepest = max(abs(b - a) for a, b in itertools.pairwise(values))
    assert steepest <= math.pi / 2 / (0.1 * 10_000)  # a half cosine over a tenth of the run would be as steep

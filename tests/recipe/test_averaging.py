"""averaging: closed forms, and an exchange that can be undone."""

import math

import pytest
import torch
from torch import Tensor, nn

from helpers.parts import Loop, batch, made, parts, same
from upgate.config.compose import choices
from upgate.recipe.averaging import fitted_decay

EVERY = choices("averaging")


def averages(
    name: str, weights: list[Tensor], total: int | None = None, **knobs: float
) -> list[Tensor]:
    """The average after each step of a weight that takes these values.

    The first is its value before the first step.
    """
    w = nn.Parameter(weights[0].clone())
    averaging = made("averaging", name, **knobs)
    averaging.start([w], total or len(weights) - 1)
    seen = []
    for value in weights[1:]:
        with torch.no_grad():
            w.copy_(value)
        averaging.after_step()
        averaging.swap()
        seen.append(w.detach().clone())
        averaging.swap()
        assert torch.equal(w, value)
    return seen


@pytest.mark.parametrize("name", EVERY)
def test_the_average_of_constant_weights_is_the_weights(name: str) -> None:
    w = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(average, w) for average in averages(name, [w] * 31))


@pytest.mark.parametrize("name", EVERY)
def test_a_swap_twice_is_nothing_bit_for_bit(name: str) -> None:
    loop = Loop(parts(f"averaging={name}"), total=10)
    loop.steps(10)
    before, state = loop.weights(), loop.checkpoint()["recipe"]["averaging"]
    loop.recipe.averaging.swap()
    between = loop.weights()
    loop.recipe.averaging.swap()
    assert same(loop.weights(), before)
    torch.testing.assert_close(loop.checkpoint()["recipe"]["averaging"], state, rtol=0, atol=0)
    assert same(between, before) == (name == "none")


@pytest.mark.parametrize("name", EVERY)
def test_the_average_lies_among_the_weights(name: str) -> None:
    loop = Loop(parts(f"averaging={name}"))
    seen = [loop.weights()]
    for i in range(10):
        loop.step(batch(i))
        seen.append(loop.weights())
    loop.recipe.averaging.swap()
    for key, w in loop.weights().items():
        path = torch.stack([weights[key] for weights in seen])
        assert (path.amin(0) - 1e-6 <= w).all() and (w <= path.amax(0) + 1e-6).all()


def test_none_is_the_weights_bit_for_bit_and_leaves_them() -> None:
    w = [torch.randn(4, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    assert all(
        torch.equal(average, one) for average, one in zip(averages("none", w), w[1:], strict=True)
    )
    loop = Loop(parts("averaging=none"))
    loop.steps(3)
    trained = loop.weights()
    loop.hold_judged_weights()
    assert same(trained, loop.weights()) and "averaged_steps" not in loop.recipe.engagement()


def ramp(steps: int) -> list[Tensor]:
    return [torch.tensor([float(t)], dtype=torch.float64) for t in range(steps + 1)]


def test_ema_of_a_ramp_lags_by_its_closed_form() -> None:
    """w_t = t and a constant d (below 2/11 no plain averaging comes first).

    s_t = t - d (1 - d^t) / (1 - d).
    """
    d = 0.15
    for t, s in enumerate(averages("ema", ramp(30), decay=d), start=1):
        assert float(s) == pytest.approx(t - d * (1 - d**t) / (1 - d), rel=1e-12)


def test_ema_averages_plainly_at_first() -> None:
    """w_t = t and d_t = (1 + t) / (10 + t): s_t = .9 t - .1 + .1 (t+1)! 10! / (t+10)!."""
    for t, s in enumerate(averages("ema", ramp(50), decay=0.999), start=1):
        product = math.factorial(t + 1) * math.factorial(10) / math.factorial(t + 10)
        assert float(s) == pytest.approx(0.9 * t - 0.1 + 0.1 * product, rel=1e-12)


def test_ema_with_decay_0_is_the_weights() -> None:
    w = [torch.randn(4, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    assert all(
        torch.equal(average, one)
        for average, one in zip(averages("ema", w, decay=0.0), w[1:], strict=True)
    )


@pytest.mark.parametrize(
    ("total", "begin", "first"),
    [(40, 0.75, 31), (40, 0.0, 1), (10, 0.75, 8), (10, 0.99, 10), (1, 0.75, 1)],
)
def test_swa_is_the_plain_mean_of_the_last_steps_weights(
    total: int, begin: float, first: int
) -> None:
    w = [
        torch.randn(4, generator=torch.Generator().manual_seed(i), dtype=torch.float64)
        for i in range(total + 1)
    ]
    for t, average in enumerate(averages("swa", w, begin=begin), start=1):
        torch.testing.assert_close(
            average,
            torch.stack(w[first : t + 1]).mean(0) if t >= first else w[t],
            rtol=1e-12,
            atol=1e-14,
        )


def test_swa_says_over_how_many_steps_it_averaged() -> None:
    loop = Loop(parts("averaging=swa"), total=20)
    told = []
    for _ in range(20):
        loop.steps(1)
        told.append(loop.recipe.engagement()["averaged_steps"])
    assert told == [0.0] * 15 + [1.0, 2.0, 3.0, 4.0, 5.0]


def test_swa_goes_on_across_its_beginning() -> None:
    """Cut before the average begins and within it.

    Weights and average are those of the uncut run, bit for bit.
    """
    whole = Loop(parts("averaging=swa"), total=20)
    whole.steps(20)
    for cut in (10, 15, 18):
        first = Loop(parts("averaging=swa"), total=20)
        first.steps(cut)
        resumed = Loop(parts("averaging=swa"), total=20, checkpoint=first.checkpoint())
        resumed.steps(20 - cut)
        assert same(whole.weights(), resumed.weights())
        torch.testing.assert_close(
            whole.recipe.averaging.state_dict(),
            resumed.recipe.averaging.state_dict(),
            rtol=0,
            atol=0,
        )


def test_the_fitted_decay() -> None:
    assert fitted_decay(400) == pytest.approx(0.98, abs=1e-12)
    assert fitted_decay(2000) == fitted_decay(2001) == fitted_decay(10**6) == 0.999
    assert 0.98 < fitted_decay(1000) < 0.999
    decays = [fitted_decay(n) for n in range(3000)]
    assert decays == sorted(decays) and decays[0] > 0 and decays[-1] < 1


def test_without_a_decay_ema_takes_the_fitted_one() -> None:
    path = ramp(400)
    assert averages("ema", path) == averages("ema", path, decay=0.98)
    assert averages("ema", path, total=5000) == averages("ema", path, decay=0.999)

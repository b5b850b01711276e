"""Integrated gradients: complete, exact for a linear model, 0 where nothing depends on an input."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from upgate.generators import generator
from upgate.model.backbone import Backbone
from upgate.model.integrated_gradients import in_evaluation, integrated_gradients

T, F = 7, 3


class Net(nn.Module):
    """(N, T, F) -> (N,), with dropout on the way."""

    def __init__(self, pooling: str = "last") -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.backbone = Backbone(F, 5, 2, False, pooling)
            self.dropout, self.head = nn.Dropout(0.5), nn.Linear(5, 1)

    def forward(self, x: Tensor, length: int | None = None) -> Tensor:
        lengths = None if length is None else torch.full((len(x),), length)
        return self.head(self.dropout(self.backbone(x, lengths))).squeeze(-1)


def drawn() -> tuple[Tensor, Tensor]:
    """An input and where its path starts, (T, F) each."""
    x = 2 * torch.randn(2, T, F, generator=generator(0, "path"))
    return x[0], x[1]


def linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: (x * weight).sum((1, 2)) + 3


def test_a_linear_models_shares_are_its_terms() -> None:
    x, start = drawn()
    weight = torch.randn(T, F, generator=generator(0, "weight"))
    found = integrated_gradients(nn.Identity(), linear(weight), x, start, steps=3)
    torch.testing.assert_close(found.shares, weight * (x - start))
    assert found.gap == pytest.approx(0, abs=1e-5)


def test_a_squares_integral_is_exact_in_its_middle() -> None:
    """Of x^2 from 0, the middle of the path has the mean gradient: one step is enough."""
    x, _ = drawn()
    found = integrated_gradients(
        nn.Identity(), lambda p: (p**2).sum((1, 2)), x, torch.zeros_like(x), 1
    )
    torch.testing.assert_close(found.shares, x**2)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_shares_add_up_to_the_difference(pooling: str) -> None:
    """Up to the width of the steps: less is left of more of them."""
    net, (x, start) = Net(pooling), drawn()
    gaps = []
    for steps in (1, 16, 256):
        found = integrated_gradients(net, net, x, start, steps)
        with in_evaluation(net):
            ends = net(torch.stack([start, x])).tolist()
        assert [found.start, found.end] == pytest.approx(ends, abs=1e-6)
        gaps.append(abs(found.end - found.start - float(found.shares.sum())))
        assert abs(found.gap) == pytest.approx(gaps[-1], abs=1e-7)
    assert gaps[0] > 10 * gaps[2] and gaps[2] < 1e-3


def test_what_the_network_ignores_gets_nothing_at_all() -> None:
    net, (x, start) = Net("last"), drawn()
    with torch.no_grad():
        net.backbone.layers[0].forth.weight_ih_l0[:, 1] = 0  # one feature
    shares = integrated_gradients(net, lambda path: net(path, 4), x, start).shares
    ignored = torch.zeros(T, F, dtype=torch.bool)
    ignored[:, 1] = ignored[4:] = True  # and the days after the end
    assert torch.equal(shares == 0, ignored)


def test_an_input_that_is_the_start_gets_nothing() -> None:
    net, (x, _) = Net(), drawn()
    found = integrated_gradients(net, net, x, x)
    assert not found.shares.any() and found.start == found.end and found.gap == 0


def test_the_network_stays_as_it_was() -> None:
    """Its modes, one by one, and gradients, also after an error; no dropout, no draw."""
    net, (x, start) = Net(), drawn()
    net.train()
    net.backbone.eval()
    modes = [module.training for module in net.modules()]
    net(x[None]).sum().backward()
    before = [parameter.grad.clone() for parameter in net.parameters()]
    state = torch.get_rng_state()
    with torch.inference_mode(False), torch.no_grad():
        first, again = (integrated_gradients(net, net, x, start).shares for _ in range(2))
    assert torch.equal(first, again) and not first.requires_grad
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(ZeroDivisionError):
        integrated_gradients(net, lambda path: 1 / 0, x, start)
    assert [module.training for module in net.modules()] == modes
    after = [parameter.grad for parameter in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not x.requires_grad and x.grad is None

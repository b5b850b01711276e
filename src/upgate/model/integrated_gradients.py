"""Which inputs made an output: integrated gradients (Sundararajan, Taly and Yan 2017, ICML).

Along the straight path from a baseline x' to the input x, input i gets

    IG_i = (x_i - x'_i) * integral from a = 0 to 1 of dF / dx_i at x' + a (x - x').

They add up to F(x) - F(x'), the paper's completeness; an input on which F does not depend gets 0.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

STEPS = 64  # pieces of the path; where a network has kinks, as max pooling has, more are better


@dataclass(frozen=True)
class InputShares:
    """What an output is made of: shares, shaped as the input; F at the baseline and the input."""

    shares: Tensor
    start: float
    end: float

    @property
    def gap(self) -> float:
        """What the sum over the path leaves of `end`, 0 but for the steps' width."""
        return self.end - self.start - float(self.shares.sum())


def integrated_gradients(
    net: nn.Module,
    output: Callable[[Tensor], Tensor],
    x: Tensor,
    baseline: Tensor,
    steps: int = STEPS,
) -> InputShares:
    """The shares of one input x, (...), in F = `output`, (N, ...) -> (N,), row by row.

    The integral is the mean over the middles of `steps` equal pieces of the path. net: what
    `output` runs; it is in evaluation for the time being, and its parameters get no gradients.
    """
    x, baseline = x.detach(), baseline.detach()
    middles = (torch.arange(steps) + 0.5) / steps
    a = torch.cat([torch.tensor([0.0, 1.0]), middles]).to(x)  # the path's ends, then the pieces
    path = torch.lerp(baseline, x, a.reshape(-1, *[1] * x.dim())).requires_grad_()
    with in_evaluation(net), torch.enable_grad():
        values = output(path)
        (gradients,) = torch.autograd.grad(values[2:].sum(), path)
    shares = (x - baseline) * gradients[2:].mean(0)
    start, end = values[:2].tolist()
    return InputShares(shares, start, end)


@contextmanager
def in_evaluation(net: nn.Module) -> Iterator[None]:
    """Without dropout; afterwards every module trains or not as before."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training

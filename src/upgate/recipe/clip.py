"""clip: what is done to the gradients before the step.

A choice returns `clip(params, norm) -> engaged`: it changes the gradients in place, given their total norm, and says whether it did.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from upgate.schema import Positive

Clip = Callable[[Sequence[nn.Parameter], Tensor], bool]


def none() -> Clip:
    """The null choice: gradients untouched, bit for bit."""
    return lambda params, norm: False


def norm(max_norm: Positive) -> Clip:
    """g *= min(1, c / (norm + 1e-6)) over all parameters together (Pascanu et al. 2013)."""

    def clip(params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        if not norm > max_norm:
            return False
        nn.utils.clip_grads_with_norm_(params, max_norm, norm)
        return True

    return clip


def value(max_value: Positive) -> Clip:
    """g = clamp(g, -c, c), each element on its own."""

    def clip(params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        grads = [p.grad for p in params if p.grad is not None]
        if not torch.stack(torch._foreach_norm(grads, float("inf"))).max() > max_value:
            return False
        nn.utils.clip_grad_value_(params, max_value)
        return True

    return clip

"""optimizer: the rule that turns gradients into steps.

A choice is a function of its knobs that returns `make(groups) -> Optimizer`. Groups come from `layerwise`: dicts of `params`, `rate`
(this layer's share of lr), `layer` and `exempt` (biases and embeddings, which no decay touches).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from upgate.errors import UserError
from upgate.schema import Fraction, NonNegative, Positive

Group = dict[str, Any]
Make = Callable[[Sequence[Group]], Optimizer]


def sgd(lr: Positive) -> Make:
    """w -= lr g: the article's traditional update."""
    return lambda groups: torch.optim.SGD(at_rate(groups, lr), lr=lr)


def rmsprop(lr: Positive, alpha: Fraction, eps: Positive) -> Make:
    """v = alpha v + (1 - alpha) g^2, w -= lr g / (sqrt(v) + eps) (Tieleman & Hinton 2012)."""
    return lambda groups: torch.optim.RMSprop(at_rate(groups, lr), lr=lr, alpha=alpha, eps=eps)


def adam(lr: Positive, betas: list[Fraction], eps: Positive) -> Make:
    """w -= lr m_hat / (sqrt(v_hat) + eps) (Kingma & Ba 2015)."""
    return lambda groups: torch.optim.Adam(at_rate(groups, lr), lr=lr, betas=pair(betas), eps=eps)


def adamw(lr: Positive, betas: list[Fraction], eps: Positive, weight_decay: NonNegative) -> Make:
    """Adam, and w *= 1 - lr weight_decay beside it (Loshchilov & Hutter 2019)."""

    def make(groups: Sequence[Group]) -> Optimizer:
        decayed = [{**g, "weight_decay": 0.0 if g["exempt"] else weight_decay} for g in at_rate(groups, lr)]
        return torch.optim.AdamW(decayed, lr=lr, betas=pair(betas), eps=eps)

    return make


def at_rate(groups: Sequence[Group], lr: float) -> list[Group]:
    """Write each group's real learning rate, the value that every scheduler and logger reads."""
    return [{**group, "lr": lr * group["rate"]} for group in groups]


def pair(betas: list[float]) -> tuple[float, float]:
    if len(betas) != 2:
        raise UserError(f"optimizer.betas={betas} must be two numbers, as in optimizer.betas=[0.9,0.999]")
    return betas[0], betas[1]

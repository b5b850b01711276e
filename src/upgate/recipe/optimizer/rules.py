"""optimizer: the rule that turns gradients into steps.

A choice is a function of its knobs that returns `make(groups) -> Optimizer`. Groups come from `layerwise`: dicts of `params`, `rate`
(this layer's share of lr), `layer` and `exempt` (biases and embeddings, which no decay touches).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from upgate.config.schema import Fraction, NonNegative, Positive, PositiveInt
from upgate.errors import UserError
from upgate.recipe.averaging import NonMonotone
from upgate.recipe.optimizer.muon import CompositeOptimizer, Gates, holds_gates
from upgate.recipe.optimizer.schedule_free import Lion, ScheduleFree
from upgate.recipe.registry import register

Group = dict[str, Any]
Make = Callable[[Sequence[Group]], Optimizer]


@register("optimizer", "sgd")
def sgd(lr: Positive) -> Make:
    """w -= lr g: the article's traditional update."""
    return lambda groups: torch.optim.SGD(at_rate(groups, lr), lr=lr)


@register("optimizer", "momentum")
def momentum(lr: Positive, momentum: Fraction) -> Make:
    """v = momentum v + g, w -= lr v (Polyak 1964): a constant gradient is stepped 1 / (1 - momentum) times as far."""
    return lambda groups: torch.optim.SGD(at_rate(groups, lr), lr=lr, momentum=momentum)


@register("optimizer", "nesterov")
def nesterov(lr: Positive, momentum: Fraction) -> Make:
    """v = momentum v + g, w -= lr (g + momentum v): the gradient counts as if taken a step ahead (Sutskever et al. 2013)."""
    if momentum == 0:
        raise UserError(
            "optimizer.momentum=0 leaves nesterov nothing to look ahead by; take one above 0, or optimizer=sgd"
        )
    return lambda groups: torch.optim.SGD(
        at_rate(groups, lr), lr=lr, momentum=momentum, nesterov=True
    )


@register("optimizer", "adagrad")
def adagrad(lr: Positive, eps: Positive) -> Make:
    """v += g^2, w -= lr g / (sqrt(v) + eps) (Duchi et al. 2011)."""
    return lambda groups: torch.optim.Adagrad(at_rate(groups, lr), lr=lr, eps=eps)


@register("optimizer", "rmsprop")
def rmsprop(lr: Positive, alpha: Fraction, eps: Positive) -> Make:
    """v = alpha v + (1 - alpha) g^2, w -= lr g / (sqrt(v) + eps) (Tieleman & Hinton 2012)."""
    return lambda groups: torch.optim.RMSprop(at_rate(groups, lr), lr=lr, alpha=alpha, eps=eps)


@register("optimizer", "adam")
def adam(lr: Positive, betas: list[Fraction], eps: Positive) -> Make:
    """w -= lr m_hat / (sqrt(v_hat) + eps) (Kingma & Ba 2015)."""
    return lambda groups: torch.optim.Adam(at_rate(groups, lr), lr=lr, betas=pair(betas), eps=eps)


@register("optimizer", "adamw")
def adamw(lr: Positive, betas: list[Fraction], eps: Positive, weight_decay: NonNegative) -> Make:
    """Adam, and w *= 1 - lr weight_decay beside it (Loshchilov & Hutter 2019)."""

    return lambda groups: torch.optim.AdamW(
        decayed(groups, lr, weight_decay), lr=lr, betas=pair(betas), eps=eps
    )


@register("optimizer", "nadam")
def nadam(lr: Positive, betas: list[Fraction], eps: Positive) -> Make:
    """Adam that looks ahead as nesterov does (Dozat 2016)."""
    return lambda groups: torch.optim.NAdam(at_rate(groups, lr), lr=lr, betas=pair(betas), eps=eps)


@register("optimizer", "radam")
def radam(lr: Positive, betas: list[Fraction], eps: Positive) -> Make:
    """Adam that steps by m_hat alone until v has seen enough to divide by (Liu et al. 2020)."""
    return lambda groups: torch.optim.RAdam(at_rate(groups, lr), lr=lr, betas=pair(betas), eps=eps)


@register("optimizer", "lion")
def lion(lr: Positive, betas: list[Fraction], weight_decay: NonNegative) -> Make:
    """Steps of one size, lr in each weight, by the sign of a momentum (Chen et al. 2023)."""
    return lambda groups: Lion(decayed(groups, lr, weight_decay), {"betas": pair(betas)})


@register("optimizer", "muon")
def muon(
    lr: Positive, momentum: Fraction, betas: list[Fraction], weight_decay: NonNegative
) -> Make:
    """Muon for the LSTMs' matrices, gate by gate (Jordan et al. 2024); AdamW for embeddings, biases and head.

    One lr serves both: Muon's is scaled to the root mean square of AdamW's steps, by .2 sqrt(max(H, I)) (Liu et al. 2025).
    """

    def make(groups: Sequence[Group]) -> Optimizer:
        whole = decayed(groups, lr, weight_decay)
        gates, others = (
            [{**g, "params": [p for p in g["params"] if holds_gates(p) == wanted]} for g in whole]
            for wanted in (True, False)
        )
        rules = [
            (
                gates,
                lambda some: Gates(some, lr=lr, momentum=momentum, adjust_lr_fn="match_rms_adamw"),
            ),
            (others, lambda some: torch.optim.AdamW(some, lr=lr, betas=pair(betas))),
        ]
        made = [rule(some) for part, rule in rules if (some := [g for g in part if g["params"]])]
        return made[0] if len(made) == 1 else CompositeOptimizer(made)

    return make


@register("optimizer", "schedule_free")
def schedule_free(
    lr: Positive, betas: list[Fraction], eps: Positive, weight_decay: NonNegative
) -> Make:
    """AdamW whose average of the weights takes the schedule's place (Defazio et al. 2024)."""
    return lambda groups: ScheduleFree(
        decayed(groups, lr, weight_decay), {"betas": pair(betas), "eps": eps}
    )


@register("optimizer", "nt_asgd")
class NonMonotonicASGD:
    """SGD; once a validation loss is worse than the best of all but the last n, the mean of the weights from there on is judged and kept.

    Merity et al. 2018. The averaging is this choice's own and stands where another recipe has its `averaging`.
    """

    def __init__(self, lr: Positive, n: PositiveInt) -> None:
        self.lr, self.n, self.averaging = lr, n, NonMonotone(n)

    def __call__(self, groups: Sequence[Group]) -> Optimizer:
        return torch.optim.SGD([{**g, "n": self.n} for g in at_rate(groups, self.lr)], lr=self.lr)


def at_rate(groups: Sequence[Group], lr: float) -> list[Group]:
    """Write each group's real learning rate, the value that every scheduler and logger reads."""
    return [{**group, "lr": lr * group["rate"]} for group in groups]


def decayed(groups: Sequence[Group], lr: float, weight_decay: float) -> list[Group]:
    """Give each group its decay as well: none to biases and embeddings."""
    return [
        {**g, "weight_decay": 0.0 if g["exempt"] else weight_decay} for g in at_rate(groups, lr)
    ]


def pair(betas: list[float]) -> tuple[float, float]:
    if len(betas) != 2:
        raise UserError(
            f"optimizer.betas={betas} must be two numbers, as in optimizer.betas=[0.9,0.999]"
        )
    return betas[0], betas[1]

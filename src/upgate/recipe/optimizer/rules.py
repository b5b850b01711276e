"""optimizer: the rule that turns gradients into steps.

A choice is a function of its knobs that returns an `OptimizerFactory`: groups in, optimizer out.
The groups come from `layerwise`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.optim import Optimizer

from upgate.config.schema import Fraction, NonNegative, Positive, PositiveInt
from upgate.errors import UserError
from upgate.recipe.averaging import NonMonotone
from upgate.recipe.optimizer.base import CompositeOptimizer, OptimizerFactory
from upgate.recipe.optimizer.lion import Lion
from upgate.recipe.optimizer.muon import GateMuon, holds_gates
from upgate.recipe.optimizer.schedule_free import ScheduleFree
from upgate.recipe.param_groups import ParamGroup, TorchGroup, with_decay, with_lr
from upgate.recipe.registry import register
from upgate.recipe.texts import say


def fused(rule: Callable[..., Optimizer], groups: list[TorchGroup], **knobs: Any) -> Optimizer:
    """PyTorch's own rule, all parameters of a group in one kernel."""
    optimizer = rule(groups, fused=True, **knobs)
    # With fp16 its kernel could unscale the gradients itself: too late for a clip, which needs them
    # unscaled before.
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return optimizer


@register("optimizer", "sgd")
def sgd(lr: Positive) -> OptimizerFactory:
    """w -= lr g: the article's traditional update."""
    return lambda groups: torch.optim.SGD(with_lr(groups, lr), lr=lr)


@register("optimizer", "momentum")
def momentum(lr: Positive, momentum: Fraction) -> OptimizerFactory:
    """v = momentum v + g, w -= lr v (Polyak 1964).

    A constant gradient is stepped 1 / (1 - momentum) times as far.
    """
    return lambda groups: torch.optim.SGD(with_lr(groups, lr), lr=lr, momentum=momentum)


@register("optimizer", "nesterov")
def nesterov(lr: Positive, momentum: Fraction) -> OptimizerFactory:
    """v = momentum v + g, w -= lr (g + momentum v) (Sutskever et al. 2013).

    The gradient counts as if taken a step ahead. Raises UserError for a momentum of 0.
    """
    if momentum == 0:
        raise UserError(say("nesterov_momentum"))
    return lambda groups: torch.optim.SGD(
        with_lr(groups, lr), lr=lr, momentum=momentum, nesterov=True
    )


@register("optimizer", "adagrad")
def adagrad(lr: Positive, eps: Positive) -> OptimizerFactory:
    """v += g^2, w -= lr g / (sqrt(v) + eps) (Duchi et al. 2011)."""
    return lambda groups: fused(torch.optim.Adagrad, with_lr(groups, lr), lr=lr, eps=eps)


@register("optimizer", "rmsprop")
def rmsprop(lr: Positive, alpha: Fraction, eps: Positive) -> OptimizerFactory:
    """v = alpha v + (1 - alpha) g^2, w -= lr g / (sqrt(v) + eps) (Tieleman & Hinton 2012)."""
    return lambda groups: torch.optim.RMSprop(with_lr(groups, lr), lr=lr, alpha=alpha, eps=eps)


@register("optimizer", "adam")
def adam(lr: Positive, betas: list[Fraction], eps: Positive) -> OptimizerFactory:
    """w -= lr m_hat / (sqrt(v_hat) + eps) (Kingma & Ba 2015)."""
    return lambda groups: fused(
        torch.optim.Adam, with_lr(groups, lr), lr=lr, betas=pair(betas), eps=eps
    )


@register("optimizer", "adamw")
def adamw(
    lr: Positive, betas: list[Fraction], eps: Positive, weight_decay: NonNegative
) -> OptimizerFactory:
    """Adam, and w *= 1 - lr weight_decay beside it (Loshchilov & Hutter 2019)."""
    return lambda groups: fused(
        torch.optim.AdamW,
        with_decay(groups, lr, weight_decay),
        lr=lr,
        betas=pair(betas),
        eps=eps,
    )


@register("optimizer", "nadam")
def nadam(lr: Positive, betas: list[Fraction], eps: Positive) -> OptimizerFactory:
    """Adam that looks ahead as nesterov does (Dozat 2016)."""
    return lambda groups: torch.optim.NAdam(
        with_lr(groups, lr), lr=lr, betas=pair(betas), eps=eps, foreach=True
    )


@register("optimizer", "radam")
def radam(lr: Positive, betas: list[Fraction], eps: Positive) -> OptimizerFactory:
    """Adam that steps by m_hat alone until v has seen enough to divide by (Liu et al. 2020)."""
    return lambda groups: torch.optim.RAdam(
        with_lr(groups, lr), lr=lr, betas=pair(betas), eps=eps, foreach=True
    )


@register("optimizer", "lion")
def lion(lr: Positive, betas: list[Fraction], weight_decay: NonNegative) -> OptimizerFactory:
    """Steps of one size, lr in each weight, by the sign of a momentum (Chen et al. 2023)."""
    return lambda groups: Lion(with_decay(groups, lr, weight_decay), {"betas": pair(betas)})


@register("optimizer", "muon")
def muon(
    lr: Positive, momentum: Fraction, betas: list[Fraction], weight_decay: NonNegative
) -> OptimizerFactory:
    """Muon for the LSTMs' matrices, gate by gate; AdamW for embeddings, biases and head.

    Jordan et al. 2024. One lr serves both: Muon's is scaled to the root mean square of AdamW's
    steps, by .2 sqrt(max(H, I)) (Liu et al. 2025).
    """

    def factory(groups: Sequence[ParamGroup]) -> Optimizer:
        made: list[Optimizer] = []
        if matrices := with_decay(select(groups, gates=True), lr, weight_decay):
            made.append(
                GateMuon(matrices, lr=lr, momentum=momentum, adjust_lr_fn="match_rms_adamw")
            )
        if others := with_decay(select(groups, gates=False), lr, weight_decay):
            made.append(fused(torch.optim.AdamW, others, lr=lr, betas=pair(betas)))
        return made[0] if len(made) == 1 else CompositeOptimizer(made)

    return factory


def select(groups: Sequence[ParamGroup], gates: bool) -> list[ParamGroup]:
    """The groups, with only those parameters that hold stacked gates, or only those that do not."""
    selected = []
    for group in groups:
        if params := [p for p in group.params if holds_gates(p) == gates]:
            selected.append(replace(group, params=params))
    return selected


@register("optimizer", "schedule_free")
def schedule_free(
    lr: Positive, betas: list[Fraction], eps: Positive, weight_decay: NonNegative
) -> OptimizerFactory:
    """AdamW whose average of the weights takes the schedule's place (Defazio et al. 2024)."""
    return lambda groups: ScheduleFree(
        with_decay(groups, lr, weight_decay), {"betas": pair(betas), "eps": eps}
    )


@register("optimizer", "nt_asgd")
class NonMonotonicASGD:
    """SGD that averages its weights once the validation loss stops falling (Merity et al. 2018).

    Once a loss is worse than the best of all but the last n, the mean of the weights from there on
    is judged and kept. The averaging is this choice's own and stands where another recipe has its
    `averaging`.
    """

    def __init__(self, lr: Positive, n: PositiveInt) -> None:
        self.lr, self.n, self.averaging = lr, n, NonMonotone(n)

    def __call__(self, groups: Sequence[ParamGroup]) -> Optimizer:
        return torch.optim.SGD(with_lr(groups, self.lr, n=self.n), lr=self.lr)


def pair(betas: list[float]) -> tuple[float, float]:
    """Two numbers as PyTorch takes them. Raises UserError for any other count."""
    if len(betas) != 2:
        raise UserError(say("two_betas", betas=str(betas)))
    return betas[0], betas[1]

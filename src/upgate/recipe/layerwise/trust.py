"""layerwise: each matrix takes a step of a given share of its own length."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.config.schema import Positive
from upgate.recipe.layerwise.base import Layerwise
from upgate.recipe.layerwise.in_backward import PrepareGradients
from upgate.recipe.optimizer.base import (
    Closure,
    OptimizerFactory,
    WrappedOptimizer,
    evaluate_closure,
)
from upgate.recipe.param_groups import TorchGroup
from upgate.recipe.registry import register
from upgate.types import Layers, StateDict


class TrustRatio(Layerwise):
    """dw = trust lr |w| u / |u|, where lr u is the optimizer's own step, momentum and decay in it.

    Biases and embeddings take lr u itself. So |dw| / (lr |w|) = trust for each matrix on every
    step, the first included: the algorithms of You et al. with phi(x) = x, and momentum inside u
    for both. Where w or u is 0 it takes lr u.
    """

    def __init__(self, trust: Positive) -> None:
        self.trust = trust
        self.logs, self.count = 0.0, 0

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        return TrustRatioOptimizer(super().optimizer(factory, layers, prepare), self.ratio)

    def ratio(self, w: Tensor, u: Tensor, lr: float) -> float:
        """What a step u, lr in it, is multiplied with."""
        length, size = float(w.norm()), float(u.norm())
        if length == 0 or size == 0:
            return 1.0
        ratio = self.trust * lr * length / size
        self.logs += math.log(ratio)
        self.count += 1
        return ratio

    def engagement(self) -> dict[str, float]:
        """The geometric mean of what the steps were multiplied with."""
        return {"trust_ratio": math.exp(self.logs / self.count)} if self.count else {}

    def state_dict(self) -> StateDict:
        return {"logs": self.logs, "count": self.count}

    def load_state_dict(self, state: StateDict) -> None:
        self.logs, self.count = state["logs"], state["count"]


@register("layerwise", "lars")
class LARS(TrustRatio):
    """Around SGD and its momenta (You et al. 2017)."""


@register("layerwise", "lamb")
class LAMB(TrustRatio):
    """Around Adam and its kin (You et al. 2020)."""


class TrustRatioOptimizer(WrappedOptimizer):
    """Bring each matrix's step to its length.

    The rule steps from 0, for beside a weight a small step would lose its digits; what it would
    have decayed is added after.
    """

    def __init__(self, inner: Optimizer, ratio: Callable[[Tensor, Tensor, float], float]) -> None:
        super().__init__(inner)
        self.ratio = ratio

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> float | None:  # type: ignore[override]
        loss = evaluate_closure(closure)
        held = []
        for group in self.param_groups:
            if not group["no_decay"]:
                held += [(group, p, p.clone()) for p in with_gradient(group)]
        for _, p, _ in held:
            p.zero_()
        self.inner.step()
        for group, p, w in held:
            u = p.sub(w, alpha=group["lr"] * group.get("weight_decay", 0.0))
            p.copy_(w.add(u, alpha=self.ratio(w, u, group["lr"])))
        return loss


def with_gradient(group: TorchGroup) -> list[nn.Parameter]:
    return [p for p in group["params"] if p.grad is not None]

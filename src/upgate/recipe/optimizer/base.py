"""What optimizers of several kinds are made of: one rule per parameter, wrappers, composites."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.recipe.param_groups import ParamGroup, TorchGroup

Closure = Callable[[], float]  # zeroes the gradients, computes the loss and its gradients
OptimizerFactory = Callable[[Sequence[ParamGroup]], Optimizer]
State = dict[str, Any]  # of one parameter, as `torch.optim` holds it


def evaluate_closure(closure: Closure | None) -> float | None:
    """The loss of a step's closure, gradients included; None without one.

    For steps that themselves run without gradients.
    """
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters that an optimizer steps."""
    return [p for group in optimizer.param_groups for p in group["params"]]


class PerParameterOptimizer(Optimizer):
    """A rule that is written for one parameter and its own state."""

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> float | None:  # type: ignore[override]
        loss = evaluate_closure(closure)
        for p, group in self.members():
            if p.grad is not None:
                self.update(p, p.grad, self.state[p], group)
        return loss

    def members(self) -> Iterator[tuple[nn.Parameter, TorchGroup]]:
        return ((p, group) for group in self.param_groups for p in group["params"])

    def update(self, w: nn.Parameter, g: Tensor, state: State, group: TorchGroup) -> None:
        raise NotImplementedError


class WrappedOptimizer(Optimizer):
    """An optimizer that does something around another's step.

    Groups and state are the inner optimizer's own: schedules reach them.
    """

    def __init__(self, inner: Optimizer) -> None:
        self.inner = inner
        super().__init__([{"params": group["params"]} for group in inner.param_groups], defaults={})
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.inner.param_groups, self.inner.state

    def state_dict(self) -> State:
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: State) -> None:
        self.inner.load_state_dict(state_dict)
        self._share()


class CompositeOptimizer(Optimizer):
    """Optimizers of different rules as one.

    Their `param_groups` are shared, not copied: schedules reach them.
    """

    state_key = "parts"  # of the checkpoint

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        groups = [{"params": g["params"]} for part in parts for g in part.param_groups]
        super().__init__(groups, defaults={})
        self._share_groups()

    def _share_groups(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Closure | None = None) -> float | None:  # type: ignore[override]
        loss = evaluate_closure(closure)
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> State:
        return {self.state_key: [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: State) -> None:
        for part, state in zip(self.parts, state_dict[self.state_key], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def leaf_optimizers(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizer, or those that it is composed of."""
    if not isinstance(optimizer, CompositeOptimizer):
        return [optimizer]
    leaves = []
    for part in optimizer.parts:
        leaves += leaf_optimizers(part)
    return leaves

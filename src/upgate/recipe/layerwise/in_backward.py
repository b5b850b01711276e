"""An optimizer made of one optimizer per layer, each stepped as soon as its layer's gradients are complete."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Prepare = Callable[
    [list[nn.Parameter]], None
]  # guards and clips the gradients of the parameters given


class InBackward(Optimizer):
    """Present per-layer optimizers to a trainer as one; `step()` finds little or nothing left to do.

    A layer's gradients are used and freed while the layers below still wait for theirs, so that at no time all gradients are
    held: memory falls, the weights come out the same. The layers' own `param_groups` are shared, not copied: schedules reach them.
    Only a backward pass inside the closure of `step` steps anything: any other leaves gradients, as it always does.
    """

    def __init__(self, layers: Sequence[Optimizer], prepare: Prepare) -> None:
        self.layers, self.prepare = list(layers), prepare
        super().__init__([{"params": params(layer)} for layer in layers], defaults={})
        self._share_groups()

    def _share_groups(self) -> None:
        self.param_groups = [group for layer in self.layers for group in layer.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Run the closure; its backward pass does the steps. What is left is a layer with a parameter that the loss does not reach."""
        loss = None
        if closure is not None:
            with stepped_when_complete(self.layers, self.prepare):
                loss = closure()
        for layer in self.layers:
            layer.step()  # passes over what has no gradient
            layer.zero_grad(set_to_none=True)
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"layers": [layer.state_dict() for layer in self.layers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for layer, state in zip(self.layers, state_dict["layers"], strict=True):
            layer.load_state_dict(state)
        self._share_groups()


@contextmanager
def stepped_when_complete(layers: Sequence[Optimizer], prepare: Prepare) -> Iterator[None]:
    """Meanwhile, step a layer when its last gradient arrives, and free its gradients."""

    def hook(layer: Optimizer) -> Callable[[Tensor], None]:
        def arrived(_: Tensor) -> None:
            if all(p.grad is not None for p in params(layer)):
                prepare(params(layer))
                layer.step()
                layer.zero_grad(set_to_none=True)

        return arrived

    handles = [
        p.register_post_accumulate_grad_hook(hook(layer)) for layer in layers for p in params(layer)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def evaluated(closure: Callable[[], float] | None) -> float | None:
    """The loss of a step's closure, gradients included; None without one. For steps that themselves run without gradients."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def params(optimizer: Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]

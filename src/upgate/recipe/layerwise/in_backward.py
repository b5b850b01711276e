"""An optimizer made of one per layer, each stepped once its layer's gradients are complete."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.recipe.optimizer.base import Closure, CompositeOptimizer, parameters

PrepareGradients = Callable[[list[nn.Parameter]], None]  # guards and clips the gradients of these


class InBackward(CompositeOptimizer):
    """Present per-layer optimizers to a trainer as one; `step()` finds little left to do.

    A layer's gradients are used and freed while the layers below still wait for theirs, so that at
    no time all gradients are held: memory falls, the weights come out the same. Only a backward
    pass inside the closure of `step` steps anything: any other leaves gradients, as it always does.
    """

    state_key = "layers"

    def __init__(self, layers: Sequence[Optimizer], prepare: PrepareGradients) -> None:
        super().__init__(layers)
        self.prepare = prepare

    def step(self, closure: Closure | None = None) -> float | None:  # type: ignore[override]
        """Run the closure; its backward pass does the steps.

        What is left is a layer with a parameter that the loss does not reach.
        """
        loss = None
        if closure is not None:
            with stepped_when_complete(self.parts, self.prepare):
                loss = closure()
        for layer in self.parts:
            layer.step()  # passes over what has no gradient
            layer.zero_grad(set_to_none=True)
        return loss


@contextmanager
def stepped_when_complete(layers: Sequence[Optimizer], prepare: PrepareGradients) -> Iterator[None]:
    """Meanwhile, step a layer when its last gradient arrives, and free its gradients."""

    def step_if_complete(layer: Optimizer) -> Callable[[Tensor], None]:
        def hook(_: Tensor) -> None:
            params = parameters(layer)
            if all(p.grad is not None for p in params):
                prepare(params)
                layer.step()
                layer.zero_grad(set_to_none=True)

        return hook

    handles = []
    for layer in layers:
        for p in parameters(layer):
            handles.append(p.register_post_accumulate_grad_hook(step_if_complete(layer)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

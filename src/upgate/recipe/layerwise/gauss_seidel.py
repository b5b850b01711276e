"""layerwise: one block after the other within a step, each with the gradient that the blocks before it leave."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from torch import nn
from torch.optim import Optimizer

from upgate.config.schema import PositiveInt
from upgate.errors import UserError
from upgate.recipe.layerwise.base import Layers, Layerwise, WrappedOptimizer
from upgate.recipe.layerwise.blocks import Block, blocks_of, too_many
from upgate.recipe.layerwise.in_backward import Prepare
from upgate.recipe.optimizer.rules import Make
from upgate.recipe.registry import register


@register("layerwise", "gauss_seidel")
class GaussSeidel(Layerwise):
    """Forward, backward and step for each block, from the bottom up, the head last: as many passes as blocks (Beck & Tetruashvili 2013).

    `blocks` neighbouring layers are taken together until there are so many blocks; null: each LSTM layer and the head.
    """

    def __init__(self, blocks: PositiveInt | None) -> None:
        self.number = blocks
        self.blocks: list[Block] = []
        self.passes: Counter[str] = Counter()
        self.done = 0

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        single = blocks_of(layers)
        number = self.number or len(single)
        if number > len(single):
            raise UserError(too_many("blocks", number, len(single)))
        cuts = [round(i * len(single) / number) for i in range(number + 1)]
        self.blocks = [together(single[a:b]) for a, b in pairwise(cuts)]
        thaw(self.blocks)
        return GaussSeidelOptimizer(
            super().optimizer(make, layers, prepare), self.blocks, self.passes
        )

    def after_step(self) -> None:
        self.done += 1

    def engagement(self) -> dict[str, float]:
        return {
            f"passes_per_step/{name}": self.passes[name] / max(1, self.done)
            for name, _ in self.blocks
        }

    def state_dict(self) -> dict[str, Any]:
        return {"passes": dict(self.passes), "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.passes.update(state["passes"])
        self.done = state["done"]


class GaussSeidelOptimizer(WrappedOptimizer):
    """Step one block at a time; while it is its turn, the others are frozen, so that what lies below costs no backward."""

    def __init__(self, inner: Optimizer, blocks: Sequence[Block], passes: Counter[str]) -> None:
        super().__init__(inner)
        self.blocks, self.passes = list(blocks), passes

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Run the closure once for each block; return the first loss, which is that of the weights before the step."""
        if closure is None:
            self.inner.step()
            return None
        losses = []
        for name, params in self.blocks:
            freeze_all_but(params, self.blocks)
            losses.append(closure())
            self.inner.step()
            self.passes[name] += 1
        thaw(self.blocks)
        self.inner.zero_grad(set_to_none=True)
        return losses[0]


def together(blocks: Sequence[Block]) -> Block:
    return "_".join(name for name, _ in blocks), [p for _, params in blocks for p in params]


def freeze_all_but(params: Sequence[nn.Parameter], blocks: Sequence[Block]) -> None:
    kept = {id(p) for p in params}
    for _, own in blocks:
        for p in own:
            p.requires_grad_(id(p) in kept)
            if id(p) not in kept:
                p.grad = None


def thaw(blocks: Sequence[Block]) -> None:
    for _, params in blocks:
        for p in params:
            p.requires_grad_(True)

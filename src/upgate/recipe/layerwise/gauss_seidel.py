"""layerwise: one block after the other within a step, each after the updates before it."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from torch.optim import Optimizer

from upgate.config.schema import PositiveInt
from upgate.errors import UserError
from upgate.recipe.layerwise.base import Layerwise
from upgate.recipe.layerwise.blocks import Block, freeze_others, make_blocks, too_many, unfreeze
from upgate.recipe.layerwise.in_backward import PrepareGradients
from upgate.recipe.optimizer.base import Closure, OptimizerFactory, WrappedOptimizer
from upgate.recipe.registry import register
from upgate.types import Layers, StateDict


@register("layerwise", "gauss_seidel")
class GaussSeidel(Layerwise):
    """Forward, backward and step for each block, from the bottom up, the head last.

    As many passes as blocks (Beck & Tetruashvili 2013). Neighbouring layers are joined until there
    are `blocks` blocks; null: each LSTM layer and the head.
    """

    def __init__(self, blocks: PositiveInt | None) -> None:
        self.number = blocks
        self.blocks: list[Block] = []
        self.passes: Counter[str] = Counter()
        self.done = 0

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        single = make_blocks(layers)
        number = self.number or len(single)
        if number > len(single):
            raise UserError(too_many("blocks", number, len(single)))
        cuts = [round(i * len(single) / number) for i in range(number + 1)]
        self.blocks = [join(single[a:b]) for a, b in pairwise(cuts)]
        unfreeze(self.blocks)
        inner = super().optimizer(factory, layers, prepare)
        return GaussSeidelOptimizer(inner, self.blocks, self.passes)

    def after_step(self) -> None:
        self.done += 1

    def engagement(self) -> dict[str, float]:
        steps = max(1, self.done)
        return {f"passes_per_step/{name}": self.passes[name] / steps for name, _ in self.blocks}

    def state_dict(self) -> StateDict:
        return {"passes": dict(self.passes), "done": self.done}

    def load_state_dict(self, state: StateDict) -> None:
        self.passes.update(state["passes"])
        self.done = state["done"]


class GaussSeidelOptimizer(WrappedOptimizer):
    """Step one block at a time.

    While it is a block's turn, the others are frozen, so that what lies below costs no backward.
    """

    def __init__(self, inner: Optimizer, blocks: Sequence[Block], passes: Counter[str]) -> None:
        super().__init__(inner)
        self.blocks, self.passes = list(blocks), passes

    def step(self, closure: Closure | None = None) -> float | None:  # type: ignore[override]
        """Run the closure once for each block.

        Returns the first loss, which is that of the weights before the step.
        """
        if closure is None:
            self.inner.step()
            return None
        losses = []
        for block in self.blocks:
            freeze_others([block], self.blocks)
            losses.append(closure())
            self.inner.step()
            self.passes[block[0]] += 1
        unfreeze(self.blocks)
        self.inner.zero_grad(set_to_none=True)
        return losses[0]


def join(blocks: Sequence[Block]) -> Block:
    """One block of several, its name theirs joined by "_"."""
    return "_".join(name for name, _ in blocks), [p for _, params in blocks for p in params]

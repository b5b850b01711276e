"""layerwise: which blocks are trained at a step, by its number, by lot, or by their gradients."""

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.config.schema import Fraction, PositiveInt
from upgate.errors import UserError
from upgate.generators import generator
from upgate.recipe.layerwise.blocks import Blocks, too_many
from upgate.recipe.layerwise.in_backward import PrepareGradients
from upgate.recipe.optimizer.base import OptimizerFactory, leaf_optimizers
from upgate.recipe.registry import register
from upgate.types import Layers, StateDict


@register("layerwise", "unfreeze")
class GradualUnfreezing(Blocks):
    """The head alone, then one block more from the top after each `share` of the run.

    Gradual unfreezing, Howard & Ruder 2018.
    """

    def __init__(self, share: Fraction) -> None:
        super().__init__()
        self.share = share

    def active(self) -> Collection[int]:
        return range(self.lower - stage(self.done, self.share, self.total, self.lower), self.lower)


@register("layerwise", "chain_thaw")
class ChainThaw(Blocks):
    """Each by itself for a `share` of the run: the head, then the blocks from the bottom up.

    Then all together (Felbo et al. 2017).
    """

    def __init__(self, share: Fraction) -> None:
        super().__init__()
        self.share = share

    def turn(self) -> None:
        number = self.lower + 1
        now = stage(self.done, self.share, self.total, number)
        self.trained = list(range(number)) if now > self.lower else [(now - 1) % number]
        self.freeze()


class BlockWindows(Blocks):
    """`active` blocks at a time, for `steps` steps."""

    def __init__(self, steps: PositiveInt, active: PositiveInt) -> None:
        super().__init__()
        self.steps, self.at_once = steps, active

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        optimizer = super().optimizer(factory, layers, prepare)
        check_active(self.at_once, self.lower)
        return optimizer


@register("layerwise", "cyclic")
class Cyclic(BlockWindows):
    """Blocks in turn, from the top down; a block's optimizer state is cleared after its window.

    BAdam, Luo et al. 2024. Of the orders that the authors' code offers, the one whose first windows
    are the cheapest; theirs by default reshuffles each cycle.
    """

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        optimizer = super().optimizer(factory, layers, prepare)
        self.fresh: list[tuple[Optimizer, dict[Tensor, Any]]] = []  # the states at the start
        for leaf in leaf_optimizers(optimizer):
            self.fresh.append((leaf, {p: deepcopy(state) for p, state in leaf.state.items()}))
        return optimizer

    def active(self) -> Collection[int]:
        first = self.done // self.steps * self.at_once
        return {self.lower - 1 - i % self.lower for i in range(first, first + self.at_once)}

    def turn(self) -> None:
        before = self.trained
        super().turn()
        for position in set(before) - set(self.trained):
            self.clear(self.blocks[position][1])

    def clear(self, params: Sequence[nn.Parameter]) -> None:
        """Put these parameters' state back to what the optimizer was built with: mostly nothing."""
        for optimizer, fresh in self.fresh:
            for p in params:
                optimizer.state.pop(p, None)
                if p in fresh:
                    optimizer.state[p] = deepcopy(fresh[p])


@register("layerwise", "random_blocks")
class RandomBlocks(BlockWindows):
    """Blocks drawn anew for each window, the same ones again by chance (LISA, Pan et al. 2024).

    A frozen block's optimizer state waits for its next turn; the authors' code (LMFlow) drops it,
    to save memory.
    """

    def __init__(self, steps: PositiveInt, active: PositiveInt) -> None:
        super().__init__(steps, active)
        self.drawn: list[int] = []
        self.generator: torch.Generator | None = None

    def start(self, seed: int, total_steps: int) -> None:
        if self.generator is None:
            self.generator = generator(seed, "layerwise", "random_blocks")
        super().start(seed, total_steps)

    def draw(self) -> None:
        self.drawn = torch.randperm(self.lower, generator=self.generator)[: self.at_once].tolist()

    def active(self) -> Collection[int]:
        if not self.drawn:
            self.draw()
        return self.drawn

    def after_step(self) -> None:
        if (self.done + 1) % self.steps == 0:
            self.draw()
        super().after_step()

    def state_dict(self) -> StateDict:
        state = super().state_dict()
        if self.generator is not None:
            state |= {"drawn": self.drawn, "generator": self.generator.get_state()}
        return state

    def load_state_dict(self, state: StateDict) -> None:
        super().load_state_dict(state)
        if "generator" in state:
            self.drawn, self.generator = list(state["drawn"]), torch.Generator()
            self.generator.set_state(state["generator"])


@register("layerwise", "greedy")
class Greedy(Blocks):
    """At each step the `active` blocks of the largest gradient, |g|^2.

    Gauss-Southwell, Nutini et al. 2015. Saves no time: all gradients are computed before the
    choice.
    """

    def __init__(self, active: PositiveInt) -> None:
        super().__init__()
        self.at_once = active

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        optimizer = super().optimizer(factory, layers, prepare)
        check_active(self.at_once, self.lower)
        return optimizer

    def active(self) -> Collection[int]:
        return range(self.lower)  # until the gradients are there

    def cost(self, names: Collection[str]) -> float:
        return 1.0

    def after_backward(self) -> None:
        norms = torch.stack([gradient_norm(params).cpu() for _, params in self.blocks[:-1]])
        largest = norms.topk(self.at_once).indices  # NaN counts as the largest
        self.trained = sorted([*largest.tolist(), self.lower])
        self.freeze()


def gradient_norm(params: Sequence[nn.Parameter]) -> Tensor:
    return nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])


def stage(done: int, share: float, total: int, last: int) -> int:
    """How many stages of `share` of the run have passed, `last` at most."""
    return last if share == 0 else min(last, int(done / (share * total) + 1e-9))


def check_active(active: int, layers: int) -> None:
    """Raise UserError where more blocks are to be trained at once than there are."""
    if active > layers:
        raise UserError(too_many("active", active, layers))

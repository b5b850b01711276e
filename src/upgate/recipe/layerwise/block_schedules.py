"""layerwise: which blocks are trained at a step, by the step's number, by lot, or by their gradients."""

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from upgate.config.schema import Fraction, PositiveInt
from upgate.errors import UserError
from upgate.recipe.layerwise.base import Layers
from upgate.recipe.layerwise.blocks import Blocks, too_many
from upgate.recipe.layerwise.in_backward import Prepare
from upgate.recipe.optimizer.rules import Make
from upgate.recipe.registry import register
from upgate.seeds import generator


@register("layerwise", "unfreeze")
class GradualUnfreezing(Blocks):
    """The head alone, then one block more from the top after each `share` of the run (gradual unfreezing, Howard & Ruder 2018)."""

    def __init__(self, share: Fraction) -> None:
        super().__init__()
        self.share = share

    def active(self) -> Collection[int]:
        return range(self.lower - stage(self.done, self.share, self.total, self.lower), self.lower)


@register("layerwise", "chain_thaw")
class ChainThaw(Blocks):
    """Each by itself for a `share` of the run: the head, then the blocks from the bottom up; then all together (Felbo et al. 2017)."""

    def __init__(self, share: Fraction) -> None:
        super().__init__()
        self.share = share

    def turn(self) -> None:
        now = stage(self.done, self.share, self.total, self.lower + 1)
        self.on = (
            list(range(self.lower + 1)) if now > self.lower else [(now - 1) % (self.lower + 1)]
        )
        self.freeze()


class BlockWindows(Blocks):
    """`active` blocks at a time, for `steps` steps."""

    def __init__(self, steps: PositiveInt, active: PositiveInt) -> None:
        super().__init__()
        self.steps, self.at_once = steps, active

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        optimizer = super().optimizer(make, layers, prepare)
        check_active(self.at_once, self.lower)
        return optimizer


@register("layerwise", "cyclic")
class Cyclic(BlockWindows):
    """Blocks in turn, from the top down; a block's optimizer state is cleared when its window ends (BAdam, Luo et al. 2024).

    Of the orders that the authors' code offers, the one whose first windows are the cheapest; theirs by default reshuffles each cycle.
    """

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        optimizer = super().optimizer(make, layers, prepare)
        self.kept = [
            (one, {p: deepcopy(state) for p, state in one.state.items()})
            for one in parts_of(optimizer)
        ]
        return optimizer

    def active(self) -> Collection[int]:
        first = self.done // self.steps * self.at_once
        return {self.lower - 1 - place % self.lower for place in range(first, first + self.at_once)}

    def turn(self) -> None:
        before = self.on
        super().turn()
        for place in set(before) - set(self.on):
            self.clear(self.blocks[place][1])

    def clear(self, params: Sequence[nn.Parameter]) -> None:
        """Put these parameters' state back to what the optimizer was built with: for most, nothing."""
        for optimizer, fresh in self.kept:
            for p in params:
                optimizer.state.pop(p, None)
                if p in fresh:
                    optimizer.state[p] = deepcopy(fresh[p])


@register("layerwise", "random_blocks")
class RandomBlocks(BlockWindows):
    """Blocks drawn anew for each window, the same ones again by chance (LISA, Pan et al. 2024).

    A frozen block's optimizer state waits for its next turn; the authors' code (LMFlow) drops it, to save memory.
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

    def state_dict(self) -> dict[str, Any]:
        drawn = (
            {}
            if self.generator is None
            else {"drawn": self.drawn, "generator": self.generator.get_state()}
        )
        return super().state_dict() | drawn

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if "generator" in state:
            self.drawn, self.generator = list(state["drawn"]), torch.Generator()
            self.generator.set_state(state["generator"])


@register("layerwise", "greedy")
class Greedy(Blocks):
    """At each step the `active` blocks of the largest gradient, |g|^2 (Gauss-Southwell, Nutini et al. 2015).

    Saves no time: the whole gradient is there before the choice.
    """

    def __init__(self, active: PositiveInt) -> None:
        super().__init__()
        self.at_once = active

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        optimizer = super().optimizer(make, layers, prepare)
        check_active(self.at_once, self.lower)
        return optimizer

    def active(self) -> Collection[int]:
        return range(self.lower)  # until the gradients are there

    def cost(self, names: Collection[str]) -> float:
        return 1.0

    def after_backward(self) -> None:
        norms = [
            nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
            for _, params in self.blocks[:-1]
        ]
        chosen = (
            torch.stack([norm.cpu() for norm in norms]).topk(self.at_once).indices
        )  # NaN counts as the largest
        self.on = sorted([*chosen.tolist(), self.lower])
        self.freeze()


def stage(done: int, share: float, total: int, last: int) -> int:
    """How many stages of `share` of the run have passed, `last` at most."""
    return last if share == 0 else min(last, int(done / (share * total) + 1e-9))


def check_active(active: int, layers: int) -> None:
    if active > layers:
        raise UserError(too_many("active", active, layers))


def parts_of(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizer, or those that it is made of."""
    parts = getattr(optimizer, "parts", None)
    return [optimizer] if parts is None else [one for part in parts for one in parts_of(part)]

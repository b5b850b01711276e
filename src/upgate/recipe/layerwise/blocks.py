"""Blocks of layers of which only some are trained at a time; what lies below the lowest of those costs no backward pass.

A block is an LSTM layer, the lowest one with the embedding; the head is trained at every step, but for chain_thaw. A frozen block's
gradient is None and asks for none: neither momentum nor decay moves it, and a shrinkage after the step passes over it too.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Collection
from statistics import median
from typing import Any

from torch import nn
from torch.optim import Optimizer

from upgate.recipe.layerwise.base import Layers, Layerwise
from upgate.recipe.layerwise.cost import cost_share, sizes
from upgate.recipe.layerwise.in_backward import Prepare
from upgate.recipe.optimizer.rules import Make

Block = tuple[str, list[nn.Parameter]]


class Blocks(Layerwise):
    """Train the blocks that `active` names for the step at hand; the last of `blocks` is the head."""

    def __init__(self) -> None:
        self.done, self.total = 0, 0  # steps
        self.blocks: list[Block] = []
        self.on: list[int] = []
        self.visits: Counter[str] = Counter()
        self.seconds: defaultdict[str, list[float]] = defaultdict(
            list
        )  # of the steps on each active set
        self._since: float | None = None

    def active(self) -> Collection[int]:
        """The places of the blocks, the head aside, that are trained at step `done`."""
        raise NotImplementedError

    @property
    def lower(self) -> int:
        """The number of blocks below the head."""
        return len(self.blocks) - 1

    def optimizer(self, make: Make, layers: Layers, prepare: Prepare) -> Optimizer:
        self.blocks = blocks_of(layers)
        for _, params in self.blocks:
            for p in params:
                p.requires_grad_(True)
        self.sizes = [sizes(layer) for name, layer in layers if name.startswith("lstm")]
        self.embedding = any(
            isinstance(m, nn.Embedding) for _, layer in layers for m in layer.modules()
        )
        return super().optimizer(make, layers, prepare)

    def start(self, seed: int, total_steps: int) -> None:
        self.total = total_steps
        if self.blocks:  # an optimizer has been made
            self.turn()

    def turn(self) -> None:
        """Freeze all blocks but those whose turn it is."""
        self.on = sorted({*self.active(), self.lower})
        self.freeze()

    def freeze(self) -> None:
        for place, (_, params) in enumerate(self.blocks):
            for p in params:
                p.requires_grad_(place in self.on)
                if place not in self.on:
                    p.grad = None

    def before_step(self) -> None:
        self._since = time.perf_counter()

    def after_step(self) -> None:
        if self._since is not None:
            self.seconds[self.label(self.on)].append(time.perf_counter() - self._since)
        self.visits.update(self.blocks[place][0] for place in self.on)
        self.done += 1
        self.turn()

    def label(self, on: Collection[int]) -> str:
        """The active LSTM layers' names; the head's where there is none."""
        return "_".join(self.blocks[place][0] for place in on if place != self.lower) or "head"

    def engagement(self) -> dict[str, float]:
        return {
            f"active_share/{name}": self.visits[name] / max(1, self.done) for name, _ in self.blocks
        }

    def timing(self) -> dict[str, float]:
        """Median seconds of a step on each active set, and the formula's share of a joint step."""
        seconds = {
            f"seconds_per_step/{label}": median(times) for label, times in self.seconds.items()
        }
        return seconds | {
            f"cost_share/{label}": self.cost(label.split("_")) for label in self.seconds
        }

    def cost(self, names: Collection[str]) -> float:
        """The formula's share of a joint step when these blocks are trained."""
        return cost_share(
            self.sizes,
            [i for i, (name, _) in enumerate(self.blocks[:-1]) if name in names],
            self.embedding,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done, "visits": dict(self.visits), "seconds": dict(self.seconds)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done, self.visits = state["done"], Counter(state["visits"])
        self.seconds = defaultdict(
            list, {label: list(seconds) for label, seconds in state["seconds"].items()}
        )


def blocks_of(layers: Layers) -> list[Block]:
    """Name and parameters of each block, bottom to top: LSTM layers, the lowest with what is below it, then the head."""
    blocks: list[Block] = []
    below: list[nn.Parameter] = []
    for name, layer in layers:
        own = list(layer.parameters())
        if name.startswith("lstm") or name == layers[-1][0]:
            blocks.append((name, below + own))
            below = []
        else:
            below += own
    return blocks


def too_many(key: str, asked: int, there: int) -> str:
    return f"layerwise.{key}={asked} is more than the model's {there} blocks of layers; take {there} or fewer"

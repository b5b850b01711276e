"""Blocks of layers of which only some are trained at a time.

What lies below the lowest trained block costs no backward pass. A block is an LSTM layer, the
lowest one with the embedding; the head is trained at every step, but for chain_thaw. A frozen
block's gradient is None and asks for none: neither momentum nor decay moves it, and a shrinkage
after the step passes over it too.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from statistics import median

from torch import nn
from torch.optim import Optimizer

from upgate.recipe.layerwise.base import Layerwise
from upgate.recipe.layerwise.cost import cost_share, lstm_sizes
from upgate.recipe.layerwise.in_backward import PrepareGradients
from upgate.recipe.optimizer.base import OptimizerFactory
from upgate.recipe.texts import say
from upgate.types import Layers, StateDict

Block = tuple[str, list[nn.Parameter]]  # its name and its parameters


class Blocks(Layerwise):
    """Train the blocks that `active` names for this step; the last of `blocks` is the head."""

    def __init__(self) -> None:
        self.done, self.total = 0, 0  # steps
        self.blocks: list[Block] = []
        self.trained: list[int] = []  # positions of the blocks that are trained at this step
        self.visits: Counter[str] = Counter()  # steps in which a block was trained
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)  # by set of blocks
        self._since: float | None = None

    def active(self) -> Collection[int]:
        """Positions of the blocks, the head aside, that are trained at step `done`."""
        raise NotImplementedError

    @property
    def lower(self) -> int:
        """The number of blocks below the head."""
        return len(self.blocks) - 1

    def optimizer(
        self, factory: OptimizerFactory, layers: Layers, prepare: PrepareGradients
    ) -> Optimizer:
        self.blocks = make_blocks(layers)
        unfreeze(self.blocks)
        self.sizes = [lstm_sizes(layer) for name, layer in layers if name.startswith("lstm")]
        self.embedding = any(holds_embedding(layer) for _, layer in layers)
        return super().optimizer(factory, layers, prepare)

    def start(self, seed: int, total_steps: int) -> None:
        self.total = total_steps
        if self.blocks:  # an optimizer has been made
            self.turn()

    def turn(self) -> None:
        """Freeze all blocks but those whose turn it is."""
        self.trained = sorted({*self.active(), self.lower})
        self.freeze()

    def freeze(self) -> None:
        """Freeze all blocks but those in `trained`."""
        freeze_others([self.blocks[i] for i in self.trained], self.blocks)

    def before_step(self) -> None:
        self._since = time.perf_counter()

    def after_step(self) -> None:
        if self._since is not None:
            self.seconds[self.label(self.trained)].append(time.perf_counter() - self._since)
        self.visits.update(self.blocks[i][0] for i in self.trained)
        self.done += 1
        self.turn()

    def label(self, trained: Collection[int]) -> str:
        """The trained LSTM layers' names; the head's where there is none."""
        return "_".join(self.blocks[i][0] for i in trained if i != self.lower) or "head"

    def engagement(self) -> dict[str, float]:
        """The share of the steps in which each block was trained."""
        steps = max(1, self.done)
        return {f"active_share/{name}": self.visits[name] / steps for name, _ in self.blocks}

    def timing(self) -> dict[str, float]:
        """Median seconds of a step on each set of blocks, and its share by the formula."""
        timing = {f"seconds_per_step/{label}": median(s) for label, s in self.seconds.items()}
        for label in self.seconds:
            timing[f"cost_share/{label}"] = self.cost(label.split("_"))
        return timing

    def cost(self, names: Collection[str]) -> float:
        """The formula's share of a joint step when these blocks are trained."""
        active = [i for i, (name, _) in enumerate(self.blocks[:-1]) if name in names]
        return cost_share(self.sizes, active, self.embedding)

    def state_dict(self) -> StateDict:
        return {"done": self.done, "visits": dict(self.visits), "seconds": dict(self.seconds)}

    def load_state_dict(self, state: StateDict) -> None:
        self.done, self.visits = state["done"], Counter(state["visits"])
        self.seconds = defaultdict(list)
        for label, seconds in state["seconds"].items():
            self.seconds[label] = list(seconds)


def make_blocks(layers: Layers) -> list[Block]:
    """Each block, bottom to top: LSTM layers, the lowest with what is below it, then the head."""
    blocks: list[Block] = []
    below: list[nn.Parameter] = []
    for name, layer in layers:
        params = list(layer.parameters())
        if name.startswith("lstm") or name == layers[-1][0]:
            blocks.append((name, below + params))
            below = []
        else:
            below += params
    return blocks


def freeze_others(kept: Iterable[Block], blocks: Iterable[Block]) -> None:
    """Train the blocks `kept` alone; the others lose their gradients."""
    trained = {id(p) for _, params in kept for p in params}
    for _, params in blocks:
        for p in params:
            p.requires_grad_(id(p) in trained)
            if id(p) not in trained:
                p.grad = None


def unfreeze(blocks: Iterable[Block]) -> None:
    for _, params in blocks:
        for p in params:
            p.requires_grad_(True)


def holds_embedding(layer: nn.Module) -> bool:
    return any(isinstance(m, nn.Embedding) for m in layer.modules())


def too_many(key: str, value: int, available: int) -> str:
    """The refusal of more blocks than the model has."""
    return say("too_many_blocks", key=key, value=value, available=available)

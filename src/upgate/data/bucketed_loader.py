"""Batches of texts of similar length, so that little of the work is on padding.

Otherwise as `DeterministicLoader`, resuming included.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from upgate.data.loader import DeterministicLoader
from upgate.generators import generator

# Batches that are sorted together: more saves padding, but makes the batches of two epochs more
# alike.
POOL = 50


class BucketedLoader(DeterministicLoader):
    """Batches of similar length: `lengths[row]` is the length of the entry `row` of `index`.

    Each epoch shuffles, sorts by length within pools of POOL batches, and puts the batches in
    random order. Only the short last batch stays as it was drawn: it is a fair sample, not the
    longest texts, also where `drop_last` leaves it out. With `seed=None` (evaluation) the longest
    come first, and `inverse` restores the order of `index`.
    """

    def __init__(
        self,
        take: Callable[[Tensor], Any],
        index: Tensor,
        lengths: Tensor,
        batch_size: int,
        seed: int | None,
        drop_last: bool = False,
    ) -> None:
        super().__init__(take, index, batch_size, seed, drop_last)
        self.lengths = lengths

    def order(self, epoch: int) -> Tensor:
        """The entries of `index` in the order of this epoch, (n,)."""
        if self.seed is None:
            return self.index[self._longest_first()]
        drawn = super().order(epoch)
        full, rest = drawn.tensor_split([len(drawn) // self.batch_size * self.batch_size])
        pools = full.split(POOL * self.batch_size)
        ordered = [pool[self.lengths[pool].argsort(stable=True)] for pool in pools]
        batches = torch.cat(ordered).view(-1, self.batch_size)
        draws = generator(self.seed, "batches", epoch)
        shuffled = batches[torch.randperm(len(batches), generator=draws)]
        return torch.cat([shuffled.flatten(), rest])

    def inverse(self) -> Tensor:
        """p, (n,), so that `torch.cat(outputs)[p]` is in the order of `index`; for `seed=None`."""
        return self._longest_first().argsort()

    def _longest_first(self) -> Tensor:
        return self.lengths[self.index].argsort(descending=True, stable=True)

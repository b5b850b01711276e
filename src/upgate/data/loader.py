"""Batches out of memory; batch k of epoch e is a pure function of (seed, e, k).

So a run resumes exactly. How Lightning 2.6.6 treats such a loader (`fit_loop.py`,
`combined_loader.py`; held by `tests/data/test_loader.py`):
- it calls `iter()` once only to see that it can, then `load_state_dict`, then `iter()` again, then
  `set_epoch`, and only then `next()`: so nothing may happen before the first `next()` (`__iter__`
  is a generator function);
- a checkpoint from `on_train_epoch_end` restores no loader state at all (`restarting` is False),
  but every epoch starts with `loader.sampler.set_epoch(epochs done)`: the epoch comes from there;
- a checkpoint from inside an epoch (the validation at its end is inside) restores the state and
  sets the same epoch: then, and only then, the position counts.

With `Trainer(max_steps=...)` Lightning itself loses its position after a checkpoint from
`on_train_epoch_end`: it trains on one batch as an epoch of its own, or skips an epoch's number,
whatever the loader. So bound a run by `max_epochs`.
"""

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import torch
from torch import Tensor

from upgate.generators import generator


class DeterministicLoader:
    """Iterates over `take(rows)` of `index` in batches; each pass is the next epoch, reshuffled.

    `take` turns a batch of entries of `index`, (B,) int64, into the model's input. With `seed=None`
    the order is that of `index` (evaluation). An interrupted pass is not continued: the next one is
    the next epoch.
    """

    batch_sampler = None  # Lightning asks for it wherever there is a `sampler`

    def __init__(
        self,
        take: Callable[[Tensor], Any],
        index: Tensor,
        batch_size: int,
        seed: int | None,
        drop_last: bool = False,
    ) -> None:
        self.take, self.index, self.batch_size, self.seed = take, index, batch_size, seed
        self.length = len(index) // batch_size if drop_last else ceil(len(index) / batch_size)
        self.epoch, self.position = 0, 0  # position: batches of this epoch that were handed out
        # Where the next pass starts; None: at the next epoch.
        self._start: tuple[int, int] | None = (0, 0)

    def __len__(self) -> int:
        return self.length

    def order(self, epoch: int) -> Tensor:
        """The entries of `index` in the order of this epoch, (n,)."""
        if self.seed is None:
            return self.index
        draws = generator(self.seed, "order", epoch)
        return self.index[torch.randperm(len(self.index), generator=draws)]

    def __iter__(self) -> Iterator[Any]:
        self.epoch, first = self._start or (self.epoch + 1, 0)
        self._start = None
        batches = self.order(self.epoch).split(self.batch_size)[first : self.length]
        for k, rows in enumerate(batches, start=first):
            # Before it is used: a checkpoint taken after the step counts the batch as done.
            self.position = k + 1
            yield self.take(rows if self.seed is None else share(rows))

    @property
    def sampler(self) -> "DeterministicLoader":
        return self

    def set_epoch(self, epoch: int) -> None:
        """Start the next pass at the beginning of `epoch`, unless a loaded state points into it."""
        if self._start is None or self._start[0] != epoch:
            self._start = (epoch, 0)

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next pass where the state was taken: the rest of that epoch, if any."""
        self._start = self.epoch, self.position = state["epoch"], state["position"]


def share(rows: Tensor) -> Tensor:
    """This process's part of a batch where several processes train one run.

    Together they take the batch that one process would. A batch of fewer rows than processes is
    taken by each of them in full.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return rows[rank::world] if len(rows) >= world else rows

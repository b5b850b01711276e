"""The base of the tasks' LightningDataModules: the tensors of one fold, shared by its runs."""

from copy import copy
from typing import Any, ClassVar, Self

import lightning.pytorch as pl
import torch

from upgate.data.loader import DeterministicLoader


class FoldDataModule(pl.LightningDataModule):
    """Loaders over the parts train, validation and test of one fold.

    A subclass gives `batches` and `sizes`. `with_batching` sets what differs between runs.
    """

    batch_size, seed, skip = 0, 0, False
    evaluation_batch: ClassVar[int] = 1024  # results do not depend on it

    def with_batching(self, batch_size: int, seed: int, skip: bool = False) -> Self:
        """A view with a run's batch size and seed; it shares the tensors.

        skip: batches hold the reference's forecast too, as "skip", in the network's units.
        """
        view = copy(self)
        view.batch_size, view.seed, view.skip = batch_size, seed, skip
        return view

    def batches(self, part: str, batch_size: int, seed: int | None) -> DeterministicLoader:
        """Batches of a part, shuffled by the seed; with None in a fixed order, for evaluation."""
        raise NotImplementedError

    def part(self, name: str) -> DeterministicLoader:
        """A part in large batches, for evaluation."""
        return self.batches(name, self.evaluation_batch, None)

    def train_dataloader(self) -> DeterministicLoader:
        return self.batches("train", self.batch_size, self.seed)

    def val_dataloader(self) -> DeterministicLoader:
        return self.part("validation")

    def test_dataloader(self) -> DeterministicLoader:
        return self.part("test")

    def predict_dataloader(self) -> DeterministicLoader:
        return self.part("test")

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Batches are made on the CPU: there, Lightning would walk through them for nothing."""
        if device.type == "cpu":
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of samples in each part."""
        raise NotImplementedError

    @property
    def notes(self) -> dict[str, int]:
        """What was left out or treated in another way: a phrase and a count each."""
        return {}

"""What both tasks' LightningDataModules have in common: the tensors of one fold, shared by all runs on it."""

from typing import Any

import lightning.pytorch as pl
import torch


class FoldDataModule(pl.LightningDataModule):
    """`train_dataloader` follows `batch_size` and `seed`; `part` gives whole batches of train, validation or test for evaluation."""

    batch_size, seed = 0, 0

    def loads(self, batch_size: int, seed: int) -> "FoldDataModule":
        """Set what one run of many on these tensors needs."""
        self.batch_size, self.seed = batch_size, seed
        return self

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Batches are made on the CPU: there, Lightning's walk through them would find nothing to move."""
        return (
            batch
            if device.type == "cpu"
            else super().transfer_batch_to_device(batch, device, dataloader_idx)
        )

    def part(self, name: str) -> Any:
        raise NotImplementedError

    @property
    def sizes(self) -> dict[str, int]:
        """Samples in each part."""
        raise NotImplementedError

    @property
    def notes(self) -> dict[str, int]:
        """What was left out or treated otherwise, in words, counted."""
        return {}

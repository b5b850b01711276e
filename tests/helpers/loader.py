"""Lightning's trainer around one weight: what it draws from a loader, and what it saves."""

from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor

EPOCHS = 4


class Recorder(pl.LightningModule):
    """Trains one weight on sums of batches; saves one checkpoint at a hook of its choice."""

    def __init__(self, hook: str = "", step: int = 0, path: Path | None = None) -> None:
        super().__init__()
        self.hook, self.step, self.path = hook, step, path
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.rows: list[list[int]] = []
        self.weights: list[float] = []
        self.saved_after = 0

    def training_step(self, batch: Tensor, _: int) -> Tensor:
        self.rows.append(batch.tolist())
        self.weights.append(self.weight.item())
        return (self.weight - batch.float().mean() / 100) ** 2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)

    def _save(self, hook: str) -> None:
        if (hook, self.trainer.global_step) == (self.hook, self.step):
            self.trainer.save_checkpoint(self.path)
            self.saved_after = len(self.rows)

    def on_train_batch_end(self, *_: object) -> None:
        self._save("batch")

    def on_validation_end(self) -> None:
        self._save("validation")

    def on_train_epoch_end(self) -> None:
        self._save("epoch")


class Validating(Recorder):
    def validation_step(self, batch: Tensor, _: int) -> None: ...


def trainer(**changed) -> pl.Trainer:
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return pl.Trainer(**{"max_epochs": EPOCHS, "accelerator": "cpu", **quiet, **changed})

"""The LightningModule under both tasks: it hands each moment of training to the recipe's parts."""

import ctypes
import sys
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from upgate.recipe.layerwise import Layers
from upgate.recipe.recipe import Recipe

Batch = dict[str, Tensor]
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from malloc.h


class Learner(pl.LightningModule):
    """A net, a recipe, and plain hyperparameters that go into the checkpoint.

    A task says what its loss is (`loss`), and what its net is made of, bottom to top (`layers`).
    """

    def __init__(self, net: nn.Module, recipe: Recipe, hyperparameters: dict[str, Any]) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self.save_hyperparameters(hyperparameters)
        self.validation_loss = MeanMetric()
        self.train_loss = MeanMetric()
        self.update_ratio: dict[str, float] = {}
        recipe.bind(net)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        raise NotImplementedError

    def layers(self) -> Layers:
        raise NotImplementedError

    def forward(self, batch: Batch) -> Tensor:
        return self.net(batch)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = self.loss(self.net(batch), batch)
        self.train_loss.update(loss.detach())
        return self.recipe.penalty(loss)

    def validation_step(self, batch: Batch, index: int) -> None:
        self.validation_loss.update(self.loss(self.net(batch), batch), weight=len(batch["y"]))

    def predict_step(self, batch: Batch, index: int) -> Tensor:
        return self.net(batch)

    def configure_optimizers(self) -> Any:
        total = int(self.trainer.estimated_stepping_batches)
        optimizer = self.recipe.optimizer(self.layers(), self.net)
        scheduler = self.recipe.scheduler(optimizer, total)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_fit_start(self) -> None:
        keep_freed_memory()
        self.recipe.start(self.net, self.device, int(self.trainer.estimated_stepping_batches))

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        self.recipe.gradients([p for group in optimizer.param_groups for p in group["params"]])

    def optimizer_step(self, epoch: int, batch_index: int, optimizer: Any, closure: Any = None) -> None:
        before = self._weights() if batch_index == 0 else None
        super().optimizer_step(epoch, batch_index, optimizer, closure)
        self.recipe.after_step(optimizer)
        if before is not None:
            self._measure_update(before)

    def _weights(self) -> dict[str, Tensor]:
        return {n: nn.utils.parameters_to_vector(m.parameters()).detach().clone() for n, m in self.layers()}

    def _measure_update(self, before: dict[str, Tensor]) -> None:
        """Update-to-weight ratio of each layer, |w' - w| / |w|, at the first step of an epoch."""
        after = self._weights()
        self.update_ratio = {n: float((after[n] - before[n]).norm() / before[n].norm()) for n in before}

    def on_validation_start(self) -> None:
        self.validation_loss.reset()
        if not self.trainer.sanity_checking:
            self.recipe.averaging.swap()

    def on_validation_end(self) -> None:  # after the callbacks' hooks: the best checkpoint holds the average
        if not self.trainer.sanity_checking:
            self.recipe.averaging.swap()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "optimizer_states" in checkpoint:
            checkpoint["recipe"] = self.recipe.state_dict()
            checkpoint["torch_rng"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "recipe" in checkpoint:  # a full checkpoint; the kept one holds weights only
            self.recipe.load_state_dict(checkpoint["recipe"])
            torch.set_rng_state(checkpoint["torch_rng"])


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next step.

    Else it may return an LSTM's workspace to the kernel and fault it in again at every step, depending on what else lies on the heap:
    for 60 days, 2 layers of 64 and batch 64 that is 4,300 page faults a step, and about 40% of its time.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):  # musl has none
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)

"""The LightningModule under both tasks: it hands each moment of training to the recipe's parts."""

import ctypes
import sys
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from upgate.recipe.engagement import gate_numbers, learning_rates, update_ratio, vectors
from upgate.recipe.layerwise.base import Layers
from upgate.recipe.recipe import Recipe

Batch = dict[str, Tensor]
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from malloc.h


class LossMean:
    """The losses of an epoch's steps and their mean. Appending costs a step nothing; a metric's update is 1% of a small one."""

    def __init__(self) -> None:
        self.values: list[Tensor] = []

    def update(self, loss: Tensor) -> None:
        self.values.append(loss)

    def compute(self) -> Tensor:
        """Without those that are not numbers; NaN where none is."""
        return torch.stack(self.values).nanmean() if self.values else torch.tensor(torch.nan)

    def reset(self) -> None:
        self.values = []


class RecipeModule(pl.LightningModule):
    """A net, a recipe, and plain hyperparameters that go into the checkpoint.

    A task says what its loss is (`loss`), and what its net is made of, bottom to top (`layers`).
    """

    def __init__(self, net: nn.Module, recipe: Recipe, hyperparameters: dict[str, Any]) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self.save_hyperparameters(hyperparameters)
        self.validation_loss = MeanMetric()
        self.validation_score = MeanMetric()
        self.train_loss = LossMean()
        self.measured: dict[str, float] = {}  # in this epoch, for its record
        recipe.bind(net)
        self.auxiliary = (
            recipe.auxiliary
        )  # what is trained beside the net, and of no use to a prediction; no parameters, mostly

    def __setattr__(self, name: str, value: Any) -> None:
        """Lightning notes the hook that it is in, 47 times a step: nn.Module's look for a parameter in it takes 1% of a small step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        raise NotImplementedError

    def score(self, output: Tensor, batch: Batch) -> Tensor:
        """What stopping compares, lower is better: the loss, unless the task is judged by something else."""
        return self.loss(output, batch)

    def layers(self) -> Layers:
        raise NotImplementedError

    def forward(self, batch: Batch) -> Tensor:
        return self.net(batch)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        return self.recipe.training_loss(self, batch)

    def validation_step(self, batch: Batch, index: int) -> None:
        output, n = self.net(batch), len(batch["y"])
        self.validation_loss.update(self.loss(output, batch), weight=n)
        self.validation_score.update(self.score(output, batch), weight=n)
        if index == 0:
            self.measured |= gate_numbers(self.net, self.layers(), batch)

    def predict_step(self, batch: Batch, index: int) -> Tensor:
        return self.net(batch)

    def configure_optimizers(self) -> Any:
        total = int(self.trainer.estimated_stepping_batches)
        optimizer = self.recipe.optimizer(self.layers(), self)
        scheduler = self.recipe.scheduler(optimizer, total)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_fit_start(self) -> None:
        keep_freed_memory()
        self.recipe.start(self.net, self.device, int(self.trainer.estimated_stepping_batches))

    def on_train_epoch_start(self) -> None:
        self.measured = {}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        self.recipe.layerwise.after_backward()
        self.recipe.gradients([p for group in optimizer.param_groups for p in group["params"]])

    def optimizer_step(
        self, epoch: int, batch_index: int, optimizer: Any, closure: Any = None
    ) -> None:
        before = None if self.measured else vectors(self.layers())  # the first step of an epoch
        self.recipe.layerwise.before_step()
        super().optimizer_step(epoch, batch_index, optimizer, closure)
        self.recipe.after_step(optimizer)
        self.measured |= learning_rates(optimizer)
        if before is not None:
            self.measured |= update_ratio(before, vectors(self.layers()))

    def on_validation_start(self) -> None:
        self.validation_loss.reset()
        self.validation_score.reset()
        if not self.trainer.sanity_checking:
            self.recipe.evaluate(True)

    def on_validation_end(
        self,
    ) -> None:  # after the callbacks' hooks: the best checkpoint holds the average
        if not self.trainer.sanity_checking:
            self.recipe.evaluate(False)
            self.recipe.validated(float(self.validation_loss.compute()))

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

"""The LightningModule under all tasks: it hands each moment of training to the recipe's parts."""

import ctypes
import sys
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from upgate.recipe.engagement import gate_numbers, layer_vectors, learning_rates, update_ratio
from upgate.recipe.param_groups import rename_old_keys
from upgate.recipe.recipe import Recipe
from upgate.types import Batch, Layers, StateDict

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from malloc.h


class LossMean:
    """The losses of an epoch's steps and their mean.

    Appending costs a step nothing; a metric's update is 1% of a small one.
    """

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
        self._validation = ExitStack()
        recipe.attach(net)
        # Trained beside the net, and of no use to a prediction; mostly without parameters.
        self.auxiliary = recipe.auxiliary

    def __setattr__(self, name: str, value: Any) -> None:
        """Lightning notes the hook that it is in, 47 times a step.

        nn.Module's look for a parameter in it takes 1% of a small step.
        """
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        raise NotImplementedError

    def score(self, output: Tensor, batch: Batch) -> Tensor:
        """What stopping compares, lower is better: the loss, unless a task says otherwise."""
        return self.loss(output, batch)

    def layers(self) -> Layers:
        raise NotImplementedError

    def forward(self, batch: Batch) -> Tensor:
        return self.net(batch)

    def replay_forward(self, batch: Batch) -> Tensor:
        """The net's output under the masks of this step's first forward pass."""
        return self.recipe.replay_forward(self.net, batch)

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
        optimizer = self.recipe.make_optimizer(self.layers(), self)
        scheduler = self.recipe.make_scheduler(optimizer, total)
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
        params = [p for group in optimizer.param_groups for p in group["params"]]
        self.recipe.gradient_guard(params)

    def optimizer_step(
        self, epoch: int, batch_index: int, optimizer: Any, closure: Any = None
    ) -> None:
        is_first = not self.measured  # of an epoch
        before = layer_vectors(self.layers()) if is_first else {}
        self.recipe.layerwise.before_step()
        super().optimizer_step(epoch, batch_index, optimizer, closure)
        self.recipe.after_step(optimizer)
        self.measured |= learning_rates(optimizer)
        if is_first:
            self.measured |= update_ratio(before, layer_vectors(self.layers()))

    def on_validation_start(self) -> None:
        self.validation_loss.reset()
        self.validation_score.reset()
        if not self.trainer.sanity_checking:
            self._validation.enter_context(self.recipe.averaged_weights())

    def on_validation_end(self) -> None:
        """After the callbacks' hooks: the best checkpoint holds the average."""
        if not self.trainer.sanity_checking:
            self._validation.close()
            self.recipe.validated(float(self.validation_loss.compute()))

    def on_save_checkpoint(self, checkpoint: StateDict) -> None:
        if "optimizer_states" in checkpoint:
            checkpoint["recipe"] = self.recipe.state_dict()
            checkpoint["torch_rng"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: StateDict) -> None:
        if "recipe" in checkpoint:  # a full checkpoint; the kept one holds weights only
            self.recipe.load_state_dict(checkpoint["recipe"])
            torch.set_rng_state(checkpoint["torch_rng"])
        if "optimizer_states" in checkpoint:
            checkpoint["optimizer_states"] = rename_old_keys(checkpoint["optimizer_states"])


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next step.

    Else it may return an LSTM's workspace to the kernel and fault it in again at every step,
    depending on what else lies on the heap: for 60 days, 2 layers of 64 and batch 64 that is 4,300
    page faults a step, and about 40% of its time.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):  # musl has none
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)

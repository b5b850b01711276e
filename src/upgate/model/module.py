"""The LightningModule under all tasks: it hands each moment of training to the recipe's parts."""

import ctypes
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.trainer.states import TrainerFn
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
    Any Trainer may train it. At the end of each epoch it logs `train/loss`, `val/loss` and
    `val/score`, for callbacks and loggers, and for loggers what the parts did, as `engagement/...`;
    a test logs `test/loss` and `test/score`. Steps log nothing, so they pay nothing.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, hyperparameters: dict[str, Any]) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self.save_hyperparameters(hyperparameters)
        self.validation_loss = MeanMetric()
        self.validation_score = MeanMetric()
        self.train_loss = LossMean()
        self.measured: dict[str, float] = {}  # in this epoch, for its record
        self.is_best = False  # whether the last validation's weights are the best by stopping
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
        self._score(batch)
        if index == 0:
            self.measured |= gate_numbers(self.net, self.layers(), batch)

    def test_step(self, batch: Batch, index: int) -> None:
        self._score(batch)

    def _score(self, batch: Batch) -> None:
        output, n = self.evaluate(batch), len(batch["y"])
        self.validation_loss.update(self.loss(output, batch), weight=n)
        self.validation_score.update(self.score(output, batch), weight=n)

    def _reset_scores(self) -> None:
        self.validation_loss.reset()
        self.validation_score.reset()

    def scores(self) -> dict[str, Tensor]:
        """Of the part that was evaluated last: what is logged, by name."""
        return {"loss": self.validation_loss.compute(), "score": self.validation_score.compute()}

    def _log_epoch(self, part: str, values: Mapping[str, float | Tensor]) -> None:
        for name, value in values.items():
            self.log(f"{part}/{name}", value, on_epoch=True, batch_size=1, sync_dist=True)

    @property
    def _fitting(self) -> bool:
        return self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING

    def predict_step(self, batch: Batch, index: int) -> Tensor:
        return self.evaluate(batch)

    def evaluate(self, batch: Batch) -> Tensor:
        """The net's output where nothing is trained; a task may take the batch in pieces."""
        output: Tensor = self.net(batch)
        return output

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

    def on_train_start(self) -> None:
        done = self.recipe.stopping.done()  # resumed after its last epoch
        self.trainer.should_stop = self.trainer.should_stop or done

    def on_train_epoch_start(self) -> None:
        self.measured = {}
        self.train_loss.reset()

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train", {"loss": self.train_loss.compute()})
        if self.trainer.loggers:
            self._log_epoch("engagement", self.measured | self.recipe.engagement())

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
        self._reset_scores()
        if not self.trainer.sanity_checking:
            self._validation.enter_context(self.recipe.averaged_weights())

    def on_validation_epoch_end(self) -> None:
        """Before the callbacks' `on_validation_end`: a checkpoint to go on from holds the weights
        that are trained.
        """
        self._validation.close()
        self._log_epoch("val", self.scores())
        if self._fitting and not self.trainer.sanity_checking:
            stopping = self.recipe.stopping
            score = float(self.validation_score.compute())
            self.is_best = stopping.update(score, self.current_epoch)
            self.trainer.should_stop = self.trainer.should_stop or stopping.done()

    def on_validation_end(self) -> None:
        if self._fitting and not self.trainer.sanity_checking:
            self.recipe.validated(float(self.validation_loss.compute()))

    def on_test_start(self) -> None:
        self._reset_scores()
        self.recipe.end_training()

    def on_test_epoch_end(self) -> None:
        self._log_epoch("test", self.scores())

    def on_predict_start(self) -> None:
        self.recipe.end_training()

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The weights are taken for those that are judged until the next fit starts."""
        self.recipe.in_training = False
        return super().load_state_dict(*args, **kwargs)

    def on_save_checkpoint(self, checkpoint: StateDict) -> None:
        with self.recipe.averaged_weights():
            judged = {name: value.detach().clone() for name, value in self.state_dict().items()}
        if "optimizer_states" not in checkpoint:
            checkpoint["state_dict"] = judged
            return
        checkpoint["recipe"] = self.recipe.state_dict()
        checkpoint["torch_rng"] = torch.get_rng_state()
        if any(not torch.equal(w, judged[name]) for name, w in self.state_dict().items()):
            checkpoint["judged"] = judged

    def on_load_checkpoint(self, checkpoint: StateDict) -> None:
        """To go on, the weights that were trained; else those that are judged."""
        if not self._fitting:
            checkpoint["state_dict"] = checkpoint.get("judged", checkpoint["state_dict"])
            return
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

"""Train the shared network on arrays: the recipe, Lightning's loop, and what is kept of them."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from upgate.config.values import SpecValues
from upgate.data.loader import DeterministicLoader
from upgate.errors import UserError
from upgate.recipe.gradient_guard import Diverged
from upgate.run.callbacks import EpochMetrics
from upgate.run.train import quiet
from upgate.tasks.generic import SequenceModule, SequenceNet
from upgate.types import Batch

EVALUATION_BATCH = 1024
Array = np.ndarray[Any, Any]


class ArrayModule(SequenceModule):
    """Squared error where the net has one output, cross-entropy over several."""

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        if output.dim() == 1:
            return F.mse_loss(output, batch["y"])
        return F.cross_entropy(output, batch["y"])


class KeepBest(pl.Callback):
    """Hold the weights of the validation that the recipe's stopping calls the best."""

    def __init__(self) -> None:
        self.weights: dict[str, Array] | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.is_best and pl_module.recipe.stopping.keeps_best:
            with pl_module.recipe.averaged_weights():
                self.weights = copy_weights(pl_module.net)


@dataclass(frozen=True)
class FittedNet:
    """The kept weights by name, a point per epoch, and what the parts did."""

    weights: dict[str, Array]
    curve: list[dict[str, float]]
    engagement: dict[str, float]


def fit_arrays(
    spec: SpecValues,
    outputs: int,
    x: Array,
    y: Array,
    held_out: Sequence[int],
    batch_size: int,
    max_epochs: int,
) -> FittedNet:
    """Train on x, (n, T, F), and y, (n,), float or int64; `held_out` are the rows of validation.

    Raises UserError where the gradients stay non-finite.
    """
    module = ArrayModule(spec, x.shape[2], outputs, {})
    validation = torch.as_tensor(held_out, dtype=torch.int64)
    rows = torch.ones(len(x), dtype=torch.bool)
    rows[validation] = False
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    def take(chosen: Tensor) -> Batch:
        return {"x": inputs[chosen], "y": targets[chosen]}

    train = DeterministicLoader(take, rows.nonzero()[:, 0], batch_size, spec["seed"])
    evaluate = DeterministicLoader(take, validation, EVALUATION_BATCH, None)
    curve, best = EpochMetrics(lambda point, step: None), KeepBest()
    with warnings.catch_warnings():
        quiet()
        trainer = plain_trainer(max_epochs, 1.0 if len(validation) else 0, [curve, best])
        try:
            trainer.fit(module, train, evaluate)
        except Diverged as error:
            raise UserError(f"{error}: take a smaller lr, or clip='norm'") from None
    module.recipe.end_training()
    kept = copy_weights(module.net) if best.weights is None else best.weights
    return FittedNet(kept, curve.points, module.recipe.engagement())


def plain_trainer(
    max_epochs: int, limit_val_batches: float, callbacks: list[pl.Callback]
) -> pl.Trainer:
    """Lightning's Trainer on the CPU; nothing is logged or kept but by `callbacks`."""
    return pl.Trainer(
        max_epochs=max_epochs,
        accelerator="cpu",
        callbacks=callbacks,
        limit_val_batches=limit_val_batches,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def copy_weights(net: torch.nn.Module) -> dict[str, Array]:
    return {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}


def predict_arrays(
    weights: Mapping[str, Array], model: Mapping[str, Any], outputs: int, x: Array
) -> Array:
    """The outputs for x, (n, T, F): (n,) or (n, K), float64.

    In double precision, so that a row's output does not depend on the rows beside it.
    """
    with torch.random.fork_rng(devices=[]):
        net = SequenceNet(x.shape[2], outputs, model)
    net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    net = net.double().eval()
    with torch.inference_mode():
        parts = [net({"x": part}) for part in torch.from_numpy(x).split(EVALUATION_BATCH)]
    found: Array = torch.cat(parts).numpy()
    return found

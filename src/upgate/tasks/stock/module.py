"""Prices: the shared backbone, a linear head, mean squared error on the scaled target."""

from typing import Self, Unpack

import torch.nn.functional as F
from torch import Tensor

from upgate.config.keywords import RecipeWords
from upgate.config.values import Section, SpecValues
from upgate.model.backbone import ModelWords
from upgate.tasks.generic import SequenceModule
from upgate.tasks.keywords import Given, net_spec
from upgate.tasks.stock.datamodule import StockDataModule
from upgate.types import Batch


class StockModule(SequenceModule):
    """Regression of the scaled target, (B, T, F) -> (B,).

    `spec`: a RunSpec's plain values; `scaling`: the fitted transforms; `skip`: the fitted
    reference of model.skip=reference, which a prediction needs.
    """

    def __init__(self, spec: SpecValues, scaling: Section, skip: Section | None = None) -> None:
        state = {"scaling": scaling} | ({} if skip is None else {"skip": skip})
        super().__init__(spec, len(spec["task"]["features"]), 1, state)

    @classmethod
    def create(
        cls,
        data: StockDataModule,
        *,
        model: ModelWords | None = None,
        seed: int = 0,
        **recipe: Unpack[RecipeWords],
    ) -> Self:
        """For a Trainer of one's own: the network for these data, and its recipe.

        The recipe is `upgraded` where nothing else is said. Raises UserError.
        """
        task = data.settings
        given = Given("stock", {key: task[key] for key in ("target", "window")}, model, recipe)
        spec = net_spec(given, task, seed, data.skip)
        return cls(spec, data.tensors.scaling, data.reference_skip[0] if data.skip else None)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return F.mse_loss(output, batch["y"])

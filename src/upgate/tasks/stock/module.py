"""Prices: the shared backbone, a linear head, mean squared error on the scaled target."""

import torch.nn.functional as F
from torch import Tensor

from upgate.config.values import Section, SpecValues
from upgate.tasks.generic import SequenceModule
from upgate.types import Batch


class StockModule(SequenceModule):
    """Regression of the scaled target, (B, T, F) -> (B,).

    `spec`: a RunSpec's plain values; `scaling`: the fitted transforms; `skip`: the fitted
    reference of model.skip=reference, which a prediction needs.
    """

    def __init__(self, spec: SpecValues, scaling: Section, skip: Section | None = None) -> None:
        state = {"scaling": scaling} | ({} if skip is None else {"skip": skip})
        super().__init__(spec, len(spec["task"]["features"]), 1, state)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return F.mse_loss(output, batch["y"])

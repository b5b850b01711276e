"""Stock prices: the shared backbone, a linear head, mean squared error on the scaled target."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upgate.model.backbone import Head, backbone_of, stack
from upgate.model.module import Batch, RecipeModule
from upgate.recipe.layerwise.base import Layers
from upgate.recipe.recipe import Recipe
from upgate.seeds import derive


class StockNet(nn.Module):
    """{"x": (B, T, F)} -> (B,) scaled forecasts."""

    def __init__(self, features: int, model: dict[str, Any]) -> None:
        super().__init__()
        self.backbone = backbone_of(features, model)
        self.head = Head(self.backbone.width, 1)
        self.taps = self.backbone.taps

    def forward(self, batch: Batch) -> Tensor:
        return self.head(self.backbone(batch["x"])).squeeze(-1)


class StockModule(RecipeModule):
    """Regression of the scaled target; `spec` is a RunSpec's plain values, `scaling` the fitted transforms."""

    net: StockNet

    def __init__(self, spec: dict[str, Any], scaling: dict[str, Any]) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(derive(spec["seed"], "init"))
            net = StockNet(len(spec["task"]["features"]), spec["model"])
        super().__init__(
            net, Recipe(spec["recipe"], spec["seed"]), {"spec": spec, "scaling": scaling}
        )

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return F.mse_loss(output, batch["y"])

    def layers(self) -> Layers:
        return stack(self.net.backbone, self.net.head)

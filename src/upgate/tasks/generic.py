"""The network of a task whose input is a sequence of numbers: backbone and linear head."""

from torch import Tensor, nn

from upgate.config.values import Section, SpecValues
from upgate.generators import seeded
from upgate.model.backbone import Head, build_backbone, layer_groups
from upgate.model.module import RecipeModule
from upgate.recipe.recipe import Recipe
from upgate.types import Batch, Layers


class SequenceNet(nn.Module):
    """{"x": (B, T, F)} -> (B, K); (B,) where K is 1.

    With model.skip=reference the output is the batch's "skip", a reference's forecast, plus what
    the head adds to it.
    """

    def __init__(self, features: int, outputs: int, model: Section) -> None:
        super().__init__()
        self.skip = "skip" in model
        self.backbone = build_backbone(features, model)
        self.head = Head(self.backbone.width, outputs)
        self.activation_hooks = self.backbone.activation_hooks

    def forward(self, batch: Batch) -> Tensor:
        output = self.head(self.backbone(batch["x"]))
        output = output.squeeze(-1) if self.head.out_features == 1 else output
        return output + batch["skip"] if self.skip else output


class SequenceModule(RecipeModule):
    """A SequenceNet with its recipe; a subclass gives `loss`.

    `spec`: a RunSpec's plain values. `state`: what a prediction needs beside it, plain values that
    go into the checkpoint as hyperparameters.
    """

    net: SequenceNet

    def __init__(self, spec: SpecValues, features: int, outputs: int, state: Section) -> None:
        with seeded(spec["seed"], "init"):
            net = SequenceNet(features, outputs, spec["model"])
        super().__init__(net, Recipe(spec["recipe"], spec["seed"]), {"spec": spec, **state})
        if net.skip:  # training starts at the reference
            nn.init.zeros_(net.head.weight)
            nn.init.zeros_(net.head.bias)

    def layers(self) -> Layers:
        return layer_groups(self.net.backbone, self.net.head)

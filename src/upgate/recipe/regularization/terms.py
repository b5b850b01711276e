"""regularization: terms of the training loss that are made of what the net computed."""

import torch.nn.functional as F
from torch import Tensor, nn

from upgate.config.schema import Fraction, NonNegative
from upgate.recipe.registry import register
from upgate.recipe.regularization.base import (
    ActivationHook,
    Regularizer,
    activation_hooks,
    valid_steps,
)
from upgate.types import Batch, TrainedModule


@register("regularization", "activation")
class ActivationRegularization(Regularizer):
    """AR and TAR: alpha mean(h_dropped^2) + beta mean((h_t - h_{t-1})^2) (Merity et al. 2018).

    Over the last layer's sequence. h_dropped is what is left of h when all other regularizers have
    masked it, as in AWD-LSTM; without any it is h. Means are over valid steps and units; a text of
    one token has no pair of steps.
    """

    def __init__(self, alpha: NonNegative, beta: NonNegative) -> None:
        self.alpha, self.beta = alpha, beta
        self.h: dict[str, Tensor] = {}

    def attach(self, net: nn.Module) -> None:
        activation_hooks(net)["output"].insert(0, self.keep("raw"))
        activation_hooks(net)["dropped"].append(self.keep("dropped"))

    def keep(self, name: str) -> ActivationHook:
        def hook(h: Tensor) -> Tensor:
            self.h[name] = h
            return h

        return hook

    def loss_term(
        self, loss: Tensor, output: Tensor, module: TrainedModule, batch: Batch
    ) -> Tensor:
        raw, dropped = self.h.pop("raw").float(), self.h.pop("dropped").float()  # (B, T, D)
        valid = valid_steps(raw, batch)
        ar, tar = mean_square(dropped, valid), mean_square(raw[:, 1:] - raw[:, :-1], valid[:, 1:])
        return self.alpha * ar + self.beta * tar


def mean_square(h: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid steps and units; 0 where no step is valid."""
    return (h.square() * valid).sum() / (valid.sum() * h.shape[-1]).clamp_min(1)


@register("regularization", "label_smoothing")
class LabelSmoothing(Regularizer):
    """Train towards (1 - smoothing) for the right class and smoothing / K for each, it included.

    Szegedy et al. 2016. The term is the difference to the plain cross-entropy, which stays the loss
    of curves and metrics.
    """

    required_input = "classes"

    def __init__(self, smoothing: Fraction) -> None:
        self.smoothing = smoothing

    def loss_term(
        self, loss: Tensor, output: Tensor, module: TrainedModule, batch: Batch
    ) -> Tensor:
        return F.cross_entropy(output, batch["y"], label_smoothing=self.smoothing) - loss

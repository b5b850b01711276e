"""Regularizers that add a term to the training loss, made of what the net said or of what it would say to other embeddings."""

from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upgate.config.schema import Fraction, NonNegative, Positive
from upgate.recipe.registry import register
from upgate.recipe.regularization.base import Regularizer, valid_steps

if TYPE_CHECKING:
    from upgate.model.module import Batch, RecipeModule


@register("regularization", "activation")
class ActivationRegularization(Regularizer):
    """AR and TAR: alpha mean(h_dropped^2) + beta mean((h_t - h_{t-1})^2) over the last layer's sequence (Merity et al. 2018).

    h_dropped is what is left of h when all other regularizers have masked it, as in AWD-LSTM; without any it is h. Means are over valid
    steps and units; a text of one token has no pair of steps.
    """

    def __init__(self, alpha: NonNegative, beta: NonNegative) -> None:
        self.alpha, self.beta = alpha, beta
        self.h: dict[str, Tensor] = {}

    def attach(self, net: nn.Module) -> None:
        net.taps["output"].insert(0, self.keep("raw"))  # type: ignore[index, union-attr]
        net.taps["dropped"].append(self.keep("dropped"))  # type: ignore[index, union-attr]

    def keep(self, name: str) -> Any:
        def tap(h: Tensor) -> Tensor:
            self.h[name] = h
            return h

        return tap

    def term(self, loss: Tensor, output: Tensor, learner: "RecipeModule", batch: "Batch") -> Tensor:
        raw, dropped = self.h.pop("raw").float(), self.h.pop("dropped").float()  # (B, T, D)
        valid = valid_steps(raw, batch)
        ar, tar = mean_square(dropped, valid), mean_square(raw[:, 1:] - raw[:, :-1], valid[:, 1:])
        return self.alpha * ar + self.beta * tar


def mean_square(h: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid steps and units; 0 where no step is valid."""
    return (h.square() * valid).sum() / (valid.sum() * h.shape[-1]).clamp_min(1)


@register("regularization", "label_smoothing")
class LabelSmoothing(Regularizer):
    """Train towards (1 - smoothing) for the right class and smoothing / K for each, the right one too (Szegedy et al. 2016).

    The term is the difference to the plain cross-entropy, which stays the loss of curves and metrics.
    """

    needs = "classes"

    def __init__(self, smoothing: Fraction) -> None:
        self.smoothing = smoothing

    def term(self, loss: Tensor, output: Tensor, learner: "RecipeModule", batch: "Batch") -> Tensor:
        return F.cross_entropy(output, batch["y"], label_smoothing=self.smoothing) - loss


@register("regularization", "adversarial")
class AdversarialTraining(Regularizer):
    """weight * loss at x + r, r the worst small change of a text's embeddings x, |r| = eps over the text (Miyato et al. 2017).

    plain: r = eps g / |g|, g the loss's gradient at x; the term is the loss there. virtual needs no label: r is the direction in which
    the output's distribution turns fastest, found from a random start of norm xi by one power iteration, and the term is KL there.

    Norms are in units of normalised embeddings, as in the source, so that embeddings cannot outgrow eps; but here the net reads its
    embeddings as they are, and each component of r is multiplied by that component's spread over the batch's tokens: the same function
    of the same normalised embeddings, and a prediction needs no frequencies. Passes of one step share their masks, so that r is the only
    difference; r is added below the masks. Cost: one pass forth and two back more (virtual: two forth and two back).
    """

    needs, again = "tokens", True

    def __init__(
        self, mode: Literal["plain", "virtual"], eps: Positive, weight: NonNegative, xi: Positive
    ) -> None:
        self.mode, self.eps, self.weight, self.xi = mode, eps, weight, xi
        self.x: Tensor | None = None  # embeddings of the step's first pass, (B, T, D)
        self.r: Tensor | None = None  # what the pass under way adds to them

    def attach(self, net: nn.Module) -> None:
        net.taps["input"].insert(0, self.tap)  # type: ignore[index, union-attr]

    def tap(self, x: Tensor) -> Tensor:
        if self.r is not None:
            return x + self.r
        self.x = x if x.requires_grad else x.detach().requires_grad_()  # a frozen embedding's
        return self.x

    def term(self, loss: Tensor, output: Tensor, learner: "RecipeModule", batch: "Batch") -> Tensor:
        x, self.x = self.x, None
        assert x is not None
        table: Tensor = learner.net.embedding.weight  # type: ignore[union-attr, assignment]
        scale = spread(table.detach()[batch["x"]], valid_steps(x, batch))
        if self.mode == "plain":
            (g,) = torch.autograd.grad(loss * len(x), x, retain_graph=True)
            worse = learner.loss(
                self.output_at(self.eps * unit(g * scale) * scale, learner, batch), batch
            )
            gain = float((worse - loss).detach())
        else:
            worse = self.virtual(output.detach(), x, scale, learner, batch)
            gain = float(worse.detach())
        self.note(gain=gain, raised=float(gain > 0))
        return self.weight * worse

    def virtual(
        self, output: Tensor, x: Tensor, scale: Tensor, learner: "RecipeModule", batch: "Batch"
    ) -> Tensor:
        d = torch.randn(x.shape, device=x.device, generator=self.generator) * valid_steps(x, batch)
        d = (self.xi * unit(d)).requires_grad_()
        (g,) = torch.autograd.grad(
            divergence(output, self.output_at(d * scale, learner, batch)) * len(x), d
        )
        return divergence(output, self.output_at(self.eps * unit(g) * scale, learner, batch))

    def output_at(self, r: Tensor, learner: "RecipeModule", batch: "Batch") -> Tensor:
        """The net's output for embeddings x + r, under the masks of the first pass."""
        self.r = r
        output = learner.recipe.replay_forward(learner.net, batch)
        self.r = None
        return output


def unit(d: Tensor) -> Tensor:
    """Each sequence's d, (B, T, D), over its norm; 0 stays 0. Divided by its largest number first: a gradient's squares may underflow."""
    d = d / d.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(d.dtype).tiny)
    return d / d.square().sum((1, 2), keepdim=True).sqrt().clamp_min(torch.finfo(d.dtype).tiny)


def spread(embedded: Tensor, valid: Tensor) -> Tensor:
    """Standard deviation of each component over the batch's tokens, (B, T, D) -> (D,): its variance weighted by frequency."""
    n = valid.sum()
    mean = (embedded * valid).sum((0, 1)) / n
    return (((embedded - mean).square() * valid).sum((0, 1)) / n + 1e-6).sqrt()


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of two (B, K) logits, in nats, mean over the batch."""
    return F.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="batchmean", log_target=True)

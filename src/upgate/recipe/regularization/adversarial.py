"""regularization: the loss at the worst small change of a text's embeddings."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upgate.config.schema import NonNegative, Positive
from upgate.recipe.registry import register
from upgate.recipe.regularization.base import Regularizer, activation_hooks, valid_steps
from upgate.types import Batch, TrainedModule


@register("regularization", "adversarial")
class AdversarialTraining(Regularizer):
    """weight * loss at x + r, r the worst change of a text's embeddings x with |r| = eps.

    Miyato et al. 2017. plain: r = eps g / |g|, g the loss's gradient at x; the term is the loss
    there. virtual needs no label: r is the direction in which the output's distribution turns
    fastest, from a random start of norm xi by one power iteration, and the term is KL there.

    Norms are over the text and in units of normalised embeddings, as in the source, so that
    embeddings cannot outgrow eps; but here the net reads its embeddings as they are, and each
    component of r is multiplied by that component's spread over the batch's tokens: the same
    function of the same normalised embeddings, and a prediction needs no frequencies. Passes of one
    step share their masks, so that r is the only difference; r is added below the masks.

    Cost: one pass forth and two back more (virtual: two forth and two back).
    """

    required_input, needs_second_forward = "tokens", True

    def __init__(
        self, mode: Literal["plain", "virtual"], eps: Positive, weight: NonNegative, xi: Positive
    ) -> None:
        self.mode, self.eps, self.weight, self.xi = mode, eps, weight, xi
        self.x: Tensor | None = None  # embeddings of the step's first pass, (B, T, D)
        self.r: Tensor | None = None  # what the pass under way adds to them

    def attach(self, net: nn.Module) -> None:
        activation_hooks(net)["input"].insert(0, self.shift)

    def shift(self, x: Tensor) -> Tensor:
        if self.r is not None:
            return x + self.r
        self.x = x if x.requires_grad else x.detach().requires_grad_()  # a frozen embedding's
        return self.x

    def loss_term(
        self, loss: Tensor, output: Tensor, module: TrainedModule, batch: Batch
    ) -> Tensor:
        x, self.x = self.x, None
        assert x is not None
        table: Tensor = module.net.embedding.weight  # type: ignore[union-attr, assignment]
        scale = spread(table.detach()[batch["x"]], valid_steps(x, batch))
        if self.mode == "plain":
            (g,) = torch.autograd.grad(loss * len(x), x, retain_graph=True)
            r = self.eps * unit(g * scale) * scale
            worse = module.loss(self.output_at(r, module, batch), batch)
            gain = float((worse - loss).detach())
        else:
            worse = self.virtual(output.detach(), x, scale, module, batch)
            gain = float(worse.detach())
        self.record(gain=gain, raised=float(gain > 0))
        return self.weight * worse

    def virtual(
        self, output: Tensor, x: Tensor, scale: Tensor, module: TrainedModule, batch: Batch
    ) -> Tensor:
        d = torch.randn(x.shape, device=x.device, generator=self.generator) * valid_steps(x, batch)
        d = (self.xi * unit(d)).requires_grad_()
        turned = divergence(output, self.output_at(d * scale, module, batch))
        (g,) = torch.autograd.grad(turned * len(x), d)
        return divergence(output, self.output_at(self.eps * unit(g) * scale, module, batch))

    def output_at(self, r: Tensor, module: TrainedModule, batch: Batch) -> Tensor:
        """The net's output for embeddings x + r, under the masks of the first pass."""
        self.r = r
        output = module.replay_forward(batch)
        self.r = None
        return output


def unit(d: Tensor) -> Tensor:
    """Each sequence's d, (B, T, D), over its norm; 0 stays 0.

    Divided by its largest number first: a gradient's squares may underflow.
    """
    d = d / d.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(d.dtype).tiny)
    return d / d.square().sum((1, 2), keepdim=True).sqrt().clamp_min(torch.finfo(d.dtype).tiny)


def spread(embedded: Tensor, valid: Tensor) -> Tensor:
    """Standard deviation of each component over the batch's tokens, (B, T, D) -> (D,).

    Its variance weighted by frequency.
    """
    n = valid.sum()
    mean = (embedded * valid).sum((0, 1)) / n
    return (((embedded - mean).square() * valid).sum((0, 1)) / n + 1e-6).sqrt()


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of two (B, K) logits, in nats, mean over the batch."""
    return F.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="batchmean", log_target=True)

"""What a regularizer may do, and the draws that several of them share."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

if TYPE_CHECKING:
    from upgate.model.module import Batch, RecipeModule


class Regularizer:
    """Each default does nothing."""

    name: ClassVar[str]  # set by `register`: of the choice, and of its numbers among the run's
    needs: ClassVar[str] = (
        ""  # what a task must have: "tokens", "classes", or nothing in particular
    )
    again: ClassVar[bool] = (
        False  # whether `term` passes the batch through the net again; such terms come last
    )
    generator: Generator  # this part's own random stream, set before the first step

    def attach(self, net: nn.Module) -> None:
        """Hang work into the net's forward pass: `net.taps[place]` are functions of (activations) -> activations."""

    def term(
        self, loss: Tensor, output: Tensor, learner: "RecipeModule", batch: "Batch"
    ) -> Tensor | None:
        """A scalar added to the training loss, made of this step's forward pass: its `output` and its plain `loss`."""
        return None

    def penalty(self, weights: Sequence[nn.Parameter]) -> Tensor | None:
        """A scalar added to the training loss, made of the weights alone."""
        return None

    def after_step(self, optimizer: Optimizer) -> None:
        """Change the weights after the optimizer's step."""

    @cached_property
    def noted(self) -> dict[str, list[float]]:
        """Sum and count of each number noted; part of a run's state."""
        return {}

    def note(self, **numbers: float) -> None:
        for name, number in numbers.items():
            if math.isfinite(number):  # a step that overflows is skipped, and counted elsewhere
                total, count = self.noted.get(name, (0.0, 0))
                self.noted[name] = [total + number, count + 1]

    def engagement(self) -> dict[str, float]:
        """Means of what was noted, each under this part's name; a term over the plain loss."""
        means = {name: total / count for name, (total, count) in self.noted.items()}
        if "term" in means:
            means["over_loss"] = means.pop("term") / max(means.pop("loss"), 1e-12)
        return {f"{self.name}_{name}": mean for name, mean in means.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"noted": self.noted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.noted.update({name: list(pair) for name, pair in state["noted"].items()})


def lacking(name: str, needs: str) -> str:
    """What a user is told who asks prices for a regularizer that needs tokens or classes."""
    return f"regularization={name} needs {needs}: take task=sentiment; for prices, regularization=locked or regularization=dropout"


def keep_mask(like: Tensor, p: float, generator: Generator) -> Tensor:
    """0 with probability p, else 1 / (1 - p), in the type of `like`; the draws are the same in every type."""
    return uniform(like, generator).ge_(p).mul_(1 / (1 - p)).to(like.dtype)


def uniform(like: Tensor, generator: Generator) -> Tensor:
    """Draw a float32 for each number of `like`, from [0, 1), out of the part's own stream; a batch's shape decides which comes where.

    On a CPU `rand` draws twice as fast as `bernoulli_`.
    """
    return torch.rand(like.shape, dtype=torch.float32, device=like.device, generator=generator)


def valid_steps(h: Tensor, batch: "Batch") -> Tensor:
    """(B, T, 1), False on padding; all True for a task without lengths."""
    if "lengths" not in batch:
        return h.new_ones(h.shape[:2], dtype=torch.bool)[..., None]
    return (torch.arange(h.shape[1], device=h.device) < batch["lengths"][:, None])[..., None]

"""What a regularizer may do, and the draws that several of them share."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from upgate.recipe.texts import say
from upgate.types import Batch, StateDict, TrainedModule

ActivationHook = Callable[[Tensor], Tensor]


class Regularizer:
    """Each default does nothing. All of it acts in training only: validation is free of it."""

    name: ClassVar[str]  # set by `register`: of the choice, and of its numbers among the run's
    required_input: ClassVar[str] = ""  # what a task must have: "tokens", "classes", or nothing
    needs_second_forward: ClassVar[bool] = False  # for `loss_term`; such terms come last
    generator: Generator  # this part's own random stream, set before the first step

    def attach(self, net: nn.Module) -> None:
        """Hook into the net's forward pass: see `activation_hooks`."""

    def loss_term(
        self, loss: Tensor, output: Tensor, module: TrainedModule, batch: Batch
    ) -> Tensor | None:
        """A scalar added to the training loss, made of this step's `output` and plain `loss`."""
        return None

    def penalty(self, weights: Sequence[nn.Parameter]) -> Tensor | None:
        """A scalar added to the training loss, made of the weights alone."""
        return None

    def after_step(self, optimizer: Optimizer) -> None:
        """Change the weights after the optimizer's step."""

    @cached_property
    def recorded(self) -> dict[str, list[float]]:
        """Sum and count of each number recorded; part of a run's state."""
        return {}

    def record(self, **numbers: float) -> None:
        """Record numbers of this step for `engagement`; one that is not finite is left out."""
        for name, number in numbers.items():
            if math.isfinite(number):  # a step that overflows is skipped, and counted elsewhere
                total, count = self.recorded.get(name, (0.0, 0))
                self.recorded[name] = [total + number, count + 1]

    def engagement(self) -> dict[str, float]:
        """Means of what was recorded, each under this part's name; a term over the plain loss."""
        means = {name: total / count for name, (total, count) in self.recorded.items()}
        if "term" in means:
            means["over_loss"] = means.pop("term") / max(means.pop("loss"), 1e-12)
        return {f"{self.name}_{name}": mean for name, mean in means.items()}

    def state_dict(self) -> StateDict:
        return {"noted": self.recorded}

    def load_state_dict(self, state: StateDict) -> None:
        for name, sum_and_count in state["noted"].items():
            self.recorded[name] = list(sum_and_count)


def activation_hooks(net: nn.Module) -> dict[str, list[ActivationHook]]:
    """The net's hooks by position, each a list of functions (activations) -> activations.

    The positions are the backbone's, and "tokens" where the task has them.
    """
    return net.activation_hooks  # type: ignore[return-value]


def missing_input(name: str, required: str) -> str:
    """The refusal of a regularizer that needs tokens or classes, for a task without them."""
    return say("missing_input", name=name, required=say.of("input", required))


def keep_mask(like: Tensor, p: float, generator: Generator) -> Tensor:
    """0 with probability p, else 1 / (1 - p), in the type of `like`; equal draws in every type."""
    return uniform(like, generator).ge_(p).mul_(1 / (1 - p)).to(like.dtype)


def uniform(like: Tensor, generator: Generator) -> Tensor:
    """Draw a float32 for each number of `like`, from [0, 1), out of the part's own stream.

    A batch's shape decides which draw comes where. On a CPU `rand` draws twice as fast as
    `bernoulli_`.
    """
    return torch.rand(like.shape, dtype=torch.float32, device=like.device, generator=generator)


def valid_steps(h: Tensor, batch: Batch) -> Tensor:
    """(B, T, 1), False on padding; all True for a task without lengths."""
    if "lengths" not in batch:
        return h.new_ones(h.shape[:2], dtype=torch.bool)[..., None]
    return (torch.arange(h.shape[1], device=h.device) < batch["lengths"][:, None])[..., None]

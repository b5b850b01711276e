"""The types that cross packages: batches, a model's layers, and a module under training."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

Batch = dict[str, Tensor]  # "x" (B, T, F) or (B, T), "y" (B,), "lengths" (B,) for texts
Layers = Sequence[tuple[str, nn.Module]]  # bottom to top, the head last; each parameter in one
StateDict = dict[str, Any]  # what PyTorch calls one: tensors, numbers and nested state by name
Loss = Callable[[Tensor, Batch], Tensor]  # (output, batch) -> scalar


class LossRecorder(Protocol):
    """Where a step's plain loss is recorded for the training curve."""

    def update(self, loss: Tensor) -> None: ...


class TrainedModule(Protocol):
    """What a recipe needs of the module under training."""

    net: nn.Module

    @property
    def train_loss(self) -> LossRecorder: ...

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The task's loss: (B, ...) outputs -> scalar."""
        ...

    def replay_forward(self, batch: Batch) -> Tensor:
        """The net's output for a batch under the masks of this step's first forward pass."""
        ...

"""Muon for an LSTM: its stacked matrices gate by gate, and AdamW for everything else."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.recipe.layerwise.in_backward import evaluated


def mark_gates(net: nn.Module) -> None:
    """Note on each parameter that it holds the stacked gates of an LSTM; no shape alone could tell."""
    for module in net.modules():
        if isinstance(module, nn.LSTM):
            for name, p in module.named_parameters(recurse=False):
                p.stacked_gates = name.startswith("weight_")  # type: ignore[attr-defined]


def holds_gates(p: nn.Parameter) -> bool:
    return getattr(p, "stacked_gates", False)


class Gates(torch.optim.Muon):
    """PyTorch's Muon with a stacked (4H, I) matrix as four (H, I) ones, so that each gate's update is orthogonal on its own."""

    def _init_group(
        self, group: Any, params: list[Tensor], grads: list[Tensor], buffers: list[Tensor]
    ) -> bool:
        stacked: tuple[list[Tensor], ...] = ([], [], [])
        super()._init_group(group, *stacked)
        for gates, whole in zip((params, grads, buffers), stacked, strict=True):
            gates.extend(
                gate for matrix in whole for gate in matrix.chunk(4)
            )  # views: the step writes into the matrix
        return False


class CompositeOptimizer(Optimizer):
    """Optimizers of different rules as one. Their `param_groups` are shared, not copied: schedules reach them."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__(
            [{"params": g["params"]} for part in parts for g in part.param_groups], defaults={}
        )
        self._share_groups()

    def _share_groups(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = evaluated(closure)
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()

"""Muon for an LSTM: its stacked matrices gate by gate."""

from typing import Any

import torch
from torch import Tensor, nn


def mark_gates(net: nn.Module) -> None:
    """Note on each parameter that it holds an LSTM's stacked gates; no shape alone could tell."""
    for module in net.modules():
        if isinstance(module, nn.LSTM):
            for name, p in module.named_parameters(recurse=False):
                p.stacked_gates = name.startswith("weight_")  # type: ignore[attr-defined]


def holds_gates(p: nn.Parameter) -> bool:
    return getattr(p, "stacked_gates", False)


class GateMuon(torch.optim.Muon):
    """PyTorch's Muon with a stacked (4H, I) matrix as four (H, I) ones: each gate orthogonal."""

    def _init_group(
        self, group: Any, params: list[Tensor], grads: list[Tensor], buffers: list[Tensor]
    ) -> bool:
        stacked: tuple[list[Tensor], ...] = ([], [], [])
        super()._init_group(group, *stacked)
        for gates, matrices in zip((params, grads, buffers), stacked, strict=True):
            for matrix in matrices:
                gates.extend(matrix.chunk(4))  # views: the step writes into the matrix
        return False

"""A network as it is exported: tensors in, one tensor out, and what a caller must know of them."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from upgate.model.backbone import LSTMLayer, Runner

Sizes = Mapping[str, int]  # of the dynamic dimensions, by name


@dataclass(frozen=True)
class Port:
    """A tensor that goes in or comes out. dims: a number, or the name of a dynamic dimension."""

    name: str
    dims: tuple[int | str, ...]
    dtype: str  # float32 or int64
    text: str  # what it holds

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.dims), "dtype": self.dtype, "text": self.text}


@dataclass(frozen=True)
class Network:
    """module: forward(*inputs) -> output, in evaluation. about: what prepares the inputs, as JSON.

    sample: inputs of these sizes, of the dimensions that `inputs` names.
    """

    module: nn.Module
    inputs: tuple[Port, ...]
    output: Port
    sample: Callable[[Sizes], tuple[Tensor, ...]]
    about: dict[str, Any]

    @property
    def names(self) -> list[str]:
        return [port.name for port in self.inputs]

    @property
    def dimensions(self) -> list[str]:
        """The names of the dynamic dimensions, batch first."""
        return list(dict.fromkeys(d for port in self.inputs for d in port.dims if d == str(d)))

    def dynamic_shapes(self) -> tuple[dict[int, torch.export.Dim], ...]:
        """As torch.export wants them: one value for each name."""
        dims = {name: torch.export.Dim(name) for name in self.dimensions}
        shapes = []
        for port in self.inputs:
            shapes.append({i: dims[d] for i, d in enumerate(port.dims) if isinstance(d, str)})
        return tuple(shapes)

    def with_runner(self, runner: Runner) -> nn.Module:
        """A copy of the module whose LSTMs are run by this function."""
        copy = deepcopy(self.module).eval().requires_grad_(False)
        for layer in copy.modules():
            if isinstance(layer, LSTMLayer):
                layer.run_with(runner)
        return copy

"""A network as a file that has been read again and gives the same outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from upgate.errors import UserError
from upgate.messages import say
from upgate.model.export.network import Network, Sizes
from upgate.model.export.onnx_file import OPSET, check_onnx, load_onnx, write_onnx
from upgate.model.export.torch_file import load_torch, write_torch

TOLERANCE = 1e-5  # of an output of up to 1; of a larger one as a share of it
# Batch, and the other dimensions: one and many, short and long, none as the example's.
CHECKED = ((1, 9), (2, 1), (5, 17))
EXAMPLE = (3, 7)


@dataclass(frozen=True)
class Format:
    """check: raises where packages are missing. load: a file -> what runs it."""

    suffix: str
    check: Callable[[], None]
    write: Callable[[Network, tuple[Tensor, ...], Path], None]
    load: Callable[[Path], Callable[[tuple[Tensor, ...]], Tensor]]
    about: dict[str, object]


FORMATS = {
    "torch": Format(".pt2", lambda: None, write_torch, load_torch, {"torch": torch.__version__}),
    "onnx": Format(".onnx", check_onnx, write_onnx, load_onnx, {"opset": OPSET}),
}


def export(network: Network, form: Format) -> tuple[bytes, float]:
    """The file's content, and the largest difference of its outputs from the network's own.

    Raises UserError where one is beyond TOLERANCE.
    """
    sizes = [_name_sizes(network, *one) for one in (*CHECKED, EXAMPLE)]
    *samples, example = (network.sample(one) for one in sizes)
    with torch.inference_mode():
        expected = [network.module(*sample) for sample in samples]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"network{form.suffix}"
        form.write(network, example, path)
        run = form.load(path)
        with torch.no_grad():
            found = [run(sample) for sample in samples]
        content = path.read_bytes()
    differences = [compare(*pair) for pair in zip(found, expected, strict=True)]
    return content, max(differences)


def _name_sizes(network: Network, batch: int, other: int) -> Sizes:
    return dict.fromkeys(network.dimensions, other) | {"batch": batch}


def compare(found: Tensor, expected: Tensor) -> float:
    """The largest difference. Raises UserError where one is beyond TOLERANCE."""
    difference = (found.double() - expected.double()).abs()
    worst = float(difference.max())
    if not bool((difference <= TOLERANCE * expected.double().abs().clamp(min=1)).all()):
        raise UserError(say("export_differs", worst=f"{worst:.2g}", tolerance=f"{TOLERANCE:g}"))
    return worst

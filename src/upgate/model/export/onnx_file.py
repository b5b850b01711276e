"""A network as an .onnx file, by PyTorch's exporter; each LSTM is ONNX's own operator."""

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from upgate.errors import UserError
from upgate.messages import joined, say
from upgate.model.export.network import Network

OPSET = 20
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
GATES = (0, 3, 1, 2)  # ONNX's order i, o, f, c of PyTorch's i, f, g, o


def check_onnx() -> None:
    """Raise UserError where a package is not installed."""
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        packages = joined(absent)
        raise UserError(say("needs_extra", what="to=onnx", packages=packages, extra="onnx"))


def run_onnx(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """(B, T, I) -> (B, T, H), from a state of 0, drawn as ONNX's operator."""
    w, r, *biases = (order_gates(weights) for weights in lstm.parameters())
    b = torch.cat(biases)
    y = torch.onnx.ops.symbolic(
        "LSTM",
        [x.transpose(0, 1), w[None], r[None], b[None]],
        {"hidden_size": lstm.hidden_size},
        dtype=x.dtype,
        shape=(x.shape[1], 1, x.shape[0], lstm.hidden_size),
        version=OPSET,
    )
    return y.squeeze(1).transpose(0, 1)


def order_gates(weights: Tensor) -> Tensor:
    """The four blocks of rows in ONNX's order."""
    size = len(weights) // 4
    return torch.cat([weights[i * size : (i + 1) * size] for i in GATES])


def write_onnx(network: Network, example: tuple[Tensor, ...], path: Path) -> None:
    """Write the file."""
    import onnx

    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)  # it names operators of torchvision that nobody asked for
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network.with_runner(run_onnx),
                example,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=network.dynamic_shapes(),
                input_names=network.names,
                output_names=[network.output.name],
                verbose=False,
            )
    finally:
        logger.setLevel(before)
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # the lines of this machine's files that drew it
        del node.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def load_onnx(path: Path) -> Callable[[tuple[Tensor, ...]], Tensor]:
    """The file's network, run by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(inputs: tuple[Tensor, ...]) -> Tensor:
        arrays = {name: one.numpy() for name, one in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, arrays)[0])

    return run

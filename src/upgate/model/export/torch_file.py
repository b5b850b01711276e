"""A network as a .pt2 file of torch.export: a graph and its weights, and no code.

torch.export (2.13) cuts an LSTM into its steps, as many as the example has, so that another length
is refused. Here the LSTM is one operator while the graph is drawn; then PyTorch's own takes its
place, which any program with PyTorch has.
"""

from collections.abc import Callable
from operator import getitem
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from upgate.model.export.network import Network


@torch.library.custom_op("upgate::lstm", mutates_args=())
def lstm_operator(x: Tensor, state: Tensor, weights: list[Tensor]) -> Tensor:
    """(B, T, I) -> (B, T, H), from a state of (1, B, H)."""
    return torch.lstm(x, [state, state], weights, True, 1, 0.0, False, False, True)[0].clone()


@lstm_operator.register_fake
def _(x: Tensor, state: Tensor, weights: list[Tensor]) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], state.shape[2])


def run_operator(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """(B, T, I) -> (B, T, H), from a state of 0, by the operator."""
    state = x.new_zeros(1, x.shape[0], lstm.hidden_size)
    weights = [lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0]
    return lstm_operator(x, state, weights)


def write_torch(network: Network, example: tuple[Tensor, ...], path: Path) -> None:
    """Write the file."""
    module = network.with_runner(run_operator)
    program = torch.export.export(module, example, dynamic_shapes=network.dynamic_shapes())
    for graph_module in program.graph_module.modules():  # the head is one of its own
        if isinstance(graph_module, GraphModule):
            put_lstm(graph_module)
    torch.export.save(program, path)


def put_lstm(graph_module: GraphModule) -> None:
    """PyTorch's LSTM in place of each of our operators."""
    for node in list(graph_module.graph.nodes):
        if node.target == torch.ops.upgate.lstm.default:
            _replace(graph_module, node)
        node.meta.pop("stack_trace", None)  # the lines of this machine's files that drew it
    graph_module.recompile()


def _replace(graph_module: GraphModule, node: Node) -> None:
    x, state, weights = node.args
    graph = graph_module.graph
    with graph.inserting_before(node):
        arguments = (x, [state, state], weights, True, 1, 0.0, False, False, True)
        lstm = graph.call_function(torch.ops.aten.lstm.input, arguments)
        output = graph.call_function(getitem, (lstm, 0))
    state_value: Any = state.meta["val"]  # type: ignore[union-attr]
    lstm.meta["val"] = (node.meta["val"], state_value, state_value)
    output.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(output)
    graph.erase_node(node)


def load_torch(path: Path) -> Callable[[tuple[Tensor, ...]], Tensor]:
    """The file's network, run by PyTorch."""
    module = torch.export.load(path).module()
    return lambda inputs: module(*inputs)

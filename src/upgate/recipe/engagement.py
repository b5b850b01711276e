"""engagement: what is measured on the net itself, to tell whether a part did anything.

Numbers have flat names: what, then the layer, then the gate of an LSTM layer, as in
`update_ratio/lstm.0/f`. Both directions of a layer count as one.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.types import Layers

GATES = ("i", "f", "g", "o")  # PyTorch's order in the stacked matrices
SHUT, OPEN = 0.05, 0.95  # a gate beyond them is saturated: hardly any gradient passes it
SEQUENCES = 32  # of a batch, evenly spread, whose gates are looked at


def layer_vectors(layers: Layers) -> dict[str, Tensor]:
    """Copy the weights of each layer, and of each gate of an LSTM layer, into one vector each."""
    vectors = {}
    for name, layer in layers:
        vectors[name] = nn.utils.parameters_to_vector(layer.parameters()).detach().clone()
        stacks = []
        for lstm in lstms_in(layer):
            stacks += [p.detach().chunk(4) for p in lstm.parameters()]
        if stacks:
            for k, gate in enumerate(GATES):
                vectors[f"{name}/{gate}"] = torch.cat([stack[k].flatten() for stack in stacks])
    return vectors


def lstms_in(layer: nn.Module) -> list[nn.LSTM]:
    return [m for m in layer.modules() if isinstance(m, nn.LSTM)]


def update_ratio(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, float]:
    """|w' - w| / |w| of each of the `layer_vectors`, over one step."""
    ratios = {}
    for name, w in before.items():
        ratio = (after[name] - w).norm() / w.norm().clamp_min(1e-12)
        ratios[f"update_ratio/{name}"] = float(ratio)
    return ratios


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """The rate in force for each layer; of several groups that of the first, the weights'."""
    rates: dict[str, float] = {}
    for group in optimizer.param_groups:
        for layer in group["layer"].split("+"):
            rates.setdefault(f"learning_rate/{layer}", float(group["lr"]))
    return rates


@torch.no_grad()
def gate_numbers(net: nn.Module, layers: Layers, batch: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean of the forget gate, and the share of each sigmoid gate's activations that are saturated.

    Below SHUT or above OPEN. Passes SEQUENCES of a batch through the net, which is in evaluation,
    and computes the gates from each layer's x_t and h_{t-1}. Padding takes no part.
    """
    stride = max(1, len(batch["y"]) // SEQUENCES)
    sample = {key: value[::stride][:SEQUENCES] for key, value in batch.items()}
    gates_by_layer = _observe_gates(net, layers, sample)
    numbers = {}
    for name, directions in gates_by_layer.items():
        ifo = torch.cat(directions, dim=1)  # (3, N, H)
        saturated = ((ifo < SHUT) | (ifo > OPEN)).float().mean(dim=(1, 2)).tolist()
        numbers[f"forget_gate_mean/{name}"] = float(ifo[1].mean())
        for gate, share in zip("ifo", saturated, strict=True):
            numbers[f"gate_saturation/{name}/{gate}"] = share
    return numbers


def _observe_gates(
    net: nn.Module, layers: Layers, batch: dict[str, Tensor]
) -> dict[str, list[Tensor]]:
    """Input, forget and output gates of each layer's LSTMs: (3, valid steps, H) each."""
    observed: dict[str, list[Tensor]] = defaultdict(list)

    def observe(name: str) -> Callable[[nn.LSTM, tuple[Tensor, ...], tuple[Tensor, Any]], None]:
        def hook(lstm: nn.LSTM, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, Any]) -> None:
            i, f, _, o = gates(lstm, inputs[0], outputs[0])
            valid = valid_mask(i, batch.get("lengths"))
            observed[name].append(torch.stack([i, f, o])[:, valid])

        return hook

    handles = []
    for name, layer in layers:
        handles += [lstm.register_forward_hook(observe(name)) for lstm in lstms_in(layer)]
    net(batch)
    for handle in handles:
        handle.remove()
    return observed


def gates(lstm: nn.LSTM, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    """i, f, g, o of a single layer, each (B, T, H), that started from a state of 0.

    x: what went in, (B, T, I); h: what came out, (B, T, H).
    """
    weight_ih, weight_hh, bias_ih, bias_hh = lstm.all_weights[0]
    with torch.autocast(x.device.type, enabled=False):
        previous = F.pad(h[:, :-1].to(weight_hh.dtype), (0, 0, 1, 0))  # h_{t-1}
        from_input = F.linear(x.to(weight_ih.dtype), weight_ih, bias_ih)
        stacked = from_input + F.linear(previous, weight_hh, bias_hh)
    i, f, g, o = stacked.chunk(4, dim=-1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


def valid_mask(like: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, T), true where there is no padding: a reversed prefix is padded on the right, too."""
    if lengths is None:
        return torch.ones(like.shape[:2], dtype=torch.bool, device=like.device)
    return torch.arange(like.shape[1], device=like.device) < lengths[:, None]


def weights_hash(net: nn.Module) -> str:
    """sha256 of all parameters' bytes, in the order of their names: equal weights, equal hash."""
    digest = hashlib.sha256()
    for _, p in sorted(net.named_parameters()):
        digest.update(p.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

"""engagement: what is measured on the net itself, to tell parts at work from parts that never engaged.

Numbers have flat names: what, then the layer, then the gate of an LSTM layer, as in `update_ratio/lstm.0/f`. Both directions of a layer
count as one.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from upgate.config.choices import REGULARIZATION
from upgate.config.schema import said
from upgate.recipe.layerwise.base import Layers

GATES = ("i", "f", "g", "o")  # PyTorch's order in the stacked matrices
SHUT, OPEN = 0.05, 0.95  # a gate beyond them is saturated: hardly any gradient passes it
SEQUENCES = 32  # of a batch, evenly spread, whose gates are looked at
NULL = ("none", "constant", "pytorch", "joint")  # choices that do nothing


def vectors(layers: Layers) -> dict[str, Tensor]:
    """Copy the weights of each layer, and of each gate of an LSTM layer, into one vector each."""
    found = {}
    for name, layer in layers:
        found[name] = nn.utils.parameters_to_vector(layer.parameters()).detach().clone()
        stacks = [
            p.detach().chunk(4)
            for m in layer.modules()
            if isinstance(m, nn.LSTM)
            for p in m.parameters()
        ]
        if stacks:
            found |= {
                f"{name}/{g}": torch.cat([s[k].flatten() for s in stacks])
                for k, g in enumerate(GATES)
            }
    return found


def update_ratio(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, float]:
    """|w' - w| / |w| of each of the `vectors`, over one step."""
    return {
        f"update_ratio/{n}": float((after[n] - w).norm() / w.norm().clamp_min(1e-12))
        for n, w in before.items()
    }


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """The rate in force for each layer; where a layer's parameters have several, that of its first group, the weights'."""
    rates: dict[str, float] = {}
    for group in optimizer.param_groups:
        for layer in group["layer"].split("+"):
            rates.setdefault(f"learning_rate/{layer}", float(group["lr"]))
    return rates


@torch.no_grad()
def gate_numbers(net: nn.Module, layers: Layers, batch: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean of the forget gate, and the share of each sigmoid gate's activations below SHUT or above OPEN; net is in evaluation.

    Passes SEQUENCES of a batch, and computes the gates from each layer's x_t and h_{t-1}. Padding takes no part.
    """
    stride = max(1, len(batch["y"]) // SEQUENCES)
    some = {key: value[::stride][:SEQUENCES] for key, value in batch.items()}
    seen: dict[str, list[Tensor]] = defaultdict(list)

    def watch(name: str) -> Callable[[nn.LSTM, tuple[Tensor, ...], tuple[Tensor, Any]], None]:
        def note(lstm: nn.LSTM, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, Any]) -> None:
            i, f, _, o = gates(lstm, inputs[0], outputs[0])
            seen[name].append(torch.stack([i, f, o])[:, valid(i, some.get("lengths"))])  # (3, N, H)

        return note

    lstms = [(name, m) for name, layer in layers for m in layer.modules() if isinstance(m, nn.LSTM)]
    handles = [m.register_forward_hook(watch(name)) for name, m in lstms]
    net(some)
    for handle in handles:
        handle.remove()
    numbers = {}
    for name, directions in seen.items():
        ifo = torch.cat(directions, dim=1)
        shares = ((ifo < SHUT) | (ifo > OPEN)).float().mean(dim=(1, 2)).tolist()
        numbers[f"forget_gate_mean/{name}"] = float(ifo[1].mean())
        numbers |= {f"gate_saturation/{name}/{g}": s for g, s in zip("ifo", shares, strict=True)}
    return numbers


def gates(lstm: nn.LSTM, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    """i, f, g, o of a single layer, each (B, T, H), from what went in, (B, T, I), and what came out, (B, T, H); it started from 0."""
    weight_ih, weight_hh, bias_ih, bias_hh = lstm.all_weights[0]
    with torch.autocast(x.device.type, enabled=False):
        before = F.pad(h[:, :-1].to(weight_hh.dtype), (0, 0, 1, 0))  # h_{t-1}
        stacked = F.linear(x.to(weight_ih.dtype), weight_ih, bias_ih) + F.linear(
            before, weight_hh, bias_hh
        )
    i, f, g, o = stacked.chunk(4, dim=-1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


def valid(like: Tensor, lengths: Tensor | None) -> Tensor:
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


Choices = Mapping[str, Any]  # group -> {name, knobs}; regularization -> {name: knobs}
Trained = tuple[
    str, str, Choices, str
]  # a run's name, what it shares with those it can be compared with, its recipe, its weights' hash


def no_effect(runs: Sequence[Trained]) -> list[str]:
    """Sentences about recipes that differ and end with the same weights, on the same data, seed and budget.

    Each set of equal runs is told against its plainest recipe; what holds for several seeds is said once.
    """
    told: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    ordered = sorted(
        runs, key=lambda run: (run[1], run[3])
    )  # stable: equals stay in the order given
    for _, group in groupby(ordered, key=lambda run: (run[1], run[3])):
        equal = list(group)
        base = min(equal, key=lambda run: busy(run[2]))
        for name, _, recipe, _ in equal:
            if words := difference(recipe, base[2]):
                told[words, difference(base[2], recipe)].append((name, base[0]))
    return [sentence(words, instead, names) for (words, instead), names in told.items()]


def sentence(words: str, instead: str, names: Sequence[tuple[str, str]]) -> str:
    (run, base), *more = names
    also = f"; so it is for {len(more)} more" if more else ""
    return f"{words} had no effect: {run} ends with the same weights as {base}, which has {instead}{also}"


def busy(recipe: Choices) -> int:
    """How many of a recipe's choices are not null."""
    return sum(
        len(c) if group == REGULARIZATION else c["name"] not in NULL for group, c in recipe.items()
    )


def difference(recipe: Choices, other: Choices) -> str:
    """The words that a recipe says and another does not, as on the command line; empty where they are the same."""
    words: list[str] = []
    for group, chosen in recipe.items():
        if group == REGULARIZATION:
            if set(chosen) != set(other[group]):
                words.append(f"{group}={said(sorted(chosen) or ['none'])}")
            alike = [
                (f"{group}.{name}", chosen[name], other[group][name])
                for name in chosen
                if name in other[group]
            ]
        else:
            if chosen["name"] != other[group]["name"]:
                words.append(f"{group}={chosen['name']}")
            alike = (
                [(group, chosen, other[group])] if chosen["name"] == other[group]["name"] else []
            )
        words += [
            f"{at}.{k}={said(v)}"
            for at, ours, theirs in alike
            for k, v in ours.items()
            if theirs.get(k) != v
        ]
    return " ".join(words)

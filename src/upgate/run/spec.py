"""What a run is: a frozen value whose hash is its name. Two runs of one key give the same numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from upgate.config.compose import PARTS, REGULARIZATION
from upgate.config.schema import said
from upgate.config.trainer import is_default
from upgate.errors import UserError

NUMERICS = 2  # raise it when a change of the code changes the numbers of a run: results of older code are then not reused

# Trainer arguments that say where or how loudly a run goes, not what comes out of it.
ASIDE = {
    "enable_progress_bar",
    "devices",
    "detect_anomaly",
    "inference_mode",
    "fast_dev_run",
    "precision",
}

SHARED = (
    "joint",
    "discriminative",
    "lars",
    "lamb",
)  # updates of all layers from one backward pass: several processes can share it


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides a run's numbers, and nothing else: no paths, no names, no places."""

    task: dict[str, Any]
    data: str  # content hash
    split: dict[str, Any]
    fold: int
    model: dict[str, Any]
    recipe: dict[str, Any]  # group -> {name, knobs}; regularization -> {name: knobs}
    budget: dict[str, Any]  # Trainer arguments that decide numbers
    batch_size: int
    seed: int
    precision: str
    threads: int  # the order of a sum's terms, and so its last digits, depends on them
    numerics: int = NUMERICS

    @property
    def key(self) -> str:
        """sha256 of the canonical JSON."""
        text = json.dumps(
            asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def recipe_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe in a spec: each part's name and its checked knobs, without search ranges."""
    from upgate.recipe.compatibility import check_allowed
    from upgate.recipe.recipe import knobs_of

    check_allowed(config)
    if (
        config["trainer"].get("strategy", "auto") != "auto"
        and config["layerwise"]["name"] not in SHARED
    ):
        told = f"trainer.strategy={config['trainer']['strategy']} and layerwise={config['layerwise']['name']} cannot be combined"
        raise UserError(
            f"{told}: processes exchange the gradients of all layers at once; take layerwise=joint"
        )
    chosen = {
        g: {"name": config[g]["name"], **knobs_of(g, config[g]["name"], config[g])}
        for g in PARTS
        if g != REGULARIZATION
    }
    chosen[REGULARIZATION] = {
        n: knobs_of(REGULARIZATION, n, k) for n, k in sorted(config[REGULARIZATION].items())
    }
    return chosen


def budget_of(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """What decides numbers among the Trainer's arguments, each said in one way only: defaults not at all, the accelerator by name."""
    told = {k: v for k, v in sorted(trainer.items()) if k not in ASIDE and not is_default(k, v)}
    shared = (
        {"devices": trainer["devices"]} if "strategy" in told else {}
    )  # a sum over processes has another last digit
    return {**told, **shared, "accelerator": accelerator_of(trainer)}


def precision_of(trainer: Mapping[str, Any]) -> str:
    """The precision that will be in force; raises where Lightning would silently take another."""
    precision = str(trainer["precision"])
    if precision.startswith("16") and accelerator_of(trainer) == "cpu":
        raise UserError(
            f"trainer.precision={precision} needs a GPU; on a CPU take trainer.precision=bf16-mixed or 32-true"
        )
    if precision.startswith("bf16") and accelerator_of(trainer) == "cpu" and not has_bf16():
        raise UserError(
            f"trainer.precision={precision} needs a processor with AVX-512; on this one take trainer.precision=32-true"
        )
    return precision


def has_bf16() -> bool:
    """Whether this processor runs an LSTM in bf16: with AVX2 alone oneDNN's kernel raises at the first step."""
    import torch

    return not torch.backends.mkldnn.is_available() or bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def accelerator_of(trainer: Mapping[str, Any]) -> str:
    """The accelerator that will be in force, cpu, cuda or mps; raises where it is not there, or not the device asked for."""
    import torch

    counts = {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    there = [name for name, count in counts.items() if count]
    asked, devices = trainer["accelerator"], trainer["devices"]
    name = {"auto": there[0], "gpu": there[0] if len(there) > 1 else "gpu"}.get(asked, asked)
    if name not in there:
        raise UserError(
            f"trainer.accelerator={asked} is not on this machine; there is {', '.join(there)}"
        )
    if type(devices) is int and name != "cpu" and devices > counts[name]:
        raise UserError(
            f"trainer.devices={devices} are not on this machine; there is {counts[name]}"
        )
    if isinstance(devices, list) and (name == "cpu" or devices[0] >= counts[name]):
        gpus = ", ".join(f"[{i}]" for i in range(counts[name])) if name != "cpu" else ""
        raise UserError(
            f"trainer.devices={said(devices)} is not on this machine; there is {gpus or '1, the CPU'}"
        )
    return name

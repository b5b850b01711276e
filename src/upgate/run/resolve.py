"""What a configuration really gives on this machine: the part of it that a run's spec holds."""

import os
from dataclasses import fields
from typing import Any

from upgate.config.schema import format_value
from upgate.config.values import Knobs, Section
from upgate.errors import UserError
from upgate.run.spec import Budget
from upgate.run.texts import say

# Updates of all layers from one backward pass: several processes can share it.
SHARED = ("joint", "discriminative", "lars", "lamb")


def check_recipe(config: Section) -> dict[str, Knobs]:
    """Each part's name and its checked knobs, without search ranges.

    Raises UserError for a wrong knob, and for choices that cannot be combined.
    """
    from upgate.recipe.recipe import recipe_knobs

    _check_strategy(config["trainer"].get("strategy", "auto"), config["layerwise"]["name"])
    return recipe_knobs(config)


def _check_strategy(strategy: str, layerwise: str) -> None:
    if strategy != "auto" and layerwise not in SHARED:
        raise UserError(say("strategy_and_layerwise", strategy=strategy, layerwise=layerwise))


def resolve_budget(trainer: Section) -> Budget:
    """The Trainer's arguments that decide numbers. Raises UserError for a device not available."""
    names = {field.name for field in fields(Budget)} - {"accelerator"}
    if trainer.get("strategy", "auto") == "auto":
        names.remove("devices")
    values = {name: value for name, value in trainer.items() if name in names}
    return Budget(accelerator=resolve_accelerator(trainer), **values)


def resolve_threads(threads: int | None) -> int:
    """Threads of a run: as asked; else two, fewer where cores or OMP_NUM_THREADS are fewer.

    Never by load: a run's last digits and so its key depend on them, and the same command a minute
    later must find its runs. A second thread sleeps while it waits, so it costs a busy machine
    about a tenth.
    """
    if threads is not None:
        return threads
    omp = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(2, cores(), int(omp) if omp.isdigit() and int(omp) else 2)


def cores() -> int:
    """Cores that this process may use, a container's limit included."""
    from joblib import cpu_count  # type: ignore[import-untyped]

    return int(cpu_count())


def resolve_precision(trainer: Section) -> str:
    """The precision in force. Raises UserError where Lightning would silently take another."""
    precision = str(trainer["precision"])
    if precision.startswith("16") and resolve_accelerator(trainer) == "cpu":
        others = "bf16-mixed or 32-true" if has_bf16() else "32-true"
        raise UserError(say("precision_needs_gpu", precision=precision, others=others))
    if precision.startswith("bf16") and resolve_accelerator(trainer) == "cpu" and not has_bf16():
        raise UserError(say("precision_needs_avx512", precision=precision))
    return precision


def has_bf16() -> bool:
    """Whether this processor runs an LSTM in bf16: with AVX2 alone oneDNN's kernel raises."""
    import torch

    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def resolve_accelerator(trainer: Section) -> str:
    """cpu, cuda or mps. Raises UserError where it is not on this machine, or not the device."""
    counts = _count_devices()
    available = [name for name, count in counts.items() if count]
    requested, devices = str(trainer["accelerator"]), trainer["devices"]
    gpu = available[0] if len(available) > 1 else "gpu"
    name = {"auto": available[0], "gpu": gpu}.get(requested, requested)
    if name not in available:
        raise UserError(say("no_accelerator", name=requested, names=", ".join(available)))
    _check_devices(devices, name, counts[name])
    return name


def _count_devices() -> dict[str, int]:
    """Devices of each kind, the best kind first."""
    import torch

    return {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }


def _check_devices(devices: Any, accelerator: str, count: int) -> None:
    if type(devices) is int and accelerator != "cpu" and devices > count:
        raise UserError(say("no_devices", devices=devices, count=count))
    if isinstance(devices, list) and (accelerator == "cpu" or devices[0] >= count):
        gpus = [f"[{i}]" for i in range(count)] if accelerator != "cpu" else []
        raise UserError(
            say(
                "no_device", devices=format_value(devices), names=", ".join(gpus) or say("only_cpu")
            )
        )

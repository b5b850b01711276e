"""What a run is: a frozen value whose hash is its name. Two runs of one key give the same numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from upgate.config import OURS, PARTS, REGULARIZATION
from upgate.errors import UserError

NUMERICS = 1  # raise it when a change of the code changes the numbers of a run: results of older code are then not reused

# Trainer arguments that say where or how loudly a run goes, not what comes out of it.
ASIDE = {
    "enable_progress_bar",
    "enable_model_summary",
    "profiler",
    "devices",
    "num_nodes",
    "detect_anomaly",
}
PRECISIONS = {"32": "32-true", "64": "64-true", "16": "16-mixed", "bf16": "bf16-mixed"}  # Lightning's older spellings


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
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def recipe_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe in a spec: each part's name and its checked knobs, without search ranges."""
    from upgate.recipe.recipe import check_allowed, knobs_of

    check_allowed(config)
    chosen = {g: {"name": config[g]["name"], **knobs_of(g, config[g]["name"], config[g])} for g in PARTS if g != REGULARIZATION}
    chosen[REGULARIZATION] = {n: knobs_of(REGULARIZATION, n, k) for n, k in sorted(config[REGULARIZATION].items())}
    return chosen


def budget_of(trainer: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in sorted(trainer.items()) if k not in ASIDE | {"precision"}}


def precision_of(trainer: Mapping[str, Any]) -> str:
    """Lightning's name of the precision that will be in force; raises where Lightning would silently take another."""
    asked = str(trainer["precision"])
    precision = PRECISIONS.get(asked, asked)
    if precision.startswith("16") and not _has_gpu(trainer):
        raise UserError(f"trainer.precision={asked} needs a GPU; on a CPU take trainer.precision=bf16-mixed or 32-true")
    return precision


def _has_gpu(trainer: Mapping[str, Any]) -> bool:
    import torch

    return trainer["accelerator"] != "cpu" and (torch.cuda.is_available() or torch.backends.mps.is_available())


assert not ASIDE & set(OURS)

"""One run: a spec and its data in, numbers and files out.

It knows neither MLflow nor where it runs, and never returns a model.
"""

import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from rich.console import Console
from torch import Tensor
from torch.multiprocessing.spawn import ProcessRaisedException

from upgate.config.values import Knobs
from upgate.data.datamodule import FoldDataModule
from upgate.files import is_kept, write_atomic
from upgate.model.module import RecipeModule
from upgate.recipe.engagement import weights_hash
from upgate.recipe.gradient_guard import Diverged
from upgate.run.callbacks import (
    BestCheckpoint,
    Check,
    EpochMetrics,
    Log,
    ProgressBar,
    StopWithStore,
)
from upgate.run.spec import RunSpec
from upgate.tasks.registry import get_task

PARTS = {"validation": "val", "test": "test"}  # evaluated part -> prefix of its metrics


@dataclass(frozen=True)
class Outcome:
    """What a run gives: numbers, and tables for its folder."""

    metrics: dict[str, float]  # test/..., val/..., engagement/..., seconds_per_step, ...
    tables: dict[str, pd.DataFrame]
    diverged: bool
    weights: str = ""  # hash of the kept weights
    parameters: int = 0  # trained numbers of the network


def train(
    spec: RunSpec,
    data: FoldDataModule,
    folder: Path,
    log: Log,
    console: Console,
    name: str,
    options: Knobs,
    check: Check | None = None,
) -> Outcome:
    """Train, keep the best weights in `folder/best.ckpt`, and evaluate those.

    Goes on from `folder/last.ckpt` if it is there and intact. `options`: Trainer arguments that
    decide no numbers. check: raises where nothing more is to be trained. A run whose gradients
    stay non-finite is an outcome: diverged.
    """
    torch.set_num_threads(spec.threads)
    task = get_task(spec.task.name)
    with warnings.catch_warnings():
        quiet()
        module = task.module(spec.to_dict(), data)
        data = with_batching(data, spec)
        curves, checkpoint = EpochMetrics(log), BestCheckpoint(folder)
        stop = [StopWithStore(check)] if check else []
        callbacks = [curves, *stop, checkpoint, ProgressBar(console, name)]
        trainer = make_trainer(spec, options, folder, callbacks)
        steps, diverged = _fit_module(trainer, module, data, spec, curves, checkpoint)
        metrics = measure_engagement(module, curves, steps)
        curve = pd.DataFrame(curves.points)
        if diverged:
            worst = {task.metric.key: task.metric.worst}
            return Outcome(metrics | worst, {"curve": curve}, True, "", count_parameters(module))
        restore(module, checkpoint.best)
        scores, tables = evaluate_kept(module, data, spec, options, checkpoint.best)
    tables = {**tables, "curve": curve}
    kept = weights_hash(module.net)
    return Outcome(metrics | scores, tables, False, kept, count_parameters(module))


def count_parameters(module: RecipeModule) -> int:
    """How many numbers of the network a recipe may train; a part may have frozen some by now."""
    return sum(weight.numel() for weight in module.net.parameters())


def evaluate_kept(
    module: RecipeModule, data: FoldDataModule, spec: RunSpec, options: Knobs, kept: Path
) -> tuple[dict[str, float], dict[str, pd.DataFrame]]:
    """The scores of the kept weights on validation and test, and the test part's tables.

    What the task fits to the validation outputs joins the weights in their file.
    """
    task = get_task(spec.task.name)
    metrics: dict[str, float] = {}
    tables: dict[str, pd.DataFrame] = {}
    finish: dict[str, Any] = {}
    trainer = prediction_trainer(options, spec)
    for part, prefix in PARTS.items():
        outputs: Any = trainer.predict(module, data.part(part))
        output = torch.cat(outputs)  # the network's, (n, ...)
        if part == "validation":
            finish = task.finish(spec.to_dict(), data, output)
            add_to_checkpoint(kept, finish)
        evaluation = task.evaluate(data, part, task.finished(data, part, output, finish))
        measured = evaluation.metrics | task.measure_finish(data, part, output, finish)
        metrics |= {f"{prefix}/{key}": value for key, value in measured.items()}
        tables = evaluation.tables
    return metrics, tables


def with_batching(data: FoldDataModule, spec: RunSpec) -> FoldDataModule:
    """The data as a run sees them."""
    return data.with_batching(spec.batch_size, spec.seed, "skip" in spec.model.knobs)


def _fit_module(
    trainer: pl.Trainer,
    module: RecipeModule,
    data: FoldDataModule,
    spec: RunSpec,
    curves: EpochMetrics,
    checkpoint: BestCheckpoint,
) -> tuple[int, bool]:
    """Train; the steps made, and whether the run diverged."""
    last = checkpoint.last
    goes_on = can_resume(spec) and is_whole(checkpoint) and not lacks_weights(checkpoint, spec)
    resume = last if goes_on else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    except Diverged:
        return trainer.global_step, True
    except ProcessRaisedException as error:  # of a run that several processes share
        if Diverged.__name__ not in str(error):
            raise
        return gather(module, curves, last) if last.exists() else 0, True
    steps = gather(module, curves, last) if spec.budget.shared else trainer.global_step
    return steps, not (checkpoint.best.exists() and is_finite(checkpoint.best))


def is_whole(checkpoint: BestCheckpoint) -> bool:
    """Whether there is a state to go on from, and the best weights until then are intact."""
    best, remedy = checkpoint.best, "the run starts afresh"
    return is_kept(checkpoint.last, remedy) and (not best.exists() or is_kept(best, remedy))


def lacks_weights(checkpoint: BestCheckpoint, spec: RunSpec) -> bool:
    """Whether a kill came after the last epoch and before its weights were kept.

    To go on from there trains nothing and keeps nothing, which would look like a run that diverged.
    """
    if checkpoint.best.exists():
        return False
    state = torch.load(checkpoint.last, weights_only=True, map_location="cpu")
    return 0 <= spec.budget.max_epochs <= int(state["epoch"]) + 1


def gather(module: RecipeModule, curves: EpochMetrics, last: Path) -> int:
    """Take over what the processes of a shared run leave: the last checkpoint; the steps made."""
    state = torch.load(last, weights_only=True, map_location="cpu")
    curves.load_state_dict(state["callbacks"][curves.state_key])
    module.recipe.load_state_dict(state["recipe"])
    for epoch, point in enumerate(curves.points, start=1):
        curves.log_point(point, epoch)  # a forked process tells the store nothing
    return int(state["global_step"])


def dry_run(
    spec: RunSpec, data: FoldDataModule, batches: int | bool, *callbacks: pl.Callback
) -> None:
    """Lightning's fast_dev_run: a few batches through training and validation; nothing is kept."""
    torch.set_num_threads(spec.threads)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        quiet()
        module = get_task(spec.task.name).module(spec.to_dict(), data)
        trainer = make_trainer(spec, {"fast_dev_run": batches}, Path(folder), list(callbacks))
        trainer.fit(module, datamodule=with_batching(data, spec))


def can_resume(spec: RunSpec) -> bool:
    """Whether Lightning resumes this budget exactly; if not, such a run starts again.

    With max_steps Lightning 2.6.6 loses its position.
    """
    return spec.budget.max_steps == -1 and spec.budget.max_time is None


def make_trainer(
    spec: RunSpec, options: Knobs, folder: Path, callbacks: list[pl.Callback]
) -> pl.Trainer:
    """Lightning's Trainer for a spec; nothing is logged or kept but by `callbacks`."""
    silent = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    requested = {**spec.budget.to_dict(), **options, "precision": spec.precision}
    if requested.get("enable_progress_bar") is False:
        callbacks = [c for c in callbacks if not isinstance(c, ProgressBar)]
    arguments: Any = {**silent, **requested, "enable_progress_bar": False}
    return pl.Trainer(**arguments, callbacks=callbacks)


def prediction_trainer(options: Knobs, spec: RunSpec) -> pl.Trainer:
    """A Trainer without the limits that a user may have set on the training one."""
    devices = 1 if spec.budget.shared else options.get("devices", "auto")
    arguments: Any = {
        "accelerator": options.get("accelerator", spec.budget.accelerator),
        "devices": devices,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "precision": spec.precision,
    }
    return pl.Trainer(**arguments)


def restore(module: RecipeModule, path: Path) -> None:
    """Load the kept weights, and only those."""
    module.load_state_dict(_load_weights(path))


def add_to_checkpoint(path: Path, finish: dict[str, Any]) -> None:
    """Put what a task fitted last beside the weights; a kill leaves the file without it."""
    if finish:
        kept = torch.load(path, weights_only=True, map_location="cpu")
        write_atomic(path, lambda file: torch.save({**kept, "finish": finish}, file), hashed=True)


def is_finite(path: Path) -> bool:
    """Whether all weights of the network in a checkpoint are finite."""
    weights = [w for name, w in _load_weights(path).items() if name.startswith("net.")]
    return all(bool(torch.isfinite(w).all()) for w in weights)


def _load_weights(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    return state


def measure_engagement(module: RecipeModule, curves: EpochMetrics, steps: int) -> dict[str, float]:
    """What the parts did, and what it cost."""
    recipe = module.recipe
    last = curves.points[-1] if curves.points else {}
    parts = recipe.engagement() | recipe.layerwise.timing()
    numbers = {f"engagement/{key}": value for key, value in parts.items()}
    numbers |= {key: value for key, value in last.items() if key.startswith("engagement/")}
    return numbers | {
        "seconds": curves.seconds,
        "seconds_per_step": curves.seconds / max(1, curves.steps),
        "steps": float(steps),
        "epochs": float(len(curves.points)),
        "engagement/steps_saved": float(max(0, curves.planned - steps)),
    }


def quiet() -> None:
    """Silence Lightning's advice that does not hold here; each for its reason."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        # devices, tips, the last epoch: the console and the store say what matters of these
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",  # batches come from memory: a worker would only copy them
        ".*GPU available but not used.*",
        ".*log_every_n_steps.*",  # nothing is logged through Lightning
        ".*Checkpoint directory.*exists and is not empty.*",
        ".*isinstance.treespec, LeafSpec.*",  # Lightning 2.6 on torch 2.13
    ):
        warnings.filterwarnings("ignore", message=message)

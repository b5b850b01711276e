"""One run: a spec and its data in, numbers and files out. It knows neither MLflow nor where it runs, and never returns a model."""

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
from torch.multiprocessing import ProcessRaisedException

from upgate.data.datamodule import FoldDataModule
from upgate.model.module import RecipeModule
from upgate.recipe.engagement import weights_hash
from upgate.recipe.gradient_guard import Diverged
from upgate.run.callbacks import BestCheckpoint, EpochMetrics, Log, ProgressBar
from upgate.run.spec import RunSpec
from upgate.tasks.registry import get_task


@dataclass(frozen=True)
class Outcome:
    """What a run gives: numbers, and tables for its folder."""

    metrics: dict[str, float]  # test/..., val/..., engagement/..., seconds_per_step, ...
    tables: dict[str, pd.DataFrame]
    diverged: bool
    weights: str = ""  # hash of the kept weights


def train(
    spec: RunSpec,
    data: FoldDataModule,
    folder: Path,
    log: Log,
    console: Console,
    name: str,
    extra: dict[str, Any],
) -> Outcome:
    """Train, keep the best weights in `folder/best.ckpt`, and judge those. Goes on from `folder/last.ckpt` if it is there.

    `extra` are Trainer arguments that decide no numbers. A run whose gradients stay non-finite is an outcome: diverged.
    """
    torch.set_num_threads(spec.threads)
    task = get_task(spec.task.name)
    with warnings.catch_warnings():
        quiet()
        learner = task.module(spec.to_dict(), data)
        curves, keeper = EpochMetrics(log), BestCheckpoint(folder)
        trainer = make_trainer(spec, extra, folder, [curves, keeper, ProgressBar(console, name)])
        resume = keeper.last if keeper.last.exists() and counts_epochs(spec) else None
        try:
            trainer.fit(
                learner,
                datamodule=data.with_batching(spec.batch_size, spec.seed),
                ckpt_path=resume,
                weights_only=True,
            )
            steps = (
                gather(learner, curves, keeper.last) if spec.budget.shared else trainer.global_step
            )
            diverged = not (keeper.best.exists() and is_finite(keeper.best))
        except Diverged:
            diverged, steps = True, trainer.global_step
        except ProcessRaisedException as error:  # of a run that is shared out to several processes
            if Diverged.__name__ not in str(error):
                raise
            diverged, steps = (
                True,
                gather(learner, curves, keeper.last) if keeper.last.exists() else 0,
            )
        metrics = engagement(learner, curves, steps)
        if diverged:
            return Outcome(
                metrics | {task.metric.key: task.metric.worst},
                {"curve": pd.DataFrame(curves.points)},
                True,
            )
        restore(learner, keeper.best)
        judged = {
            part: task.evaluate(data, part, predict(learner, data, part, extra, spec))
            for part in ("validation", "test")
        }
    for part, judgement in judged.items():
        short = {"validation": "val"}.get(part, part)
        metrics |= {f"{short}/{key}": value for key, value in judgement.metrics.items()}
    tables = {**judged["test"].tables, "curve": pd.DataFrame(curves.points)}
    return Outcome(metrics, tables, False, weights_hash(learner.net))


def gather(learner: RecipeModule, curves: EpochMetrics, last: Path) -> int:
    """Take over what the processes of a shared run leave behind: their first one's last checkpoint; return the steps that they made."""
    state = torch.load(last, weights_only=True, map_location="cpu")
    curves.load_state_dict(state["callbacks"][curves.state_key])
    learner.on_load_checkpoint(state)
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
        learner = get_task(spec.task.name).module(spec.to_dict(), data)
        trainer = make_trainer(spec, {"fast_dev_run": batches}, Path(folder), list(callbacks))
        trainer.fit(learner, datamodule=data.with_batching(spec.batch_size, spec.seed))


def counts_epochs(spec: RunSpec) -> bool:
    """Whether Lightning resumes this budget exactly: with max_steps it loses its place (2.6.6), so such a run starts again."""
    return spec.budget.max_steps == -1 and spec.budget.max_time is None


def make_trainer(
    spec: RunSpec, extra: dict[str, Any], folder: Path, callbacks: list[pl.Callback]
) -> pl.Trainer:
    ours: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    asked = spec.budget.to_dict() | extra | {"precision": spec.precision}
    if asked.get("enable_progress_bar") is False:
        callbacks = [c for c in callbacks if not isinstance(c, ProgressBar)]
    return pl.Trainer(**ours | asked | {"enable_progress_bar": False}, callbacks=callbacks)


def predict(
    learner: RecipeModule, data: FoldDataModule, part: str, extra: dict[str, Any], spec: RunSpec
) -> Tensor:
    """The net's outputs for a part, (n, ...), by a Trainer without the limits that a user may have set on the training one."""
    place = {
        k: v for k, v in (spec.budget.to_dict() | extra).items() if k in ("accelerator", "devices")
    }
    place |= {"devices": 1} if spec.budget.shared else {}
    silent = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = pl.Trainer(**place, **silent, precision=spec.precision)  # type: ignore[arg-type]
    return torch.cat(trainer.predict(learner, data.part(part)))  # type: ignore[arg-type]


def restore(learner: RecipeModule, path: Path) -> None:
    """Load the kept weights, and only those."""
    learner.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["state_dict"])


def is_finite(path: Path) -> bool:
    state = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    return all(
        bool(torch.isfinite(w).all()) for name, w in state.items() if name.startswith("net.")
    )


def engagement(learner: RecipeModule, curves: EpochMetrics, steps: int) -> dict[str, float]:
    """What the parts did, and what it cost."""
    recipe = learner.recipe
    last = curves.points[-1] if curves.points else {}
    numbers = {f"engagement/{key}": value for key, value in recipe.engagement().items()}
    numbers |= {f"engagement/{key}": value for key, value in recipe.layerwise.timing().items()}
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
        logging.getLogger(name).setLevel(
            logging.ERROR
        )  # devices found, tips, epochs reached: said better elsewhere
    for message in (
        ".*does not have many workers.*",  # batches come from memory: a worker would only copy them
        ".*GPU available but not used.*",
        ".*log_every_n_steps.*",  # nothing is logged through Lightning
        ".*Checkpoint directory.*exists and is not empty.*",
        ".*isinstance.treespec, LeafSpec.*",  # Lightning 2.6 on torch 2.13
    ):
        warnings.filterwarnings("ignore", message=message)

"""What happens around training: curves, checkpoints, stopping, a progress bar."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from upgate.files import note_hash
from upgate.messages import shown
from upgate.run.texts import say
from upgate.types import StateDict

Log = Callable[[dict[str, float], int], None]  # metrics, step
Check = Callable[[], None]


class EpochMetrics(pl.Callback):
    """Collect a point per epoch and hand it to `log`; the curve goes on after a resume."""

    state_key = "Curves"  # in checkpoints, whatever the class is called

    def __init__(self, log: Log) -> None:
        self.log_point = log
        self.points: list[dict[str, float]] = []
        self.seconds, self.steps, self.planned, self._since = 0.0, 0, 0, 0.0

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.planned = int(trainer.estimated_stepping_batches)

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        self._since, self._validated = time.perf_counter(), 0.0

    def on_validation_start(self, trainer: pl.Trainer, module: Any) -> None:
        self._validation_since = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        if not trainer.sanity_checking:
            self._validated = time.perf_counter() - self._validation_since

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.steps += 1

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        self.seconds += time.perf_counter() - self._since - self._validated
        point = {
            "train/loss": float(
                trainer.strategy.reduce(module.train_loss.compute(), reduce_op="mean")
            ),
            "val/loss": compute_or_nan(module.validation_loss),
            "val/score": compute_or_nan(module.validation_score),
            "lr": max(group["lr"] for group in trainer.optimizers[0].param_groups),
            "seconds": self.seconds,
            **{f"engagement/{key}": number for key, number in module.measured.items()},
        }
        self.points.append(point)
        self.log_point(point, trainer.current_epoch + 1)

    def state_dict(self) -> StateDict:
        return {
            "points": self.points,
            "seconds": self.seconds,
            "steps": self.steps,
            "planned": self.planned,
        }

    def load_state_dict(self, state: StateDict) -> None:
        self.points, self.planned = list(state["points"]), state["planned"]
        self.seconds, self.steps = state["seconds"], state["steps"]


class BestCheckpoint(pl.Callback):
    """Keep the weights that the recipe's stopping chooses, and the state to go on from.

    Those are `best.ckpt` and `last.ckpt`. A file appears complete or not at all: a kill leaves the
    previous one.
    """

    def __init__(self, folder: Path) -> None:
        self.best, self.last = folder / "best.ckpt", folder / "last.ckpt"
        self.validated = False

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        if trainer.sanity_checking:
            return
        self.validated = True
        if module.is_best and module.recipe.stopping.keeps_best:
            save(trainer, self.best, weights_only=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        save(trainer, self.last, weights_only=False)

    def on_train_end(self, trainer: pl.Trainer, module: Any) -> None:
        # a budget that ends before the first validation keeps nothing
        none_kept = not (self.validated or self.best.exists())
        if none_kept or not module.recipe.stopping.keeps_best:
            save(trainer, self.best, weights_only=True)


class StopWithStore(pl.Callback):
    """Stop before more is trained or written where the store is gone. check: raises then."""

    def __init__(self, check: Check) -> None:
        self.check = check

    def on_train_batch_start(self, *_: Any) -> None:
        self.check()

    def on_validation_batch_start(self, *_: Any) -> None:
        self.check()

    # before checkpoints are written, which would make their folder again
    def on_validation_end(self, *_: Any) -> None:
        self.check()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.check()

    def on_train_end(self, *_: Any) -> None:
        self.check()


def compute_or_nan(metric: Any) -> float:
    """A metric's value; NaN before the first validation."""
    return float(metric.compute()) if metric.update_called else math.nan


def save(trainer: pl.Trainer, path: Path, weights_only: bool) -> None:
    """Save a checkpoint that appears complete or not at all."""
    partial = path.with_suffix(".partial")
    trainer.save_checkpoint(partial, weights_only=weights_only)
    if trainer.is_global_zero:
        partial.chmod(0o600)
        note_hash(path, partial)
        partial.replace(path)


class ProgressBar(pl.Callback):
    """One line per run: epoch, loss, time left. Nothing where the output is no terminal."""

    EVERY = 10  # batches between refreshes

    def __init__(self, console: Console, name: str) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[message]}"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self.name = name

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        total = int(trainer.estimated_stepping_batches)
        self.task = self.progress.add_task(
            self.name, total=total, completed=trainer.global_step, message=""
        )
        self.progress.disable = self.progress.disable or not trainer.is_global_zero
        self.progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, output: Any, batch: Any, index: int
    ) -> None:
        if index % self.EVERY == 0:
            self.progress.update(self.task, completed=trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        if not trainer.sanity_checking:
            loss = float(module.validation_loss.compute())
            message = say("bar", epoch=trainer.current_epoch + 1, loss=f"{loss:.4f}")
            self.progress.update(self.task, message=shown(message))

    def on_train_end(self, *_: Any) -> None:
        self.progress.stop()

    def on_exception(self, *_: Any) -> None:
        self.progress.stop()

"""The loop's overhead: an epoch of ours over an epoch of a bare PyTorch loop around the same net,
optimizer and batches.

make bench [task=stock] [repeats=20] [threads=2] [any word of `upgate train`, such as
trainer.precision=bf16-mixed]

Epochs of ours and of the bare loop take turns within one fit, so that whatever else slows the
machine slows both; a ratio is of two neighbours in time. Ours is all of an epoch but its
validation: Trainer, guard, measurements, curve, both checkpoints. At the end both nets must hold
the same weights, bit for bit: the two loops did the same work.
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from upgate.data.datamodule import FoldDataModule
from upgate.experiment.jobs import make_pair
from upgate.model.module import RecipeModule
from upgate.run.callbacks import BestCheckpoint, EpochMetrics, ProgressBar
from upgate.run.datasets import Datasets
from upgate.run.spec import RunSpec
from upgate.run.train import make_trainer, quiet, with_batching
from upgate.tasks.registry import get_task

OWN = {"task": "stock", "repeats": "20", "threads": "2"}
FIXED = ("trainer.accelerator=cpu", "stopping=none", "twin=false")


def bare(
    learner: RecipeModule, data: FoldDataModule, spec: RunSpec, epochs: int
) -> Callable[[], None]:
    """Return an epoch of the loop that one would write by hand for the same recipe."""
    net, recipe, batches = (
        learner.net.train(),
        learner.recipe,
        with_batching(data, spec).train_dataloader(),
    )
    recipe.start(net, torch.device("cpu"), epochs * len(batches))
    optimizer = recipe.make_optimizer(learner.layers(), net)
    scheduler = recipe.make_scheduler(optimizer, epochs * len(batches))
    params = [p for group in optimizer.param_groups for p in group["params"]]
    max_norm = spec.recipe.parts["clip"].knobs.get("max_norm")
    half = torch.autocast("cpu", torch.bfloat16, enabled=spec.precision == "bf16-mixed")

    def epoch() -> None:
        for batch in batches:
            optimizer.zero_grad()
            with half:
                loss = learner.loss(net(batch), batch)
            loss.backward()
            if max_norm is not None:
                nn.utils.clip_grad_norm_(params, max_norm)
            optimizer.step()
            scheduler.step()

    return epoch


def clocks() -> np.ndarray:
    """Seconds by the wall's clock and by the processor's, which stands still while other processes
    run.
    """
    return np.array([time.perf_counter(), time.process_time()])


class Neighbour(pl.Callback):
    """Time our epoch, then a bare one. The last callback: what the others do at an epoch's end is
    in our time.
    """

    def __init__(self, epoch: Callable[[], None]) -> None:
        self.epoch = epoch
        self.seconds: list[tuple[np.ndarray, np.ndarray]] = []  # ours, bare

    def on_train_start(self, *_: Any) -> None:
        self.since = clocks()

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.validation_since = clocks()

    def on_validation_epoch_end(self, *_: Any) -> None:
        self.since += clocks() - self.validation_since

    def on_train_epoch_end(self, *_: Any) -> None:
        middle = clocks()
        self.epoch()
        end = clocks()
        self.seconds.append((middle - self.since, end - middle))
        self.since = end


def fit(
    module: RecipeModule,
    spec: RunSpec,
    data: FoldDataModule,
    clock: Neighbour,
    console: Console,
    name: str,
) -> None:
    """Train as `upgate train` does, timed."""
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [
            EpochMetrics(lambda point, step: None),
            BestCheckpoint(Path(folder)),
            ProgressBar(console, name),
            clock,
        ]
        make_trainer(spec, {}, Path(folder), callbacks).fit(module, datamodule=data)


def measure(
    spec: RunSpec, data: FoldDataModule, repeats: int, console: Console, name: str
) -> np.ndarray:
    """Seconds per epoch, (repeats, 2, 2): ours and the bare loop's, by both clocks. Raises where
    the two did not do the same work.
    """
    task = get_task(spec.task.name)
    ours, theirs = task.module(spec.to_dict(), data), task.module(spec.to_dict(), data)
    neighbour = Neighbour(bare(theirs, data, spec, repeats + 1))
    fit(ours, spec, with_batching(data, spec), neighbour, console, name)
    for (name, a), b in zip(ours.net.named_parameters(), theirs.net.parameters(), strict=True):
        if not torch.equal(a, b):
            raise SystemExit(f"{name} differs between the two loops: they did not do the same work")
    return np.array(neighbour.seconds[1:])  # the first pair is a warm-up


def tokens_or_samples(spec: RunSpec, data: FoldDataModule) -> tuple[int, str]:
    """How much an epoch reads, and what is counted."""
    if spec.task.name == "stock":
        return data.sizes["train"], "samples"
    return sum(
        int(batch["lengths"].sum()) for batch in with_batching(data, spec).train_dataloader()
    ), "tokens"


def row(spec: RunSpec, data: FoldDataModule, seconds: np.ndarray) -> list[str]:
    size, unit = tokens_or_samples(spec, data)
    ours, theirs = np.median(seconds[..., 0], axis=0)
    ratios = np.quantile(seconds[:, 0] / seconds[:, 1], (0.5, 0.25, 0.75), axis=0)  # (3, 2)
    wall, processor = (f"{middle:.3f} ({low:.3f} to {high:.3f})" for middle, low, high in ratios.T)
    return [f"{ours:.3f}", f"{theirs:.3f}", wall, processor, f"{size / ours:,.0f} {unit}"]


def main(words: list[str]) -> None:
    asked = OWN | dict(word.split("=", 1) for word in words if word.split("=", 1)[0] in OWN)
    rest = [word for word in words if word.split("=", 1)[0] not in OWN]
    repeats, library, console = int(asked["repeats"]), Datasets(), Console(width=140)
    table = Table(
        title=(
            f"task={asked['task']}, {asked['threads']} threads: seconds per epoch, medians of"
            f" {repeats} pairs of epochs"
        )
    )
    for heading in (
        "recipe",
        "ours",
        "bare loop",
        "ratio (middle half)",
        "ratio of CPU seconds",
        "ours per second",
    ):
        table.add_column(heading, justify="left" if heading == "recipe" else "right")
    torch.set_num_threads(int(asked["threads"]))
    with warnings.catch_warnings():
        quiet()
        for recipe in ("traditional", "upgraded"):
            budget = f"trainer.max_epochs={repeats + 1}"
            job, _ = make_pair(
                [f"task={asked['task']}", f"recipe={recipe}", budget, *FIXED, *rest], library, None
            )
            data = library.fetch(job)[1]
            table.add_row(
                recipe, *row(job.spec, data, measure(job.spec, data, repeats, console, recipe))
            )
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])

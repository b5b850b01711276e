"""Equal wall time: each arm gets the whole epochs that the baseline's time pays for, by the measured seconds of a step.

A step's cost is measured as a ratio to the baseline's, in turns and on the same batches, so that a machine that is busy for a while slows
both; the middle one of a few ratios counts. It is kept below `<root>/studies/wall/`, a file per two recipes, before the first run: the same
command later gives the same epochs. It says what the first steps cost: a part that begins later (averaging=swa, layerwise=unfreeze) costs
another sum, and a recipe that stops early spends less.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import lightning.pytorch as pl

from upgate.errors import UserError
from upgate.files import write_atomic
from upgate.recipe.gradient_guard import Diverged
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.train import dry_run
from upgate.study.result import Arm, Wall

FIRST, STEPS, ROUNDS = (
    4,
    16,
    3,
)  # steps left out, for they are slower; steps timed in a round; rounds
WORD = "trainer.max_epochs"


class Step(NamedTuple):
    """seconds: of the baseline's step; ratio: of the arm's to it."""

    seconds: float
    ratio: float


class Clock(pl.Callback):
    """Seconds of each training step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self._since = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self._since)


def equal_wall(
    arms: Sequence[Arm], jobs: Mapping[str, Job], library: Datasets
) -> tuple[list[Arm], Wall]:
    """The arms with their epochs, which their names say, and what was handed out; jobs by arm, the baseline first.

    Where all get the same, the arms are as they were: it is the study of equal steps. Raises UserError for a budget that is not in epochs.
    """
    base = jobs[arms[0].name]
    asked, folder = epochs_of(base), Path(base.config.root) / "studies" / "wall"
    steps = [step(base, jobs[arm.name], folder, library) for arm in arms]
    epochs = [max(1, int(asked / one.ratio + 0.5)) for one in steps]
    found = (
        [with_epochs(arm, n) for arm, n in zip(arms, epochs, strict=True)]
        if len(set(epochs)) > 1
        else list(arms)
    )
    names = [arm.name for arm in found]
    batches = len(
        library.fetch(base)[1]
        .with_batching(base.spec.batch_size, base.spec.seed)
        .train_dataloader()
    )
    ratios = [one.ratio for one in steps]
    wall = Wall(
        dict(zip(names, epochs, strict=True)),
        dict(zip(names, ratios, strict=True)),
        asked * batches * steps[0].seconds,
    )
    return found, wall


def with_epochs(arm: Arm, epochs: int) -> Arm:
    words = [word for word in arm.words if not word.startswith(f"{WORD}=")]
    return replace(
        arm,
        name=f"{arm.name} ({epochs} epoch{'s' * (epochs > 1)})",
        words=[*words, f"{WORD}={epochs}"],
    )


def epochs_of(base: Job) -> int:
    budget = base.spec.budget
    epochs = budget.max_epochs
    if epochs < 1 or budget.max_steps > 0 or budget.max_time is not None:
        raise UserError(
            f"study.budget=wall hands out whole epochs; give the baseline's as {WORD}=..., without max_steps and max_time"
        )
    return epochs


def step(base: Job, job: Job, folder: Path, library: Datasets) -> Step:
    """What a step costs: from its file, else measured and kept there."""
    keys = [replace(one.spec, seed=0, fold=0, budget=base.spec.budget).key for one in (base, job)]
    path = folder / f"{hashlib.sha256(''.join(keys).encode()).hexdigest()[:16]}.json"
    if not path.exists():
        found = measured(base, job, library)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"recipes": keys, **found._asdict()}, indent=1) + "\n"
        write_atomic(path, lambda file: file.write(text.encode()))
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Step(float(kept["seconds"]), float(kept["ratio"]))


def measured(base: Job, job: Job, library: Datasets) -> Step:
    """The middle of a few rounds; a recipe that diverges before it can be timed costs what the baseline does."""
    rounds = []
    for _ in range(ROUNDS):
        theirs = timed(base, library)
        own = theirs if job is base else timed(job, library)
        n = min(len(theirs), len(own))
        rounds.append(
            Step(fmean(theirs[:n]), sum(own[:n]) / sum(theirs[:n])) if n else Step(0.0, 1.0)
        )
    return Step(median(one.seconds for one in rounds), median(one.ratio for one in rounds))


def timed(job: Job, library: Datasets) -> list[float]:
    """Seconds of a few steps."""
    clock = Clock()
    with suppress(Diverged):
        dry_run(job.spec, library.fetch(job)[1], FIRST + STEPS, clock)
    return clock.seconds[FIRST:] or clock.seconds

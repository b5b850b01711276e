"""Equal wall time: each arm gets the epochs that the baseline's time pays for.

A step's cost is measured as a ratio to the baseline's, in turns and on the same batches, so that a
machine that is busy for a while slows both; the median of a few ratios counts. It is stored below
`<root>/studies/wall/`, a file per two recipes, before the first run: the same command later gives
the same epochs. It is the cost of the first steps: a part that begins later (averaging=swa,
layerwise=unfreeze) costs more or less than that, and a recipe that stops early spends less.
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
from upgate.experiment.designs import Arm
from upgate.files import is_kept, write_text
from upgate.recipe.gradient_guard import Diverged
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.train import dry_run
from upgate.study.result import Wall
from upgate.study.texts import say

SKIPPED, STEPS, ROUNDS = 4, 16, 3  # slower first steps; steps timed in a round; rounds
EPOCHS = "trainer.max_epochs"


class StepCost(NamedTuple):
    """seconds: of the baseline's step; ratio: of the arm's to it."""

    seconds: float
    ratio: float


class StepClock(pl.Callback):
    """Seconds of each training step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def equal_wall(
    arms: Sequence[Arm], jobs: Mapping[str, Job], datasets: Datasets
) -> tuple[list[Arm], Wall]:
    """The arms with their epochs, which their names say, and how these were found.

    jobs: by arm, the baseline first. Where all get the same epochs, the arms are unchanged: it is
    the study of equal steps. Raises UserError for a budget that is not in epochs.
    """
    base = jobs[arms[0].name]
    requested, folder = requested_epochs(base), Path(base.config.root) / "studies" / "wall"
    costs = [stored_cost(base, jobs[arm.name], folder, datasets) for arm in arms]
    epochs = [max(1, int(requested / cost.ratio + 0.5)) for cost in costs]
    changed = list(arms)
    if len(set(epochs)) > 1:
        changed = [with_epochs(arm, n) for arm, n in zip(arms, epochs, strict=True)]
    names = [arm.name for arm in changed]
    data = datasets.fetch(base)[1].with_batching(base.spec.batch_size, base.spec.seed)
    wall = Wall(
        epochs=dict(zip(names, epochs, strict=True)),
        ratio=dict(zip(names, (cost.ratio for cost in costs), strict=True)),
        seconds=requested * len(data.train_dataloader()) * costs[0].seconds,
    )
    return changed, wall


def with_epochs(arm: Arm, epochs: int) -> Arm:
    """The arm with so many epochs, and a name that says so."""
    kept = [one for one in arm.overrides if not one.startswith(f"{EPOCHS}=")]
    name = f"{arm.name} ({epochs} epoch{'s' * (epochs > 1)})"
    return replace(arm, name=name, overrides=[*kept, f"{EPOCHS}={epochs}"])


def requested_epochs(base: Job) -> int:
    """The baseline's epochs. Raises UserError for a budget that is not in epochs."""
    budget = base.spec.budget
    if budget.max_epochs < 1 or budget.max_steps > 0 or budget.max_time is not None:
        raise UserError(say("wall_of_epochs", key=EPOCHS))
    return budget.max_epochs


def stored_cost(base: Job, job: Job, folder: Path, datasets: Datasets) -> StepCost:
    """What a step costs: from its file, else measured and stored there."""
    specs = (base.spec, job.spec)
    keys = [replace(spec, seed=0, fold=0, budget=base.spec.budget).key for spec in specs]
    path = folder / f"{hashlib.sha256(''.join(keys).encode()).hexdigest()[:16]}.json"
    if not is_kept(path):
        measured = measure_cost(base, job, datasets)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"recipes": keys, **measured._asdict()}, indent=1) + "\n"
        write_text(path, text)
    stored = json.loads(path.read_text(encoding="utf-8"))
    return StepCost(float(stored["seconds"]), float(stored["ratio"]))


def measure_cost(base: Job, job: Job, datasets: Datasets) -> StepCost:
    """The median of a few rounds.

    A recipe that diverges before it can be timed counts as costing what the baseline does.
    """
    rounds = []
    for _ in range(ROUNDS):
        baseline = time_steps(base, datasets)
        candidate = baseline if job is base else time_steps(job, datasets)
        n = min(len(baseline), len(candidate))
        cost = StepCost(0.0, 1.0)
        if n:
            cost = StepCost(fmean(baseline[:n]), sum(candidate[:n]) / sum(baseline[:n]))
        rounds.append(cost)
    return StepCost(median(cost.seconds for cost in rounds), median(cost.ratio for cost in rounds))


def time_steps(job: Job, datasets: Datasets) -> list[float]:
    """Seconds of a few steps."""
    clock = StepClock()
    with suppress(Diverged):
        dry_run(job.spec, datasets.fetch(job)[1], SKIPPED + STEPS, clock)
    return clock.seconds[SKIPPED:] or clock.seconds

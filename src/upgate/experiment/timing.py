"""How long runs take: from the store where it has timed the same recipe, else from a few steps."""

import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from upgate.console import print_lines
from upgate.experiment.records import same_but_for_seed
from upgate.experiment.texts import say
from upgate.messages import shown
from upgate.recipe.gradient_guard import Diverged
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.train import dry_run
from upgate.store.record import Row

STEPS, MORE = 2, 10  # of the trial; and of the timing where the store knows no such run


class RunTime(NamedTuple):
    """Expected seconds of one run. measured: by the store's runs, not guessed from a few steps."""

    seconds: float
    measured: bool


def time_run(job: Job, finished: Sequence[Row], datasets: Datasets, console: Console) -> RunTime:
    """Try a job out for two steps, and say how long it will take.

    Raises whatever the job fails with in these steps.
    """
    tried = try_out(job, datasets, STEPS, console)
    known = [row.seconds for row in finished if same_but_for_seed(row, job)]
    if known:
        return RunTime(median(known), measured=True)
    return RunTime(_extrapolate(job, datasets, tried, console), measured=False)


def try_out(job: Job, datasets: Datasets, steps: int, console: Console) -> float:
    """Seconds of a few steps through training and validation.

    A recipe that diverges in them is a result, not a fault; any other failure is raised again.
    """
    start = time.monotonic()
    try:
        dry_run(job.spec, datasets.fetch(job)[1], steps)
    except Diverged:
        print_lines(console, [say("diverges_at_once", name=job.name, steps=steps)])
    except Exception:
        message = say("fails_at_once", name=job.name, steps=steps)
        console.print(Text(shown(message), "red"))
        raise
    return time.monotonic() - start


def _extrapolate(job: Job, datasets: Datasets, tried: float, console: Console) -> float:
    """Seconds of a full run; a timed step includes a training and a validation batch."""
    per_step = max(try_out(job, datasets, MORE, console) - tried, 0.0) / (MORE - STEPS)
    data = datasets.fetch(job)[1].with_batching(job.spec.batch_size, job.spec.seed)
    batches = len(data.train_dataloader())
    limits = (job.spec.budget.max_epochs * batches, job.spec.budget.max_steps)
    steps = min([limit for limit in limits if limit > 0], default=batches)
    return 1.0 + per_step * steps

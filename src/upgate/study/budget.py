"""Before a study's first run: every recipe tried out for two steps, how long all will take, and which effect the seeds can detect."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, variance

from rich.console import Console
from rich.markup import escape

from upgate.recipe.gradient_guard import Diverged
from upgate.run.datasets import Datasets
from upgate.run.job import Job, flatten_spec
from upgate.run.train import dry_run
from upgate.stats.power import detectable
from upgate.store.record import Row
from upgate.study.analyze import gaps_of, runs_of, scores_of
from upgate.study.plan import Plan
from upgate.study.result import Study

STEPS, MORE = 2, 10  # of the smoke; and of the timing where the store knows no such run
NAMES = ("seed", "fold", "recipe")  # parameters in which two runs of one length may differ


@dataclass(frozen=True)
class Budget:
    """seconds: expected, by run key, of what is not done; spread: standard deviation of a seed's difference, None before two seeds."""

    done: int
    seconds: dict[str, float]
    measured: bool
    detectable: float  # in standard deviations of a seed's difference, with 80% power
    spread: float | None


def budget(plan: Plan, rows: Sequence[Row], library: Datasets, console: Console) -> Budget:
    """Try out every recipe that has runs to do, and say what all will take. Whatever fails in two steps fails here."""
    study = plan.study
    finished = [row for row in rows if row.status == "FINISHED" and not row.is_parent]
    done = {row.key for row in finished}
    left = list({job.spec.key: job for job in plan.jobs if job.spec.key not in done}.values())
    seconds: dict[str, float] = {}
    measured = True
    for job in distinct(left):
        tried = try_out(job, library, STEPS, console)
        known = [row.seconds for row in finished if alike(row, job)]
        if not known:
            measured = False
        each = median(known) if known else guessed(job, library, tried, console)
        seconds |= {other.spec.key: each for other in left if same_recipe(other, job)}
    return Budget(
        len({job.spec.key for job in plan.jobs} & done),
        seconds,
        measured,
        smallest(study),
        spread(study, finished),
    )


def distinct(jobs: Iterable[Job]) -> list[Job]:
    """One job of every recipe."""
    found: list[Job] = []
    for job in jobs:
        if not any(same_recipe(job, other) for other in found):
            found.append(job)
    return found


def same_recipe(one: Job, other: Job) -> bool:
    return one.spec.recipe == other.spec.recipe and one.spec.budget == other.spec.budget


def alike(row: Row, job: Job) -> bool:
    """Whether a stored run differs from a job in seed and fold at most."""
    wanted = {name: str(value) for name, value in flatten_spec(job).items() if name not in NAMES}
    return row.tags.get("upgate.data") == job.spec.data and all(
        row.params.get(name) == value for name, value in wanted.items()
    )


def try_out(job: Job, library: Datasets, steps: int, console: Console) -> float:
    """Seconds of a few steps through training and validation; a recipe that diverges in them is a result, not a fault."""
    start = time.monotonic()
    try:
        dry_run(job.spec, library.fetch(job)[1], steps)
    except Diverged:
        console.print(f"{escape(job.name)}: diverges in its first {steps} steps", highlight=False)
    except Exception:
        console.print(
            f"[red]{escape(job.name)} fails in its first {steps} steps; nothing was trained[/]",
            highlight=False,
        )
        raise
    return time.monotonic() - start


def guessed(job: Job, library: Datasets, tried: float, console: Console) -> float:
    """Seconds of a whole run from those of a few steps: each timed step goes through a training and a validation batch."""
    per_step = max(try_out(job, library, MORE, console) - tried, 0.0) / (MORE - STEPS)
    data = library.fetch(job)[1].with_batching(job.spec.batch_size, job.spec.seed)
    epochs, most = job.spec.budget.max_epochs, job.spec.budget.max_steps
    batches = len(data.train_dataloader())
    steps = min([n for n in (epochs * batches, most) if n > 0], default=batches)
    return 1.0 + per_step * steps


def smallest(study: Study) -> float:
    """With 80% power, Holm's first step over all questions of the study."""
    questions = len(study.parts) or len(study.arms) - 1
    return detectable(len(study.seeds), alpha=study.alpha / max(1, questions))


def spread(study: Study, finished: Sequence[Row]) -> float | None:
    """Standard deviation of a seed's difference, the middle one of the arms that have two seeds or more."""
    scores = scores_of(study, runs_of(study, finished))
    gaps = [
        [
            gap
            for gap in gaps_of(study, scores, arm.name, study.seeds).values()
            if math.isfinite(gap)
        ]
        for arm in study.arms[1:]
    ]
    found = [variance(one) for one in gaps if len(one) > 1]
    return math.sqrt(median(found)) if found else None


def tell(console: Console, plan: Plan, found: Budget) -> None:
    """The plan: what will run, how long, and what it can find."""
    study, every = plan.study, len({job.spec.key for job in plan.jobs})
    executor = plan.jobs[0].config.executor.name
    controls = [name for name, there in (("A/A", study.aa), ("zero", study.zero)) if there]
    lines = [
        f"study {study.id}: {len(study.arms)} arms, {count(study.seeds, 'seed')} ({listed(study.seeds)}), "
        f"{count(study.folds, 'fold')}; controls: {', '.join(controls) or 'none'}",
        *(f"  {arm.name}" for arm in study.arms),
        *walls(study),
        f"runs: {every}, of which {found.done} are done and {every - found.done} to do; "
        f"about {minutes(sum(found.seconds.values()))} {'' if executor == 'inline' else 'of work '}"
        f"({'measured' if found.measured else 'from a few steps of each recipe'})",
        f"smallest effect of interest: {100 * study.smallest_effect:g}{'%' if study.unit == '%' else ' points'}; "
        f"detectable with 80% power: {can_detect(study, found)}",
    ]
    if len(study.seeds) < 6:
        lines.append(
            "fewer than 6 seeds: every verdict will be undecided, for an exact test could not reject"
        )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def walls(study: Study) -> list[str]:
    """What equal wall time comes to."""
    if study.wall is None:
        return []
    if study.wall.equal:
        epochs = next(iter(study.wall.epochs.values()))
        return [
            f"equal wall time: every recipe gets the same {epochs} epochs, so this is the study of equal steps, and costs nothing more"
        ]
    steps = ", ".join(f"{ratio:.2f}" for ratio in study.wall.ratio.values())
    return [
        f"equal wall time: about {minutes(study.wall.seconds)} of training each; a step takes {steps} of the baseline's"
    ]


def can_detect(study: Study, found: Budget) -> str:
    if math.isinf(found.detectable):
        return f"none, with {count(study.seeds, 'seed')}"
    said = f"{found.detectable:.2f} standard deviations of a seed's difference"
    if found.spread is None:
        return f"{said} (not known before the first runs)"
    unit = "%" if study.unit == "%" else " points"
    return f"{study.shown(found.detectable * found.spread):.2f}{unit} ({said}, so far {study.shown(found.spread):.2f}{unit})"


def listed(numbers: Sequence[int]) -> str:
    """0 to 5; or 3, 5, 8."""
    run = list(range(numbers[0], numbers[0] + len(numbers)))
    return (
        f"{numbers[0]} to {numbers[-1]}"
        if list(numbers) == run and len(run) > 2
        else ", ".join(map(str, numbers))
    )


def count(things: Sequence[int], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

"""The search itself: points, their runs fold by fold, more seeds for the best, the choice. It knows no store: runs come from a function.

A point depends on the seed, its number, and for tpe on the trials of earlier generations; so a search that goes on after a kill, its
finished runs looked up and not trained again, has the points and the choice of an undisturbed one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.tasks.search_blocks import Block
from upgate.tune.optuna_adapter import tpe_points
from upgate.tune.plan import job_at, trial_job
from upgate.tune.result import Search, Tunable
from upgate.tune.samplers import generation_of, grid_point, mapped, shared_point
from upgate.tune.space import words_of
from upgate.tune.trial import COMPLETE, PRUNED, Trial, clearly_worse, loss_of, state_of

AT_ONCE = 4  # generations of a list that listens to nothing: so much goes to the executor together

Cell = tuple[int, int]  # seed, fold
Execute = Callable[[list[Job]], dict[str, Result]]  # jobs -> results by run key


class SearchStopped(Exception):
    """The executor gave up: some runs have no result."""


@dataclass
class Attempt:
    """A trial that is under way."""

    arm: Tunable
    number: int
    values: dict[str, Any]
    job: Job
    results: dict[Cell, Result] = field(default_factory=dict)
    pruned: bool = False


@dataclass(frozen=True)
class Context:
    """What a search needs beside its question. told: hears of each arm's trials so far."""

    search: Search
    extra: str | None
    library: Datasets
    execute: Execute
    parents: dict[str, str]  # arm -> MLflow run
    told: Callable[[Block, Tunable, Sequence[Trial]], None]


Trials = dict[str, list[Trial]]


def run_block(context: Context, block: Block) -> tuple[Trials, dict[str, int | None]]:
    """All trials of every arm, and the number of the chosen one. Raises Stopped."""
    search = context.search
    trials: Trials = {arm.name: [] for arm in search.arms}
    for numbers in batches(search):
        attempts = [
            attempt(context, block, arm, n, trials[arm.name])
            for arm in search.arms
            for n in numbers
        ]
        train(context, block, attempts, trials)
        for one in attempts:
            trials[one.arm.name].append(finished(one, search))
        for arm in search.arms:
            context.told(block, arm, trials[arm.name])
    add_seeds(context, block, trials)
    return trials, {name: choose(found, search) for name, found in trials.items()}


def batches(search: Search) -> Iterable[range]:
    """The numbers that are run together, for all arms: a generation, or several where points listen to nothing."""
    if search.sampler == "tpe":
        start = 0
        while start < search.trials:
            numbers = generation_of(start, search.generation)
            yield range(numbers.start, min(numbers.stop, search.trials))
            start = numbers.stop
        return
    size = AT_ONCE * search.generation
    for start in range(0, search.trials, size):
        yield range(start, min(start + size, search.trials))


def point(search: Search, arm: Tunable, number: int, earlier: Sequence[Trial]) -> dict[str, Any]:
    """The values of one trial; none of the baseline's own are changed in number 0."""
    if number == 0:
        return {}
    if search.sampler == "grid":
        return grid_point(arm.space, search.per_axis, number)
    generation = generation_of(number, search.generation)
    if search.sampler == "tpe" and generation.start >= search.startup:
        told = [trial for trial in earlier if trial.number < generation.start]
        return tpe_points(
            arm.space, search.seed, generation.start, number - generation.start + 1, told
        )[-1]
    return mapped(arm.space, shared_point(search.sampler, search.seed, number, search.keys))


def attempt(
    context: Context, block: Block, arm: Tunable, number: int, earlier: Sequence[Trial]
) -> Attempt:
    values = point(context.search, arm, number, earlier)
    return Attempt(
        arm,
        number,
        values,
        trial_job(arm, values, block, context.extra, context.library, f"trial={number}"),
    )


def train(context: Context, block: Block, attempts: Sequence[Attempt], earlier: Trials) -> None:
    """Run the attempts on every fold; where folds prune, fold by fold, and those that are clearly worse no further."""
    cells = [(context.search.seeds[0], fold) for fold in block.folds]
    for wave in [cells] if context.search.prune == "none" else [[cell] for cell in cells]:
        run_cells(context, [(one, cell) for one in attempts if not one.pruned for cell in wave])
        if wave[-1] != cells[-1]:
            for arm in context.search.arms:
                prune(
                    [one for one in attempts if one.arm.name == arm.name],
                    earlier[arm.name],
                    context.search,
                )


def run_cells(context: Context, wanted: Sequence[tuple[Attempt, Cell]]) -> None:
    jobs = [job_at(one.job, *cell, parent=context.parents[one.arm.name]) for one, cell in wanted]
    found = context.execute(jobs)
    if missing := [job for job in jobs if job.spec.key not in found]:
        raise SearchStopped(f"{len(missing)} runs were not begun")
    for (one, cell), job in zip(wanted, jobs, strict=True):
        one.results[cell] = found[job.spec.key]


def prune(attempts: Sequence[Attempt], earlier: Sequence[Trial], search: Search) -> None:
    """Set those aside that a paired test calls worse than the best on the folds so far; the baseline never: it is tested at the end."""
    live = [one for one in attempts if not one.pruned]
    ours = {one.number: losses(one, search) for one in live}
    cells = next(iter(ours.values()), {})
    seen = [
        {cell: trial.losses[cell] for cell in cells} for trial in earlier if trial.state == COMPLETE
    ]
    best = min([*seen, *ours.values()], key=lambda found: sum(found.values()), default={})
    for one in live:
        one.pruned = one.number > 0 and clearly_worse(ours[one.number], best)


def losses(one: Attempt, search: Search) -> dict[str, float]:
    return {named(cell): loss_of(result, search.score) for cell, result in one.results.items()}


def named(cell: Cell) -> str:
    return f"{cell[0]}/{cell[1]}"


def finished(one: Attempt, search: Search) -> Trial:
    state = state_of(list(one.results.values()))
    words = words_of(one.values, one.job.config.to_dict()) if one.values else []
    keys = {named(cell): result.key for cell, result in one.results.items()}
    values = one.values or one.arm.baseline
    return Trial(
        one.number,
        values,
        words,
        keys,
        losses(one, search),
        PRUNED if one.pruned and state == COMPLETE else state,
    )


def add_seeds(context: Context, block: Block, trials: Trials) -> None:
    """Train the best trials of every arm with further seeds, that luck with one seed is not chosen."""
    search, further = context.search, context.search.seeds[1:]
    again: list[tuple[int, Attempt]] = []
    for arm in search.arms:
        for trial in best_of(trials[arm.name], search.top if further else 0):
            values = {} if trial.number == 0 else trial.values
            job = trial_job(
                arm, values, block, context.extra, context.library, f"trial={trial.number}"
            )
            again.append((trials[arm.name].index(trial), Attempt(arm, trial.number, values, job)))
    run_cells(
        context,
        [(one, (seed, fold)) for _, one in again for seed in further for fold in block.folds],
    )
    for place, one in again:
        trial = trials[one.arm.name][place]
        keys = trial.keys | {named(cell): result.key for cell, result in one.results.items()}
        trials[one.arm.name][place] = replace(trial, keys=keys, more=losses(one, search))


def best_of(trials: Sequence[Trial], count: int) -> list[Trial]:
    return sorted(
        (trial for trial in trials if trial.state == COMPLETE), key=lambda trial: trial.rank
    )[:count]


def choose(trials: Sequence[Trial], search: Search) -> int | None:
    """The best over all seeds, among those that have as many as any; None where no trial is complete."""
    top = [trial for trial in trials if trial.more] or best_of(trials, 1)
    return min(top, key=lambda trial: (trial.final, trial.number)).number if top else None

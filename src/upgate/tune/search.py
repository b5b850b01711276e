"""The search itself: points, their runs fold by fold, more seeds for the best, the choice.

It knows no store: runs come from a function. A point depends on the seed, its number, and for tpe
on the trials of earlier generations; so a search that continues after a kill, its finished runs
looked up and not trained again, has the points and the choice of an undisturbed one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from upgate.experiment.session import Session
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.tasks.blocks import Block
from upgate.tune.optuna_adapter import tpe_points
from upgate.tune.plan import trial_job
from upgate.tune.result import Search, Tunable
from upgate.tune.samplers import generation_of, grid_point, map_point, shared_point
from upgate.tune.space import Values, to_overrides
from upgate.tune.texts import say
from upgate.tune.trial import COMPLETE, PRUNED, Trial, clearly_worse, loss_of, state_of

AT_ONCE = 4  # generations that go to the executor together where points use no results

Cell = tuple[int, int]  # seed, fold
Execute = Callable[[list[Job]], dict[str, Result]]  # jobs -> results by run key
Trials = dict[str, list[Trial]]  # by arm
Listener = Callable[[Block, Tunable, Sequence[Trial]], None]


class SearchStopped(Exception):
    """The executor gave up: some runs have no result."""


@dataclass
class Attempt:
    """A trial that is running."""

    arm: Tunable
    number: int
    values: Values
    job: Job
    results: dict[Cell, Result] = field(default_factory=dict)
    pruned: bool = False


@dataclass(frozen=True)
class Context:
    """What a search needs beside its question. listener: hears of each arm's trials so far."""

    search: Search
    session: Session
    execute: Execute
    parents: dict[str, str]  # arm -> id of its MLflow run
    listener: Listener


def run_block(context: Context, block: Block) -> tuple[Trials, dict[str, int | None]]:
    """All trials of every arm, and the number of the chosen one.

    Raises SearchStopped.
    """
    search = context.search
    trials: Trials = {arm.name: [] for arm in search.arms}
    for numbers in number_batches(search):
        attempts = [
            start_attempt(context, block, arm, number, trials[arm.name])
            for arm in search.arms
            for number in numbers
        ]
        run_attempts(context, block, attempts, trials)
        for attempt in attempts:
            trials[attempt.arm.name].append(to_trial(attempt, search))
        for arm in search.arms:
            context.listener(block, arm, trials[arm.name])
    add_seeds(context, block, trials)
    return trials, {name: choose(of_arm) for name, of_arm in trials.items()}


def number_batches(search: Search) -> Iterable[range]:
    """The numbers that are run together, for all arms.

    A generation, or several where points use no results.
    """
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


def point(search: Search, arm: Tunable, number: int, earlier: Sequence[Trial]) -> Values:
    """The values of one trial; empty for number 0, the baseline."""
    if number == 0:
        return {}
    if search.sampler == "grid":
        return grid_point(arm.space, search.per_axis, number)
    generation = generation_of(number, search.generation)
    if search.sampler == "tpe" and generation.start >= search.startup:
        known = [trial for trial in earlier if trial.number < generation.start]
        count = number - generation.start + 1
        return tpe_points(arm.space, search.seed, generation.start, count, known)[-1]
    return map_point(arm.space, shared_point(search.sampler, search.seed, number, search.keys))


def start_attempt(
    context: Context, block: Block, arm: Tunable, number: int, earlier: Sequence[Trial]
) -> Attempt:
    values = point(context.search, arm, number, earlier)
    job = trial_job(arm, values, block, context.session, f"trial={number}")
    return Attempt(arm, number, values, job)


def run_attempts(
    context: Context, block: Block, attempts: Sequence[Attempt], earlier: Trials
) -> None:
    """Run the attempts on every fold.

    With pruning, fold by fold, and those that are clearly worse no further.
    """
    search = context.search
    cells = [(search.seeds[0], fold) for fold in block.folds]
    if search.prune == "none":
        run_cells(context, list(product(attempts, cells)))
        return
    for cell in cells:
        live = [attempt for attempt in attempts if not attempt.pruned]
        run_cells(context, [(attempt, cell) for attempt in live])
        if cell != cells[-1]:
            prune_arms(live, earlier, search)


def prune_arms(live: Sequence[Attempt], earlier: Trials, search: Search) -> None:
    """Prune the attempts of each arm."""
    for arm in search.arms:
        own = [attempt for attempt in live if attempt.arm.name == arm.name]
        prune(own, earlier[arm.name], search)


def run_cells(context: Context, wanted: Sequence[tuple[Attempt, Cell]]) -> None:
    """Run attempts on cells and note the results. Raises SearchStopped where one is missing."""
    jobs = [
        replace(attempt.job.at(*cell), parent=context.parents[attempt.arm.name])
        for attempt, cell in wanted
    ]
    results = context.execute(jobs)
    if missing := [job for job in jobs if job.spec.key not in results]:
        raise SearchStopped(say("not_begun", n=len(missing)))
    for (attempt, cell), job in zip(wanted, jobs, strict=True):
        attempt.results[cell] = results[job.spec.key]


def prune(live: Sequence[Attempt], earlier: Sequence[Trial], search: Search) -> None:
    """Set those aside that a paired test calls worse than the best one, on the folds so far.

    Never the baseline: it is tested at the end.
    """
    own = {attempt.number: attempt_losses(attempt, search) for attempt in live}
    cells = next(iter(own.values()), {})
    rivals = []
    for trial in earlier:
        if trial.state == COMPLETE:
            rivals.append({cell: trial.losses[cell] for cell in cells})
    best = min([*rivals, *own.values()], key=lambda losses: sum(losses.values()), default={})
    for attempt in live:
        attempt.pruned = attempt.number > 0 and clearly_worse(own[attempt.number], best)


def attempt_losses(attempt: Attempt, search: Search) -> dict[str, float]:
    """ "seed/fold" -> loss."""
    results = attempt.results.items()
    return {cell_name(cell): loss_of(result, search.score) for cell, result in results}


def cell_name(cell: Cell) -> str:
    return f"{cell[0]}/{cell[1]}"


def run_keys(attempt: Attempt) -> dict[str, str]:
    """ "seed/fold" -> run key."""
    return {cell_name(cell): result.key for cell, result in attempt.results.items()}


def to_trial(attempt: Attempt, search: Search) -> Trial:
    """The trial of an attempt whose runs have ended."""
    state = state_of(list(attempt.results.values()))
    overrides = []
    if attempt.values:
        overrides = to_overrides(attempt.values, attempt.job.config.to_dict())
    return Trial(
        number=attempt.number,
        values=attempt.values or attempt.arm.baseline,
        overrides=overrides,
        keys=run_keys(attempt),
        losses=attempt_losses(attempt, search),
        state=PRUNED if attempt.pruned and state == COMPLETE else state,
    )


def add_seeds(context: Context, block: Block, trials: Trials) -> None:
    """Train the best trials of every arm with further seeds, so that luck is not chosen."""
    search, further = context.search, context.search.seeds[1:]
    again: list[Attempt] = []
    for arm in search.arms:
        for trial in best_of(trials[arm.name], search.top if further else 0):
            values = {} if trial.number == 0 else trial.values
            job = trial_job(arm, values, block, context.session, f"trial={trial.number}")
            again.append(Attempt(arm, trial.number, values, job))
    cells = [(seed, fold) for seed in further for fold in block.folds]
    run_cells(context, list(product(again, cells)))
    for attempt in again:
        arm_trials = trials[attempt.arm.name]
        index = next(i for i, trial in enumerate(arm_trials) if trial.number == attempt.number)
        keys = arm_trials[index].keys | run_keys(attempt)
        more = attempt_losses(attempt, search)
        arm_trials[index] = replace(arm_trials[index], keys=keys, more=more)


def best_of(trials: Sequence[Trial], count: int) -> list[Trial]:
    """The best complete trials, best first."""
    complete = [trial for trial in trials if trial.state == COMPLETE]
    return sorted(complete, key=lambda trial: trial.rank)[:count]


def choose(trials: Sequence[Trial]) -> int | None:
    """The best over all seeds, among those that have further seeds if any has.

    None where no trial is complete.
    """
    top = [trial for trial in trials if trial.more] or best_of(trials, 1)
    return min(top, key=lambda trial: (trial.final, trial.number)).number if top else None

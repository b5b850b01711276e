"""From options to a search: its arms, their spaces, its folds, and all that is frozen.

Nothing is trained here.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from upgate.config.compose import compose, find_part_changes
from upgate.errors import UserError
from upgate.experiment import designs
from upgate.experiment.designs import Arm
from upgate.experiment.jobs import check_batches, make_job
from upgate.experiment.session import Session, repeat_commands
from upgate.messages import joined
from upgate.run.job import Job
from upgate.serialization import to_dict
from upgate.store.connect import redact_argument
from upgate.tasks.blocks import Block
from upgate.tune.folds import cut_blocks, without_split
from upgate.tune.options import TuneOptions, read_tune_options
from upgate.tune.result import Search, Tunable
from upgate.tune.samplers import grid_count
from upgate.tune.space import (
    Values,
    baseline_values,
    check_keys,
    make_space,
    override_all,
    to_overrides,
)
from upgate.tune.texts import say

MOST = 5000  # trials: more are a mistake, mostly a grid over every axis
FROZEN = ("task", "model", "budget", "batch_size", "precision", "threads", "numerics")
NOT_ASKED = ("words", "commands", "source", "arms")  # fields of search.json that are no question
NO_SKIP = "model.skip=none"
PLACES = ("root=", "cache=", "executor", "data.path=", "data.folder=")


@dataclass(frozen=True)
class SearchPlan:
    """A search, and each arm's baseline on its first fold."""

    search: Search
    first: dict[str, Job]
    options: TuneOptions

    @property
    def first_job(self) -> Job:
        return self.first[self.search.arms[0].name]


def plan_search(overrides: Sequence[str], session: Session) -> SearchPlan:
    """Everything about a search that is known before its first run.

    Raises UserError for what cannot be done.
    """
    options, rest = read_tune_options(overrides)
    arms = make_search_arms(options, rest, session.config_dir)
    return plan_arms(options, arms, overrides, session)


def make_search_arms(
    options: TuneOptions, overrides: Sequence[str], config_dir: str | None
) -> list[Arm]:
    """The recipes of tune.arms, or the one that the overrides ask for."""
    if options.arms is None:
        recipe = compose(overrides, config_dir)["recipe"]
        return [Arm(" ".join([recipe, *find_part_changes(overrides)]), list(overrides))]
    if len(options.arms) < 2:
        raise UserError(say("two_arms"))
    return designs.named_arms(options.arms, overrides, config_dir)


def plan_arms(
    options: TuneOptions, arms: Sequence[Arm], overrides: Sequence[str], session: Session
) -> SearchPlan:
    """The search of these recipes; `overrides` are only recorded."""
    tunables = make_tunables(options, arms, session.config_dir)
    base = make_job(arms[0].overrides, session.datasets, session.config_dir)
    blocks = cut_blocks(base, options, arms[0].overrides, session)
    count = count_trials(options, tunables)
    first = {arm.name: trial_job(arm, {}, blocks[0], session) for arm in tunables}
    for arm in tunables:
        check_ends(arm, blocks[0], session)
    for block in blocks:
        check_folds(tunables[0], block, session)
    last = final_job(tunables[0], blocks[-1], session)
    search = Search(
        id="",
        task=base.spec.task.name,
        overrides=[redact_argument(one) for one in overrides],  # a URI may hold a password
        sampler=options.search,
        trials=count,
        per_axis=options.per_axis,
        seed=options.seed,
        generation=options.generation,
        startup=options.startup,
        top=options.top,
        prune=options.prune,
        seeds=tuning_seeds(options, base.spec.seed),
        test_seed=base.spec.seed,
        test=options.test,
        keys=sorted({dim.key for arm in tunables for dim in arm.space}),
        arms=tunables,
        blocks=blocks,
        data=base.spec.data,
        source=session.datasets.fetch(base)[0].source,
        split=last.spec.split.to_dict(),
        frozen=freeze_search(base),
    )
    search = replace(search, id=name_search(search))
    commands = repeat_commands("tune", overrides, session.config_dir, search.id)
    return SearchPlan(replace(search, commands=commands), first, options)


def make_tunables(
    options: TuneOptions, arms: Sequence[Arm], config_dir: str | None
) -> list[Tunable]:
    """The arms with their spaces. Raises UserError for an arm that has nothing to search."""
    configs = [compose(arm.overrides, config_dir) for arm in arms]
    check_keys(configs, options.ranges, options.only)
    tunables = []
    for arm, config in zip(arms, configs, strict=True):
        space = make_space(config, options.ranges, options.only)
        if not space:
            raise UserError(say("nothing_to_search", name=arm.name))
        values = baseline_values(space, config)
        tunables.append(Tunable(arm.name, without_split(arm.overrides), space, values))
    return tunables


def count_trials(options: TuneOptions, arms: Sequence[Tunable]) -> int:
    """How many each arm gets, the baseline's among them; the same number for every arm."""
    count, detail = options.count, ""
    if options.search == "grid":
        count = count_grid(options, arms)
        axes = max(len(arm.space) for arm in arms)
        detail = say("points_on_axes", points=options.per_axis, axes=axes)
    if count > MOST:
        raise UserError(say("too_many_trials", count=f"{count:,}", detail=detail, most=f"{MOST:,}"))
    return count


def count_grid(options: TuneOptions, arms: Sequence[Tunable]) -> int:
    """The points of the grid, and the baseline. Raises UserError where arms differ in it."""
    counts = {arm.name: 1 + grid_count(arm.space, options.per_axis) for arm in arms}
    if len(set(counts.values())) > 1:
        each = joined(
            [say("trials_for", count=f"{count:,}", name=name) for name, count in counts.items()]
        )
        raise UserError(say("unequal_budgets", each=each))
    return next(iter(counts.values()))


def tuning_seeds(options: TuneOptions, test_seed: int) -> list[int]:
    """The trials' seed and those of the best; the seed that is reported is none of them."""
    first = 100 * (1 + options.seed)
    seeds = [first + i for i in range(1 + (options.top_seeds if options.top else 0))]
    if test_seed in seeds:
        raise UserError(say("tuning_seed", seed=test_seed, first=seeds[0], last=seeds[-1]))
    return seeds


def trial_overrides(arm: Tunable, changed: Sequence[str], split: Sequence[str]) -> list[str]:
    """An arm's overrides with those of a trial in their place, on this split."""
    return [*override_all(arm.overrides, changed), *split]


def trial_job(arm: Tunable, values: Values, block: Block, session: Session, label: str = "") -> Job:
    """An arm's job at these values; seed and fold are set later.

    label: replaces the values in the run's name, where they would not fit.
    """
    changed = []
    if values:
        changed = to_overrides(values, compose(arm.overrides, session.config_dir))
    overrides = trial_overrides(arm, changed, block.search)
    job = make_job(overrides, session.datasets, session.config_dir)
    if not label:
        return job
    return replace(job, changes=(*find_part_changes(arm.overrides), label))


def final_job(arm: Tunable, block: Block, session: Session) -> Job:
    """An arm's untuned job on the split of the last runs."""
    overrides = trial_overrides(arm, [], block.final)
    return make_job(overrides, session.datasets, session.config_dir)


def check_ends(arm: Tunable, block: Block, session: Session) -> None:
    """Raise UserError unless the recipe takes both ends of every axis, and every choice.

    So a wrong range is an error before anything runs.
    """
    for end in (0, -1):
        for dim in arm.space:
            job = trial_job(arm, {dim.key: dim.axis(2)[end]}, block, session)
            if dim.key.startswith("task."):  # such as a window that is too long for a fold
                check_batches(job.at(job.spec.seed, block.folds[0]), session.datasets)
    for dim in arm.space:
        for value in dim.choices if dim.kind == "choice" else ():
            trial_job(arm, {dim.key: value}, block, session)


def check_folds(arm: Tunable, block: Block, session: Session) -> None:
    """Raise UserError where a fold of the block has no batch for some part."""
    job, last = trial_job(arm, {}, block, session), final_job(arm, block, session)
    for fold in block.folds:
        check_batches(job.at(job.spec.seed, fold), session.datasets)
    for fold in block.tests:
        check_batches(last.at(last.spec.seed, fold), session.datasets)


def freeze_search(base: Job) -> dict[str, Any]:
    """What every trial has in common, but for what is searched."""
    spec = base.spec.to_dict()
    return {name: spec[name] for name in FROZEN}


def name_search(search: Search) -> str:
    """A short name that the same question on the same data always gets."""
    stored = to_dict(search)
    question = {key: value for key, value in stored.items() if key not in NOT_ASKED}
    arms = [
        [arm.name, arm.baseline, to_dict(arm.space), without_places(arm.overrides)]
        for arm in search.arms
    ]
    text = json.dumps([question, arms], sort_keys=True, default=str)
    return f"{search.task}-{search.sampler}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def without_places(overrides: Sequence[str]) -> list[str]:
    """Without those that say where, not what, and without NO_SKIP.

    That one is told by the frozen model, which has the key `skip` only where it is on: so a search
    from the time before the key has the name that it had.
    """
    return [word for word in overrides if word != NO_SKIP and not word.startswith(PLACES)]


def count_runs(search: Search) -> int:
    """Runs at most: trials, further seeds of the best, the last ones."""
    more = min(search.top, search.trials) * (len(search.seeds) - 1)
    trials = sum(len(block.folds) * (search.trials + more) for block in search.blocks)
    last = sum(2 * len(block.tests) for block in search.blocks) if search.test else 0
    return len(search.arms) * (trials + last)

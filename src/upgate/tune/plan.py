"""From words to a search: its arms, their spaces, its folds, and all that is frozen. Nothing is trained here."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from upgate.config import compose as config
from upgate.errors import UserError
from upgate.experiment.jobs import check_batches, make_job
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.store.connect import redact
from upgate.study import design
from upgate.study.plan import commands_of
from upgate.study.result import Arm
from upgate.tasks.search_blocks import Block
from upgate.tune.folds import blocks_of, without_split
from upgate.tune.options import Asked, read
from upgate.tune.result import Search, Tunable
from upgate.tune.samplers import grid_count
from upgate.tune.space import Dimension, baseline, check_keys, replaced, space_of, words_of

MOST = 5000  # trials: more are a mistake, mostly a grid over every axis


@dataclass(frozen=True)
class Plan:
    """A search, and each arm's baseline on its first fold."""

    search: Search
    first: dict[str, Job]
    asked: Asked


def plan(words: Sequence[str], extra: str | None, library: Datasets) -> Plan:
    """Everything about a search that can be said before its first run. Raises UserError for what cannot be done."""
    asked, rest = read(words)
    return plan_arms(asked, arms_of(asked, rest, extra), words, extra, library)


def arms_of(asked: Asked, rest: Sequence[str], extra: str | None) -> list[Arm]:
    if asked.arms is None:
        return [
            Arm(
                " ".join([config.compose(rest, extra)["recipe"], *config.find_part_changes(rest)]),
                list(rest),
            )
        ]
    if len(asked.arms) < 2:
        raise UserError(
            "tune.arms names two recipes or more; for one, give its words, as in recipe=traditional"
        )
    return [Arm(arm.name, list(arm.words)) for arm in design.arms(asked.arms, rest, extra)]


def plan_arms(
    asked: Asked, arms: Sequence[Arm], words: Sequence[str], extra: str | None, library: Datasets
) -> Plan:
    """The search of these recipes; `words` are only recorded."""
    configs = [config.compose(arm.words, extra) for arm in arms]
    check_keys(configs, asked.space, asked.only)
    spaces = [space_of(one, asked.space, asked.only) for one in configs]
    tuned = [
        Tunable(arm.name, without_split(arm.words), space, baseline(space, one))
        for arm, space, one in zip(arms, spaces, configs, strict=True)
    ]
    for arm in tuned:
        if not arm.space:
            raise UserError(
                f"{arm.name} has nothing to search: no range is left; give one, as in tune.space.optimizer.lr=[1e-4,1e-1,log]"
            )
    base = make_job(arms[0].words, library, extra)
    blocks = blocks_of(base, asked, arms[0].words, extra, library)
    count = trials_of(asked, tuned)
    first = {arm.name: trial_job(arm, {}, blocks[0], extra, library) for arm in tuned}
    for arm in tuned:
        check_ends(arm, blocks[0], extra, library)
    for block in blocks:
        check_folds(tuned[0], block, extra, library)
    search = Search(
        id="",
        task=base.spec.task.name,
        words=[redact(word) for word in words],  # a storage's URI may hold a password
        sampler=asked.search,
        trials=count,
        per_axis=asked.per_axis,
        seed=asked.seed,
        generation=asked.generation,
        startup=asked.startup,
        top=asked.top,
        prune=asked.prune,
        seeds=tuning_seeds(asked, base.spec.seed),
        test_seed=base.spec.seed,
        test=asked.test,
        keys=sorted({dim.key for arm in tuned for dim in arm.space}),
        arms=tuned,
        blocks=blocks,
        data=base.spec.data,
        source=library.fetch(base)[0].source,
        split=final_split(tuned[0], blocks[-1], extra, library),
        frozen=frozen(base),
    )
    search = replace(search, id=identity(search))
    return Plan(
        replace(search, commands=commands_of("tune", words, extra, search.id)), first, asked
    )


def trials_of(asked: Asked, arms: Sequence[Tunable]) -> int:
    """How many each arm gets, the baseline's among them; every arm as many."""
    if asked.search != "grid":
        count = asked.count
    else:
        counts = {arm.name: 1 + grid_count(arm.space, asked.per_axis) for arm in arms}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count:,} for {name}" for name, count in counts.items())
            raise UserError(
                f"search=grid gives arms unequal budgets: {told} trials; take tune.only=[optimizer.lr], or search=random"
            )
        count = next(iter(counts.values()))
    if count > MOST:
        axes = max((arm.space for arm in arms), key=len)
        more = (
            f", {asked.per_axis} points on each of {len(axes)} axes"
            if asked.search == "grid"
            else ""
        )
        raise UserError(
            f"that is {count:,} trials{more}; at most {MOST:,} are taken: search few axes, as in tune.only=[optimizer.lr,batch_size]"
        )
    return count


def tuning_seeds(asked: Asked, test_seed: int) -> list[int]:
    """The trials' seed and those of the best; the seed that is reported is none of them."""
    first = 100 * (1 + asked.seed)
    seeds = [first + i for i in range(1 + (asked.top_seeds if asked.top else 0))]
    if test_seed in seeds:
        raise UserError(
            f"seed={test_seed} is a tuning seed of this search ({seeds[0]} to {seeds[-1]}), so it can test nothing; take seed=0"
        )
    return seeds


def trial_words(arm: Tunable, new: Sequence[str], split: Sequence[str]) -> list[str]:
    """An arm's words with those of a trial in their place, on this split."""
    return [*replaced(arm.words, new), *split]


def trial_job(
    arm: Tunable,
    values: dict[str, Any],
    block: Block,
    extra: str | None,
    library: Datasets,
    named: str = "",
) -> Job:
    """An arm's job at these values; seed and fold are set later. `named` stands for the values in the run's name, which is a title too."""
    new = words_of(values, config.compose(arm.words, extra)) if values else []
    job = make_job(trial_words(arm, new, block.search), library, extra)
    return replace(job, changes=(*config.find_part_changes(arm.words), named)) if named else job


def job_at(job: Job, seed: int, fold: int, parent: str = "") -> Job:
    return replace(job.at(seed, fold), parent=parent)


def check_ends(arm: Tunable, block: Block, extra: str | None, library: Datasets) -> None:
    """Every value of every axis lies between two that the recipe takes: a wrong range is told before anything runs."""
    for end in (0, -1):
        for dim in arm.space:
            job = trial_job(arm, {dim.key: dim.axis(2)[end]}, block, extra, library)
            if dim.key.startswith("task."):  # such as a window that is too long for a fold
                check_batches(job_at(job, job.spec.seed, block.folds[0]), library)
    for dim in (one for one in arm.space if one.kind == "choice"):
        for value in dim.choices:
            trial_job(arm, {dim.key: value}, block, extra, library)


def check_folds(arm: Tunable, block: Block, extra: str | None, library: Datasets) -> None:
    job = trial_job(arm, {}, block, extra, library)
    for fold in block.folds:
        check_batches(job_at(job, job.spec.seed, fold), library)
    last = make_job(trial_words(arm, [], block.final), library, extra)
    for fold in block.tests:
        check_batches(job_at(last, last.spec.seed, fold), library)


def final_split(arm: Tunable, block: Block, extra: str | None, library: Datasets) -> dict[str, Any]:
    return make_job(trial_words(arm, [], block.final), library, extra).spec.split.to_dict()


def frozen(base: Job) -> dict[str, Any]:
    """What every trial has alike, but for what is searched."""
    spec = base.spec.to_dict()
    return {
        name: spec[name]
        for name in ("task", "model", "budget", "batch_size", "precision", "threads", "numerics")
    }


def identity(search: Search) -> str:
    """A short name that the same question on the same data always gets."""
    question = {
        key: value
        for key, value in asdict(search).items()
        if key not in ("words", "commands", "source", "arms")
    }
    arms = [
        [arm.name, arm.baseline, [asdict(dim) for dim in arm.space], places_aside(arm.words)]
        for arm in search.arms
    ]
    digest = hashlib.sha256(
        json.dumps([question, arms], sort_keys=True, default=str).encode()
    ).hexdigest()
    return f"{search.task}-{search.sampler}-{digest[:8]}"


def places_aside(words: Sequence[str]) -> list[str]:
    """Words without those that say where, not what."""
    where = ("root=", "cache=", "executor", "data.path=", "data.folder=")
    return [word for word in words if not word.startswith(where)]


def runs_of(search: Search) -> int:
    """Runs at most: trials, further seeds of the best, the last ones."""
    each = [
        len(block.folds)
        * (search.trials + min(search.top, search.trials) * (len(search.seeds) - 1))
        for block in search.blocks
    ]
    last = sum(2 * len(block.tests) for block in search.blocks) if search.test else 0
    return len(search.arms) * (sum(each) + last)


def axes(space: Sequence[Dimension], base: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Key, range and baseline of each axis, for people."""
    return [(dim.key, dim.said, base[dim.key]) for dim in space]

"""From options to the runs of a study: its arms and controls, every run's key, what is frozen.

Nothing is trained here.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from upgate.config.compose import compose
from upgate.config.schema import format_value
from upgate.errors import UserError, did_you_mean
from upgate.experiment import designs
from upgate.experiment.designs import Arm
from upgate.experiment.jobs import check_batches, make_job
from upgate.experiment.session import repeat_commands
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.stats.looks import LOOKS
from upgate.stats.shapley import draw_orders
from upgate.store.connect import redact_argument
from upgate.study.options import StudyOptions, read_study_options
from upgate.study.result import PLAIN, Study, Wall
from upgate.study.texts import say
from upgate.study.wall import equal_wall
from upgate.tasks.names import get_facts
from upgate.tune.find_rates import AUTO, wants_search
from upgate.tune.rates import FoundRate

NO_RATES: Mapping[str, FoundRate] = {}
LARGE_TEST = 10_000  # test items from which on a smaller difference of accuracy is of interest
ZERO_OVERRIDE = "layerwise=independent"  # the same weights as joint updates, bit for bit
FROZEN = ("task", "split", "model", "budget", "batch_size", "precision", "threads", "numerics")
DESIGNS: dict[str, Callable[[Sequence[str], str | None], list[Arm]]] = {
    "pair": designs.pair_arms,
    "parts": designs.parts_arms,
    "factorial": designs.factorial_arms,
}


@dataclass(frozen=True)
class Plan:
    """A study, and its runs in their order.

    All arms of a seed and fold together, the baseline first.
    """

    study: Study
    jobs: list[Job]
    arm_of: dict[str, str]  # run key -> arm
    options: StudyOptions


@dataclass(frozen=True)
class Arms:
    """The arms and controls of a study, and a job of each on its first seed and fold."""

    arms: list[Arm]
    aa: Arm | None
    zero: Arm | None
    wall: Wall | None
    jobs: dict[str, Job]  # by name, controls too
    rates: dict[str, FoundRate] = field(default_factory=dict)  # by name, of those searched

    @property
    def baseline(self) -> Job:
        return self.jobs[self.arms[0].name]


def plan_study(
    overrides: Sequence[str],
    config_dir: str | None,
    datasets: Datasets,
    tuned: Mapping[str, list[str]] | None = None,
    rates: Mapping[str, FoundRate] = NO_RATES,
) -> Plan:
    """Everything about a study that is known before its first run.

    tuned: arm -> its overrides after the search that study.tune or a rate asks for. rates: arm ->
    the learning rate that a search found. Raises UserError for what cannot be done.
    """
    options, rest = read_study_options(overrides)
    if options.tune and tuned is None:
        raise UserError(say("tune_alone", value=str(options.tune)))
    arms = make_study_arms(options, rest, config_dir)
    if tuned is None and any(wants_search(arm.overrides) for arm in arms):
        raise UserError(say("auto_alone", auto=AUTO))
    if tuned:
        arms = [replace(arm, overrides=tuned.get(arm.name, arm.overrides)) for arm in arms]
    all_arms = note_rates(add_controls(options, arms, config_dir, datasets), arms, rates)
    seeds, folds = list_numbers(options.seeds, "seeds"), list_folds(options, all_arms.baseline)
    for job, fold in product(all_arms.jobs.values(), folds):
        check_batches(job.at(seeds[0], fold), datasets)
    parts = []
    if options.design in ("parts", "factorial"):
        parts = designs.contrast(rest, config_dir).parts
    # a cache's URL may hold a password
    redacted = [redact_argument(override) for override in overrides]
    study = make_study(redacted, options, all_arms, parts, seeds, folds, datasets)
    return plan_runs(study, all_arms.jobs, options, config_dir)


def make_study(
    overrides: list[str],
    options: StudyOptions,
    arms: Arms,
    parts: list[str],
    seeds: list[int],
    folds: list[int],
    datasets: Datasets,
) -> Study:
    """The study before its runs are listed: without id, keys and commands."""
    table, data = datasets.fetch(arms.baseline)
    metric = get_facts(arms.baseline.spec.task.name).metric
    return Study(
        id="",
        task=arms.baseline.spec.task.name,
        design=options.design,
        overrides=overrides,
        arms=arms.arms,
        parts=parts,
        seeds=seeds,
        folds=folds,
        keys={},
        aa=arms.aa,
        aa_seeds=[max(seeds) + 1 + i for i in range(len(seeds))] if arms.aa else [],
        zero=arms.zero,
        metric=metric.key,
        higher_is_better=metric.higher_is_better,
        scale=metric.scale,
        smallest_effect=options.smallest_effect or default_effect(metric.scale, data.sizes),
        alpha=options.alpha,
        looks=list_looks(options.looks, len(seeds)),
        primary=check_primary(options.primary, arms.arms),
        data=arms.baseline.spec.data,
        source=table.source,
        frozen=freeze_study(arms.baseline, arms.wall),
        commands=[],
        wall=arms.wall,
        rates=arms.rates,
        orders=list_orders(options, parts),
    )


def make_study_arms(
    options: StudyOptions, overrides: Sequence[str], config_dir: str | None
) -> list[Arm]:
    """The arms of the design, the baseline first."""
    if options.design == "arms":
        return designs.named_arms(options.arms or [], overrides, config_dir)
    if options.shapley:
        orders = list_orders(options, designs.contrast(overrides, config_dir).parts)
        return designs.parts_arms(overrides, config_dir, orders)
    return DESIGNS[options.design](overrides, config_dir)


def list_orders(options: StudyOptions, parts: Sequence[str]) -> list[list[str]]:
    """The orders of the parts whose arms a study trains; empty where it samples none."""
    orders = draw_orders(len(parts), options.shapley) if options.shapley else []
    return [[parts[i] for i in order] for order in orders]


def add_controls(
    options: StudyOptions, arms: list[Arm], config_dir: str | None, datasets: Datasets
) -> Arms:
    """The arms, with epochs of equal wall time where these are requested, and the controls."""

    def first_jobs(arms: Sequence[Arm]) -> dict[str, Job]:
        return {arm.name: make_job(arm.overrides, datasets, config_dir) for arm in arms}

    jobs, wall = first_jobs(arms), None
    if options.budget == "wall":
        arms, wall = equal_wall(arms, jobs, datasets)
        jobs = first_jobs(arms)
    base = arms[0]
    zero = zero_arm(base, datasets, config_dir) if options.zero else None
    aa = Arm(f"A/A: {base.name} again", base.overrides, base.on) if options.aa else None
    if zero is not None:
        jobs[zero.name] = make_job(zero.overrides, datasets, config_dir)
    if aa is not None:
        jobs[aa.name] = jobs[base.name]
    return Arms(arms, aa, zero, wall, jobs)


def note_rates(arms: Arms, named: Sequence[Arm], rates: Mapping[str, FoundRate]) -> Arms:
    """The arms with the searches of their rates. named: those that `rates` names, in order."""
    own = {
        arm.name: rates[before.name]
        for before, arm in zip(named, arms.arms, strict=True)
        if before.name in rates
    }
    of_jobs = dict(own)
    for control in (arms.aa, arms.zero):
        if control is not None and arms.arms[0].name in own:
            of_jobs[control.name] = own[arms.arms[0].name]
    jobs = {
        name: replace(job, rate_search=of_jobs[name].text()) if name in of_jobs else job
        for name, job in arms.jobs.items()
    }
    return replace(arms, jobs=jobs, rates=own)


def zero_arm(base: Arm, datasets: Datasets, config_dir: str | None) -> Arm | None:
    """The baseline with independent updates of its layers.

    None where it cannot have them, or has updates of its own kind.
    """
    if compose(base.overrides, config_dir)["layerwise"]["name"] != "joint":
        return None
    kept = [one for one in base.overrides if not re.match(r"layerwise[.=]", one)]
    zero = Arm(f"zero: {base.name} {ZERO_OVERRIDE}", [*kept, ZERO_OVERRIDE])
    try:
        make_job(zero.overrides, datasets, config_dir)
    except UserError:  # clip=norm needs all gradients at once: such a baseline has no zero control
        return None
    return zero


def plan_runs(
    study: Study, first: Mapping[str, Job], options: StudyOptions, config_dir: str | None
) -> Plan:
    """List the runs, and name the study by them."""
    traditional = next(
        (job for job in first.values() if job.recipe == "traditional" and not job.changes), None
    )
    jobs: list[Job] = []
    keys: dict[str, dict[str, str]] = {}
    arm_of: dict[str, str] = {}
    for name, seed, fold in list_cells(study):
        job = job_beside(first[name], seed, fold, traditional)
        jobs.append(job)
        keys.setdefault(name, {})[f"{seed}/{fold}"] = job.spec.key
        arm_of.setdefault(job.spec.key, name)
    study = replace(study, keys=keys)
    study = replace(study, id=name_study(study))
    commands = repeat_commands("study", study.overrides, config_dir, study.id)
    return Plan(replace(study, commands=commands), jobs, arm_of, options)


def list_cells(study: Study) -> list[tuple[str, int, int]]:
    """Arm, seed and fold of every run, in their order.

    All arms of one seed and fold together, the zero control after the first of these, A/A last.
    """
    blocks = [(seed, fold) for seed in study.seeds for fold in study.folds]
    cells = [(arm.name, seed, fold) for seed, fold in blocks for arm in study.arms]
    if study.zero is not None:
        cells.insert(len(study.arms), (study.zero.name, study.seeds[0], study.folds[0]))
    if study.aa is not None:
        cells += [(study.aa.name, seed, fold) for seed in study.aa_seeds for fold in study.folds]
    return cells


def job_beside(job: Job, seed: int, fold: int, traditional: Job | None) -> Job:
    """The job on another seed and fold, with the traditional recipe's run as its twin.

    Without a twin where the study has no traditional recipe of the same budget.
    """
    moved = job.at(seed, fold)
    if traditional is None or traditional.spec.budget != moved.spec.budget:
        return replace(moved, twin="")
    return replace(moved, twin=replace(traditional.spec, seed=seed, fold=fold).key)


def list_numbers(given: int | list[int], what: str) -> list[int]:
    """A count as 0, 1, ...; a list as it is. Raises UserError for none, or one twice."""
    numbers = list(range(given)) if isinstance(given, int) else given
    if not numbers or len(set(numbers)) < len(numbers):
        raise UserError(say("each_once", what=what))
    return numbers


def list_looks(given: list[int] | None, seeds: int) -> list[int]:
    """The declared looks; empty for one look. Raises UserError for a number outside them."""
    if given is None:
        return list(LOOKS) if seeds in LOOKS else []
    looks = sorted(set(given))
    if looks != given or seeds not in looks:
        raise UserError(say("looks_grow", looks=format_value(given), seeds=seeds))
    return looks if len(looks) > 1 else []


def check_primary(given: str | None, arms: Sequence[Arm]) -> str:
    """The name of the primary arm; empty for the rule. Raises UserError for another name."""
    names = [arm.name for arm in arms[1:]]
    if given is not None and given not in names:
        raise UserError(
            say("not_an_arm", name=given, baseline=arms[0].name, hint=did_you_mean(given, names))
        )
    return given or ""


def list_folds(options: StudyOptions, base: Job) -> list[int]:
    """The requested folds, or every fold of the split."""
    folds: Any = options.folds
    if folds is None:
        folds = base.spec.split.knobs.get("folds", 1)
    return list_numbers(folds, "folds")


def default_effect(scale: str, sizes: Mapping[str, int]) -> float:
    """The smallest effect of interest: 1% of a ratio; .3 points on a large test part, else 1."""
    return 0.003 if scale == PLAIN and sizes.get("test", 0) >= LARGE_TEST else 0.01


def freeze_study(base: Job, wall: Wall | None) -> dict[str, Any]:
    """What every arm has in common."""
    spec = base.spec.to_dict()
    frozen = {name: spec[name] for name in FROZEN}
    if wall is not None and not wall.equal:
        frozen["budget"] = {**frozen["budget"], "max_epochs": "by recipe"}
    return frozen


def name_study(study: Study) -> str:
    """A short name that the same question on the same data always gets."""
    question = [study.keys, study.metric, study.smallest_effect, study.alpha, study.aa_seeds]
    if study.looks or study.primary:
        question += [study.looks, study.primary]
    if study.orders:
        question += [study.orders]
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return f"{study.task}-{study.design}-{digest[:8]}"

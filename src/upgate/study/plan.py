"""From words to the runs of a study: its arms and controls, every run's key, and what is frozen. Nothing is trained here."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from upgate.config import compose as config
from upgate.errors import UserError
from upgate.experiment.jobs import check_batches, make_job
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.store.connect import redact
from upgate.study import design
from upgate.study.options import Asked, read
from upgate.study.result import PLAIN, Arm, Study, Wall
from upgate.study.wall import equal_wall
from upgate.tasks.registry import get_task

LARGE_TEST = 10_000  # test items from which on a smaller difference of accuracy is of interest
ZERO_WORD = "layerwise=independent"  # the same weights as joint updates, bit for bit


@dataclass(frozen=True)
class Plan:
    """A study, and its runs in the order in which they go: all arms of a seed and fold together, the baseline first."""

    study: Study
    jobs: list[Job]
    arm_of: dict[str, str]  # run key -> arm
    asked: Asked


def plan(
    words: Sequence[str],
    extra: str | None,
    library: Datasets,
    tuned: Mapping[str, list[str]] | None = None,
) -> Plan:
    """Everything about a study that can be said before its first run. Raises UserError for what cannot be done.

    tuned: arm -> its words after the search that study.tune asks for.
    """
    asked, rest = read(words)
    if asked.tune and tuned is None:
        raise UserError(f"study.tune={asked.tune} goes with a study of its own; leave it out")
    arms = [
        replace(arm, words=(tuned or {}).get(arm.name, arm.words))
        for arm in arms_of(asked, rest, extra)
    ]
    first = {arm.name: make_job(arm.words, library, extra) for arm in arms}
    wall = None
    if asked.budget == "wall":
        arms, wall = equal_wall(arms, first, library)
        first = {arm.name: make_job(arm.words, library, extra) for arm in arms}
    base = first[arms[0].name]
    seeds, folds = numbered(asked.seeds, "seeds"), folds_of(asked, base)
    aa = Arm(f"A/A: {arms[0].name} again", arms[0].words, arms[0].on) if asked.aa else None
    zero = zero_arm(arms[0], library, extra) if asked.zero else None
    if zero is not None:
        first[zero.name] = make_job(zero.words, library, extra)
    if aa is not None:
        first[aa.name] = base
    for job in first.values():
        for fold in folds:
            check_batches(job_at(job, seeds[0], fold, None), library)
    study = Study(
        id="",
        task=base.spec.task.name,
        design=asked.design,
        words=[redact(word) for word in words],  # a cache's URL may hold a password
        arms=arms,
        parts=design.contrast(rest, extra).parts if asked.design in ("parts", "factorial") else [],
        seeds=seeds,
        folds=folds,
        keys={},
        aa=aa,
        aa_seeds=[max(seeds) + 1 + i for i in range(len(seeds))] if aa else [],
        zero=zero,
        data=base.spec.data,
        frozen=frozen(base, wall),
        **measure(base, asked, library),
        commands=[],
        wall=wall,
    )
    return with_runs(study, first, asked, extra)


def with_runs(study: Study, first: dict[str, Job], asked: Asked, extra: str | None) -> Plan:
    """List the runs: all arms of one seed and fold together, the zero control after the first of these, A/A at the end."""
    cells = [
        (arm.name, seed, fold) for seed in study.seeds for fold in study.folds for arm in study.arms
    ]
    if study.zero is not None:
        cells.insert(len(study.arms), (study.zero.name, study.seeds[0], study.folds[0]))
    if study.aa is not None:
        cells += [(study.aa.name, seed, fold) for seed in study.aa_seeds for fold in study.folds]
    traditional = next(
        (job for job in first.values() if job.recipe == "traditional" and not job.changes), None
    )
    jobs = [job_at(first[name], seed, fold, traditional) for name, seed, fold in cells]
    keys: dict[str, dict[str, str]] = {}
    arm_of: dict[str, str] = {}
    for job, (name, seed, fold) in zip(jobs, cells, strict=True):
        keys.setdefault(name, {})[f"{seed}/{fold}"] = job.spec.key
        arm_of.setdefault(job.spec.key, name)
    named = replace(study, keys=keys)
    named = replace(named, id=identity(named))
    return Plan(
        replace(named, commands=commands_of("study", study.words, extra, named.id)),
        jobs,
        arm_of,
        asked,
    )


def commands_of(command: str, words: Sequence[str], extra: str | None, name: str) -> list[str]:
    """What to type to do it again, and to see it: with the folder of own choices, the root, and no password of a URI."""
    told = [redact(word) for word in words]
    own = ["--config-dir", extra] if extra else []
    root = [word for word in told if word.startswith("root=")]
    again = ["upgate", command, *([] if f"{command}.yes=true" in told else ["--yes"]), *own, *told]
    report = ["upgate", "report", *own, f"{command}={name}", *root]
    return [shlex.join(again), shlex.join(report)]


def arms_of(asked: Asked, words: Sequence[str], extra: str | None) -> list[Arm]:
    if asked.design == "arms":
        found = design.arms(asked.arms or [], words, extra)
    else:
        found = {"pair": design.pair, "parts": design.parts, "factorial": design.factorial}[
            asked.design
        ](words, extra)
    return [Arm(arm.name, list(arm.words), sorted(arm.on)) for arm in found]


def numbered(asked: int | list[int], what: str) -> list[int]:
    """A count as 0, 1, ...; a list as it is, each once."""
    found = list(range(asked)) if isinstance(asked, int) else asked
    if not found or len(set(found)) < len(found):
        raise UserError(
            f"study.{what} names each one once, and at least one, as in study.{what}=[0,1,2]"
        )
    return found


def folds_of(asked: Asked, base: Job) -> list[int]:
    folds: Any = base.spec.split.knobs.get("folds", 1) if asked.folds is None else asked.folds
    return numbered(folds, "folds")


def zero_arm(base: Arm, library: Datasets, extra: str | None) -> Arm | None:
    """The baseline with independent updates; None where it cannot have them, or has updates of its own kind."""
    composed = config.compose(base.words, extra)
    if composed["layerwise"]["name"] != "joint":
        return None
    words = [word for word in base.words if not re.match(r"layerwise[.=]", word)]
    zero = Arm(f"zero: {base.name} {ZERO_WORD}", [*words, ZERO_WORD])
    try:
        make_job(zero.words, library, extra)
    except UserError:  # clip=norm needs all gradients at once: such a baseline has no zero control
        return None
    return zero


def job_at(job: Job, seed: int, fold: int, traditional: Job | None) -> Job:
    """The same job on another seed and fold; beside the traditional recipe's where the study has that, with the same budget."""
    twin = (
        ""
        if traditional is None or traditional.spec.budget != job.spec.budget
        else traditional.at(seed, fold).spec.key
    )
    return replace(job.at(seed, fold), twin=twin)


def measure(base: Job, asked: Asked, library: Datasets) -> dict[str, Any]:
    """The metric that decides, its scale, and the smallest effect of interest."""
    table, data = library.fetch(base)
    metric = get_task(base.spec.task.name).metric
    small = 0.003 if data.sizes.get("test", 0) >= LARGE_TEST else 0.01
    return {
        "metric": metric.key,
        "higher_is_better": metric.higher_is_better,
        "scale": metric.scale,
        "smallest_effect": asked.smallest_effect or (small if metric.scale == PLAIN else 0.01),
        "alpha": asked.alpha,
        "source": table.source,
    }


def frozen(base: Job, wall: Wall | None) -> dict[str, Any]:
    """What every arm has alike."""
    spec = base.spec.to_dict()
    if wall is not None and not wall.equal:
        spec["budget"] |= {"max_epochs": "by recipe"}
    return {
        name: spec[name]
        for name in (
            "task",
            "split",
            "model",
            "budget",
            "batch_size",
            "precision",
            "threads",
            "numerics",
        )
    }


def identity(study: Study) -> str:
    """A short name that the same question on the same data always gets."""
    question = [study.keys, study.metric, study.smallest_effect, study.alpha, study.aa_seeds]
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return f"{study.task}-{study.design}-{digest[:8]}"

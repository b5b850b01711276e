"""From the command line's overrides to jobs: what a run needs, checked before anything trains."""

from collections.abc import Sequence
from dataclasses import replace

from upgate.config.compose import find_part_changes, twin_overrides
from upgate.config.run_config import RunConfig, compose_config
from upgate.config.schema import check
from upgate.config.trainer import check_shares
from upgate.config.values import Choice
from upgate.config.words import expand
from upgate.errors import UserError
from upgate.execution.executor import check_executor
from upgate.experiment.texts import say
from upgate.model import backbone
from upgate.model.backbone import SkipChoice
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.resolve import check_recipe, resolve_budget, resolve_precision, resolve_threads
from upgate.run.spec import ModelSpec, RecipeSpec, RunSpec, SplitSpec, TaskSpec
from upgate.tasks.base import Task
from upgate.tasks.registry import get_task


def make_job(overrides: Sequence[str], datasets: Datasets, config_dir: str | None) -> Job:
    """The job that these overrides ask for, without a twin. Raises UserError before training."""
    config = compose_config(overrides, config_dir).replace(twin=False)
    return build_job(config, find_part_changes(overrides), datasets)


def make_pair(
    overrides: Sequence[str], datasets: Datasets, config_dir: str | None
) -> tuple[Job, Job | None]:
    """The job that these overrides ask for, and its twin's if one is wanted."""
    config = compose_config(overrides, config_dir)
    job = build_job(config, find_part_changes(overrides), datasets)
    if not config.twin:
        return job, None
    traditional = compose_config(twin_overrides(overrides), config_dir)
    twin = replace(build_job(traditional, (), datasets), role="twin")
    return replace(job, twin=twin.spec.key), twin


def build_job(config: RunConfig, changes: Sequence[str], datasets: Datasets) -> Job:
    """The job of a configuration. `changes`: the overrides of parts, for the run's name."""
    check_executor(config.executor.to_dict(), config.trainer)
    task = get_task(config.task.name)
    knobs = task.settings(config.task.to_dict())
    spec = RunSpec(
        task=TaskSpec.from_dict(task.identify(knobs)),
        data=datasets.table(task.name, config.data).hash(),
        split=SplitSpec.from_dict(task.split(config.split.to_dict(), knobs)),
        fold=config.fold,
        model=check_model(config.model, task),
        recipe=RecipeSpec.from_dict(check_recipe(config.to_dict())),
        budget=resolve_budget(config.trainer),
        batch_size=config.batch_size,
        seed=config.seed,
        precision=resolve_precision(config.trainer),
        threads=resolve_threads(config.threads),
    )
    return Job(spec, config.recipe, tuple(changes), config)


def check_model(model: Choice, task: Task) -> ModelSpec:
    """The model of a spec, its knobs checked. Raises UserError for a wrong one.

    `skip` is part of a spec only where it is on, so that other runs keep their keys.
    """
    spec = backbone.check_knobs(model.knobs)
    skip = check(SkipChoice, {"skip": model.knobs.get("skip", "none")}, "model")["skip"]
    if skip == "none":
        return ModelSpec(model.name, spec)
    if not task.skips:
        raise UserError(say("no_skip", skip=skip, task=task.name))
    return ModelSpec(model.name, {**spec, "skip": skip})


def check_batches(job: Job, datasets: Datasets) -> None:
    """Raise UserError where a part of the job's data has no batch for its share."""
    data = datasets.fetch(job)[1].with_batching(job.spec.batch_size, job.spec.seed)
    batches = {"train": len(data.train_dataloader()), "val": len(data.val_dataloader())}
    check_shares(job.config.trainer, batches)


def check_shared_settings(jobs: Sequence[Job]) -> None:
    """Raise UserError unless all jobs of a sweep have the same root, cache and executor."""
    for key in ("root", "cache", "executor"):
        if any(getattr(job.config, key) != getattr(jobs[0].config, key) for job in jobs):
            raise UserError(say("several_in_sweep", key=key))


def expand_jobs(
    overrides: Sequence[str], multirun: bool, config_dir: str | None, datasets: Datasets
) -> list[Job]:
    """The jobs that a command line asks for, without their twins."""
    return [
        make_pair(single, datasets, config_dir)[0]
        for single in expand(overrides, multirun, config_dir)
    ]

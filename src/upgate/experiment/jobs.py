"""From the command line's overrides to jobs: what a run needs, checked before anything trains."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from upgate.config import compose as config
from upgate.config.schema import NonNegativeInt, PositiveInt, build, checked
from upgate.config.trainer import check_shares
from upgate.errors import UserError
from upgate.execution.executor import check_executor
from upgate.model.backbone import Backbone
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.spec import RunSpec, budget_of, precision_of, recipe_of
from upgate.tasks.registry import get_task


def top_level(
    seed: NonNegativeInt,
    fold: NonNegativeInt,
    batch_size: PositiveInt,
    threads: PositiveInt,
    twin: bool,
    root: str,
    cache: str,
) -> None:
    """The knobs at the top level of a configuration; their types and ranges."""


TOP_LEVEL = ("seed", "fold", "batch_size", "threads", "twin", "root", "cache")


def make_job(
    overrides: Sequence[str], datasets: Datasets, config_dir: str | None
) -> tuple[Job, Job | None]:
    """The job that the overrides ask for, and its twin's if one is wanted."""
    composed = config.compose(overrides, config_dir)
    build(top_level, {key: composed[key] for key in TOP_LEVEL}, "")
    check_executor(composed["executor"], composed["trainer"])
    job = _job(composed, tuple(config.changes(overrides)), datasets)
    if not composed["twin"]:
        return job, None
    traditional = config.compose(config.twin_words(overrides), config_dir)
    twin = replace(_job(traditional, (), datasets), role="twin")
    return replace(job, twin=twin.spec.key), twin


def _job(composed: dict[str, Any], changes: tuple[str, ...], datasets: Datasets) -> Job:
    task = get_task(composed["task"]["name"])
    knobs = task.settings(composed["task"])
    spec = RunSpec(
        task=knobs,
        data=datasets.table(task.name, composed["data"]).hash(),
        split=task.split(composed["split"], knobs),
        fold=composed["fold"],
        model=check_model(composed["model"]),
        recipe=recipe_of(composed),
        budget=budget_of(composed["trainer"]),
        batch_size=composed["batch_size"],
        seed=composed["seed"],
        precision=precision_of(composed["trainer"]),
        threads=composed["threads"],
    )
    return Job(spec, composed["recipe"], changes, composed)


def check_model(config: dict[str, Any]) -> dict[str, Any]:
    """The model in a spec: its name and its checked knobs. Raises UserError for a wrong one."""
    knobs = {key: value for key, value in config.items() if key not in ("name", "search")}
    # the input's size comes from the data
    known = checked(Backbone, {"input_size": 1, **knobs}, "model")
    return {"name": config["name"], **{key: known[key] for key in knobs}}


def check_batches(job: Job, datasets: Datasets) -> None:
    """Raise UserError where a part of the job's data has no batch for its share."""
    data = datasets.fetch(job)[1].with_batching(job.spec.batch_size, job.spec.seed)
    batches = {"train": len(data.train_dataloader()), "val": len(data.val_dataloader())}
    check_shares(job.config["trainer"], batches)


def check_shared_settings(jobs: Sequence[Job]) -> None:
    """Raise UserError unless all jobs of a sweep have the same root, cache and executor."""
    for key in ("root", "cache", "executor"):
        if any(job.config[key] != jobs[0].config[key] for job in jobs):
            raise UserError(
                f"{key} has several values in this sweep, and a command has one; "
                f"give {key}=... once"
            )


def expand_jobs(
    overrides: Sequence[str], multirun: bool, config_dir: str | None, datasets: Datasets
) -> list[Job]:
    """The jobs that a command line asks for, without their twins."""
    return [
        make_job(single, datasets, config_dir)[0]
        for single in config.expand(overrides, multirun, config_dir)
    ]

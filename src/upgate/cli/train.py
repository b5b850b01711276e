"""`upgate train`: words in; runs beside their twins, a table, pictures and the next command out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.markup import escape

from upgate.config import compose as config
from upgate.config.schema import NonNegativeInt, PositiveInt, build, checked
from upgate.config.trainer import check_shares
from upgate.errors import UserError
from upgate.execution.driver import Interrupted, Job, execute
from upgate.execution.executor import check_executor
from upgate.model.backbone import Backbone
from upgate.recipe.engagement import no_effect
from upgate.run import console_tables as show
from upgate.run import provenance as environment
from upgate.run.datasets import Datasets
from upgate.run.result import Result, scores
from upgate.run.spec import RunSpec, budget_of, precision_of, recipe_of
from upgate.run.train import dry_run
from upgate.store.store import Run, Store
from upgate.tasks.base import task_of


def common(
    seed: NonNegativeInt,
    fold: NonNegativeInt,
    batch_size: PositiveInt,
    threads: PositiveInt,
    twin: bool,
    root: str,
    cache: str,
) -> None:
    """The knobs at the top level; their types and ranges."""


TOP = ("seed", "fold", "batch_size", "threads", "twin", "root", "cache")


def make_job(words: Sequence[str], library: Datasets, extra: str | None) -> tuple[Job, Job | None]:
    """The job that the words ask for, and its twin's if one is wanted."""
    asked = config.compose(words, extra)
    build(common, {k: asked[k] for k in TOP}, "")
    check_executor(asked["executor"], asked["trainer"])
    job = _job(asked, tuple(config.changes(words)), library)
    if not asked["twin"]:
        return job, None
    twin = replace(_job(config.compose(config.twin_words(words), extra), (), library), role="twin")
    return replace(job, twin=twin.spec.key), twin


def _job(asked: dict[str, Any], changes: tuple[str, ...], library: Datasets) -> Job:
    task = task_of(asked["task"]["name"])
    knobs = task.plain(asked["task"])
    spec = RunSpec(
        task=knobs,
        data=library.table(task.name, asked["data"]).hash(),
        split=task.split(asked["split"], knobs),
        fold=asked["fold"],
        model=model_of(asked["model"]),
        recipe=recipe_of(asked),
        budget=budget_of(asked["trainer"]),
        batch_size=asked["batch_size"],
        seed=asked["seed"],
        precision=precision_of(asked["trainer"]),
        threads=asked["threads"],
    )
    return Job(spec, asked["recipe"], changes, asked)


def model_of(asked: dict[str, Any]) -> dict[str, Any]:
    """The model in a spec: its name and its checked knobs; a wrong one is told before anything runs."""
    knobs = {key: value for key, value in asked.items() if key not in ("name", "search")}
    known = checked(
        Backbone, {"input_size": 1, **knobs}, "model"
    )  # the input's size comes from the data
    return {"name": asked["name"], **{key: known[key] for key in knobs}}


def check_batches(job: Job, library: Datasets) -> None:
    data = library.fetch(job)[1].loads(job.spec.batch_size, job.spec.seed)
    check_shares(
        job.config["trainer"],
        {"train": len(data.train_dataloader()), "val": len(data.val_dataloader())},
    )


def check_places(jobs: Sequence[Job]) -> None:
    """Raise where a sweep asks for several places: a command has one store, one cache and one executor."""
    for key in ("root", "cache", "executor"):
        if any(job.config[key] != jobs[0].config[key] for job in jobs):
            raise UserError(
                f"{key} has several values in this sweep, and a command has one; give {key}=... once"
            )


def wanted_jobs(
    words: Sequence[str], multirun: bool, extra: str | None, library: Datasets
) -> list[Job]:
    """The jobs that the words ask for, without their twins."""
    return [
        make_job(job_words, library, extra)[0]
        for job_words in config.expand(words, multirun, extra)
    ]


def train_command(words: Sequence[str], multirun: bool, extra: str | None, console: Console) -> int:
    """Run what the words ask for and return the exit code: 0, 1 if a run failed, 130 if interrupted. Raises UserError."""
    library = Datasets()
    pairs = [
        make_job(job_words, library, extra) for job_words in config.expand(words, multirun, extra)
    ]
    wanted = [job for job, _ in pairs]
    asked = {job.spec.key: job for job in wanted}
    jobs = [
        asked.get(job.spec.key, job) for pair in pairs for job in reversed(pair) if job is not None
    ]  # a twin first
    check_places(wanted)
    for job in jobs:
        check_batches(
            job, library
        )  # every fault of data or configuration is told before the first training
    tell_data(console, wanted[0], library)
    if wanted[0].config["trainer"].get("fast_dev_run"):
        for job in jobs:
            dry_run(job.spec, library.fetch(job)[1], job.config["trainer"]["fast_dev_run"])
        console.print(
            f"fast_dev_run: {len(jobs)} recipes trained and validated; nothing was recorded."
        )
        return 0
    store = Store(Path(wanted[0].config["root"]).resolve())
    store.prepare()
    store.reconcile()
    return _train(wanted, jobs, library, store, console)


def _train(
    wanted: list[Job], jobs: list[Job], library: Datasets, store: Store, console: Console
) -> int:
    parent = open_parent(store, wanted, jobs)
    try:
        results = execute(jobs, library.fetch, store, parent, console)
    except Interrupted:
        parent.finish("KILLED")
        return show.interrupted(console)
    except BaseException:
        parent.finish("FAILED")
        raise
    by_key = {result.key: result for result in results}
    chosen = [by_key[job.spec.key] for job in wanted if job.spec.key in by_key]
    failed = [result for result in results if result.status != "FINISHED"]
    parent.log(aggregate(chosen))
    parent.finish(
        "FAILED" if failed or len(results) < len({j.spec.key for j in jobs}) else "FINISHED"
    )
    idle = no_effect(
        [
            trained(job, by_key[job.spec.key])
            for job in jobs
            if job.spec.key in by_key and by_key[job.spec.key].weights
        ]
    )
    if idle:
        parent.text("\n".join(idle), "no_effect.txt")
    report(console, chosen, failed)
    for sentence in idle:
        console.print(f"[bold red]no effect[/] {escape(sentence)}", highlight=False)
    return 1 if failed else 0


def trained(job: Job, result: Result) -> tuple[str, str, dict[str, Any], str]:
    """What the no-op detector compares: runs that differ in nothing but their recipes, by the weights they kept."""
    shared = {key: value for key, value in job.spec.plain().items() if key != "recipe"}
    return job.name, json.dumps(shared, sort_keys=True), job.spec.recipe, result.weights


def open_parent(store: Store, wanted: list[Job], jobs: list[Job]) -> Run:
    """The MLflow run of the command: the same command again goes on in the same one."""
    key = hashlib.sha256("".join(sorted({job.spec.key for job in jobs})).encode()).hexdigest()
    name = f"compare {wanted[0].name}" if len(wanted) == 1 else f"sweep of {len(wanted)}"
    tags, texts = environment.provenance()
    parent = store.parent(
        wanted[0].spec.task["name"], name, key, tags | {"upgate.runs": str(len(jobs))}
    )
    for file, text in texts.items():
        parent.text(text, file)
    return parent


def aggregate(results: Sequence[Result]) -> dict[str, float]:
    """Paired differences of a command: mean over its runs, and its standard error from two runs on."""
    numbers: dict[str, float] = {
        "runs": float(len(results)),
        "diverged": float(sum(r.diverged for r in results)),
    }
    for key in sorted({k for r in results for k in r.difference}):
        gaps = [r.difference[key] for r in results if key in r.difference]
        numbers[f"difference/{key}"] = fmean(gaps)
        if len(gaps) > 1:
            numbers[f"difference_se/{key}"] = stdev(gaps) / len(gaps) ** 0.5
    for key in sorted({k for r in results for k in scores(r.metrics)}):
        numbers[key] = fmean([r.metrics[key] for r in results if key in r.metrics])
    return numbers


def tell_data(console: Console, job: Job, library: Datasets) -> None:
    """One line on what is trained on; what was left out is said."""
    table, data = library.fetch(job)
    samples = ", ".join(f"{count:,} {part}" for part, count in data.sizes.items())
    about = task_of(job.spec.task["name"]).about(table)
    console.print(
        f"{table.source}: {about}: {samples}", highlight=False, markup=False, soft_wrap=True
    )
    left_out = {**table.dropped, **{what: count for what, count in data.notes.items() if count}}
    if left_out:
        console.print(
            "left out: " + ", ".join(f"{count:,} {reason}" for reason, count in left_out.items()),
            highlight=False,
        )


def report(console: Console, chosen: Sequence[Result], failed: Sequence[Result]) -> None:
    if len(chosen) == 1 and chosen[0].status == "FINISHED":
        show.show_one(console, chosen[0])
        if not chosen[0].diverged:
            pictures = ", ".join(task_of(chosen[0].task).pictures)
            console.print(f"in {chosen[0].folder}: {pictures}", highlight=False, soft_wrap=True)
        more = f"make train ARGS=-m task={chosen[0].task} seed=0,1,2,3,4,5"
        console.print(
            f"next: make ui; or several seeds, as in {more}", highlight=False, soft_wrap=True
        )
    elif len(chosen) > 1:
        show.show_many(console, chosen)
        console.print("next: make ui, or upgate runs", highlight=False)
    if failed:
        show.show_failures(console, failed)

"""`upgate train`: words in; runs beside their twins, a table, pictures and the next command out."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.markup import escape

from upgate.config import compose as config
from upgate.console import interrupted, show_failures
from upgate.execution.driver import execute
from upgate.execution.work import Interrupted
from upgate.experiment.jobs import check_batches, check_shared_settings, make_pair
from upgate.experiment.progress import RunProgress
from upgate.recipe.no_effect import no_effect
from upgate.run import console_tables as show
from upgate.run import provenance as environment
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result, scores
from upgate.run.train import dry_run
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.tasks.registry import get_task


def train_command(words: Sequence[str], multirun: bool, extra: str | None, console: Console) -> int:
    """Run what the words ask for and return the exit code: 0, 1 if a run failed, 130 if interrupted. Raises UserError."""
    library = Datasets()
    pairs = [
        make_pair(job_words, library, extra) for job_words in config.expand(words, multirun, extra)
    ]
    wanted = [job for job, _ in pairs]
    asked = {job.spec.key: job for job in wanted}
    jobs = [
        asked.get(job.spec.key, job) for pair in pairs for job in reversed(pair) if job is not None
    ]  # a twin first
    check_shared_settings(wanted)
    for job in jobs:
        check_batches(
            job, library
        )  # every fault of data or configuration is told before the first training
    show.show_data(console, wanted[0], library)
    if wanted[0].config.trainer.get("fast_dev_run"):
        for job in jobs:
            batches: Any = job.config.trainer["fast_dev_run"]
            dry_run(job.spec, library.fetch(job)[1], batches)
        console.print(
            f"fast_dev_run: {len(jobs)} recipes trained and validated; nothing was recorded."
        )
        return 0
    store = Store(Path(wanted[0].config.root).resolve())
    store.prepare()
    store.reconcile()
    return _train(wanted, jobs, library, store, console)


def _train(
    wanted: list[Job], jobs: list[Job], library: Datasets, store: Store, console: Console
) -> int:
    keys = {job.spec.key for job in jobs}
    left = len(keys) - len(store.finished(keys))
    progress = RunProgress(console, str(left), show_starts=False)
    parent = open_parent(store, wanted, jobs)
    try:
        results = execute(jobs, library.fetch, store, parent, console, progress)
    except Interrupted:
        parent.finish("KILLED")
        return interrupted(console)
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
    shared = {key: value for key, value in job.spec.to_dict().items() if key != "recipe"}
    return job.name, json.dumps(shared, sort_keys=True), job.spec.recipe.to_dict(), result.weights


def open_parent(store: Store, wanted: list[Job], jobs: list[Job]) -> Run:
    """The MLflow run of the command: the same command again goes on in the same one."""
    key = hashlib.sha256("".join(sorted({job.spec.key for job in jobs})).encode()).hexdigest()
    name = f"compare {wanted[0].name}" if len(wanted) == 1 else f"sweep of {len(wanted)}"
    tags, texts = environment.provenance()
    parent = store.parent(
        wanted[0].spec.task.name, name, key, tags | {"upgate.runs": str(len(jobs))}
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


def report(console: Console, chosen: Sequence[Result], failed: Sequence[Result]) -> None:
    if len(chosen) == 1 and chosen[0].status == "FINISHED":
        show.show_run(console, chosen[0])
        if not chosen[0].diverged:
            pictures = ", ".join(get_task(chosen[0].task).pictures)
            console.print(f"in {chosen[0].folder}: {pictures}", highlight=False, soft_wrap=True)
        more = f"make train ARGS=-m task={chosen[0].task} seed=0,1,2,3,4,5"
        console.print(
            f"next: make ui; or several seeds, as in {more}", highlight=False, soft_wrap=True
        )
    elif len(chosen) > 1:
        show.show_runs(console, chosen)
        console.print("next: make ui, or upgate runs", highlight=False)
    if failed:
        show_failures(console, failed)

"""Train one job and record it, in whatever process this is."""

import traceback
from pathlib import Path
from textwrap import shorten

import yaml
from rich.console import Console

from upgate.run.job import Fetch, Job, folder_of, from_row, parameters, result_of, tags
from upgate.run.result import Result
from upgate.run.train import Outcome, train
from upgate.store.connect import shown
from upgate.store.record import Row
from upgate.store.store import Run, Store
from upgate.tasks.base import Table
from upgate.tasks.registry import get_task

TITLE = 60  # characters of a run's name that a picture has room for


class Interrupted(Exception):
    """Ctrl-C or a signal ended a command; what was running is marked KILLED."""


def run_job(
    job: Job, twin: Result | None, fetch: Fetch, store: Store, parent: str, console: Console
) -> Result:
    """Train one job and record it. The one boundary of the project where any exception becomes a recorded failure."""
    folder = folder_of(store.root, job.spec.key)
    folder.mkdir(parents=True, exist_ok=True)
    table, data = fetch(job)
    run = store.run(
        job.spec.task["name"],
        job.name,
        job.spec.key,
        parameters(job),
        tags(job, table),
        parent,
        resume=True,
    )
    try:
        extra = {
            k: v
            for k, v in job.config["trainer"].items()
            if k not in job.spec.budget and k != "precision"
        }
        outcome = train(job.spec, data, folder, run.log, console, job.name, extra)
        result = result_of(
            job,
            run.id,
            folder,
            "FINISHED",
            outcome.metrics,
            diverged=outcome.diverged,
            weights=outcome.weights,
        )
        record(run, job, result, result if job.twin == result.key else twin, table, outcome)
        run.finish("FINISHED")
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into SystemExit
        run.finish("KILLED")
        raise Interrupted from None
    except Exception as error:
        run.text(traceback.format_exc(), "traceback.txt")
        run.finish("FAILED")
        return result_of(
            job, run.id, folder, "FAILED", {}, error=f"{type(error).__name__}: {error}"
        )
    (folder / "last.ckpt").unlink(missing_ok=True)
    return result


def record(
    run: Run, job: Job, result: Result, twin: Result | None, table: Table, outcome: Outcome
) -> None:
    """Write a run's tables, pictures and configuration to its folder and, with the kept checkpoint, to the store."""
    folder = Path(result.folder)
    told = {
        **job.config,
        "cache": shown(str(job.config["cache"])),
    }  # without the password of its URL
    (folder / "config.yaml").write_text(
        yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    for name, frame in outcome.tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    settle(result, twin)
    run.log(outcome.metrics | result.paired())
    task = get_task(job.spec.task["name"])
    beside = Path(twin.folder) if twin else None
    title = shorten(result.name, TITLE, placeholder=" …")
    drawn = (
        []
        if outcome.diverged
        else task.draw(folder, outcome.tables, beside, title, job.spec.plain())
    )
    names = ["config.yaml", "best.ckpt", *(f"{name}.parquet" for name in outcome.tables), *drawn]
    for path in (folder / name for name in names):
        if path.exists():  # a diverged run may have kept no weights
            run.artifact(path)
    run.dataset(table.source, job.spec.data[:36], table.source, "training", task.profile(table))
    kept = {"upgate.diverged": str(outcome.diverged).lower(), "upgate.weights": outcome.weights}
    run.tag(kept | {"upgate.twin": twin.run_id if twin else ""})


def settle(result: Result, twin: Result | None) -> None:
    """Set a result beside its twin, and write both into the run's folder."""
    if twin is not None and twin.status == "FINISHED":
        result.pair(twin)
    result.write()


def settle_stored(row: Row, twin: Result | None, store: Store) -> Result:
    """The result of a run that the store holds; it may have been trained before a twin was wanted."""
    result = from_row(row, store.root)
    twin = result if row.tags.get("upgate.twin_key") == row.key else twin
    if twin is not None and twin.status == "FINISHED":
        result.pair(twin)
        if not result.paired().keys() <= row.metrics.keys():
            store.annotate(row.run_id, result.paired())
            Path(result.folder).mkdir(exist_ok=True)
            result.write()
    return result

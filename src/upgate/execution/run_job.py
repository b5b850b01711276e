"""Train one job and record it, in whatever process this is."""

import json
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import yaml
from rich.console import Console

from upgate.config.values import Knobs
from upgate.data.table import Table
from upgate.execution.pictures import draw_pictures
from upgate.execution.work import Interrupted
from upgate.files import hash_file, is_kept, make_private, write_atomic, write_text
from upgate.run.datasets import Fetch
from upgate.run.job import RATE, Job, flatten_spec, make_result, make_tags
from upgate.run.note import describe_run
from upgate.run.result import Result, read_result, run_folder
from upgate.run.train import Outcome, train
from upgate.store.connect import Unreachable, redact
from upgate.store.record import FILES, NOTE, PARAMETERS, Row
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.tasks.registry import get_task

TWIN = "upgate.twin"  # tag: the MLflow run of the twin


def run_job(
    job: Job,
    twin: Result | None,
    fetch: Fetch,
    store: Store,
    parent: str,
    console: Console,
    pictures: bool = True,
    source: Mapping[str, str] | None = None,
) -> Result:
    """Train one job and record it in the run's folder and in the store, with pictures or without.

    source: tags that say who and which command wants the run. The one boundary of the project where
    any exception becomes a recorded failure. Raises Interrupted after Ctrl-C; then the run is
    marked KILLED. Raises Removed where the store is gone.
    """
    key, task = job.spec.key, job.spec.task.name
    folder = run_folder(store.root, key)
    table, data = fetch(job)
    store.require()
    make_private(folder)
    tags = {**(source or {}), **make_tags(job, table)}
    run = store.run(task, job.name, key, flatten_spec(job), tags, parent, resume=True)
    try:
        arguments = _neutral_arguments(job)
        outcome = train(
            job.spec, data, folder, run.log, console, job.name, arguments, store.require
        )
        result = _finished_result(job, run, folder, outcome)
        record(run, job, result, result if job.twin == key else twin, table, outcome, pictures)
        run.finish("FINISHED")
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into SystemExit
        run.finish("KILLED")
        raise Interrupted from None
    except Exception as error:
        failed = _failed_result(job, run, folder, error)
        store.require()  # else every run to come would fail of it
        return failed
    (folder / "last.ckpt").unlink(missing_ok=True)
    return result


def _neutral_arguments(job: Job) -> Knobs:
    """The Trainer's arguments that decide no numbers: those that are not in the spec."""
    in_spec = {*job.spec.budget.to_dict(), "precision"}
    return {name: value for name, value in job.config.trainer.items() if name not in in_spec}


def _finished_result(job: Job, run: Run, folder: Path, outcome: Outcome) -> Result:
    return make_result(
        job,
        run.id,
        folder,
        "FINISHED",
        outcome.metrics,
        diverged=outcome.diverged,
        weights=outcome.weights,
    )


def _failed_result(job: Job, run: Run, folder: Path, error: Exception) -> Result:
    run.text(redact(traceback.format_exc()), "traceback.txt")
    run.finish("FAILED")
    message = redact(f"{type(error).__name__}: {error}")
    return make_result(job, run.id, folder, "FAILED", {}, error=message)


def record(
    run: Run,
    job: Job,
    result: Result,
    twin: Result | None,
    table: Table,
    outcome: Outcome,
    pictures: bool,
) -> None:
    """Write a run's tables, pictures and configuration to its folder and hand them to the store."""
    folder = Path(result.folder)
    _write_config(job, folder)
    for name, frame in outcome.tables.items():
        write_table(frame, folder / f"{name}.parquet")
    write_paired(result, twin)
    run.log(outcome.metrics | result.paired())
    drawn: Sequence[str] = ()
    early = bool(job.twin) and twin is None  # drawn when the twin has ended
    if pictures and not early and job.role != RATE and not outcome.diverged:
        drawn = draw_pictures(job, result, Path(twin.folder) if twin else None, outcome.tables)
    tables = [f"{name}.parquet" for name in outcome.tables]
    for name in ["config.yaml", "best.ckpt", *tables, *drawn]:
        if (folder / name).exists():  # a diverged run may have kept no weights
            run.artifact(folder / name)
    profile = get_task(job.spec.task.name).profile(table)
    run.dataset(table.source, job.spec.data[:36], table.source, "training", profile)
    kept = folder / "best.ckpt"
    run.tag(
        {
            "upgate.checkpoint": hash_file(kept) if kept.exists() else "",
            FILES: hashes_of(folder, ["config.yaml", *tables]),
            "upgate.diverged": str(outcome.diverged).lower(),
            "upgate.weights": outcome.weights,
            TWIN: twin.run_id if twin else "",
            PARAMETERS: str(outcome.parameters),
            NOTE: describe_run(result, str(outcome.parameters)),
        }
    )


def hashes_of(folder: Path, names: Sequence[str]) -> str:
    """JSON of the sha256 of files by their names."""
    return json.dumps({name: hash_file(folder / name) for name in names})


def _write_config(job: Job, folder: Path) -> None:
    """The whole configuration, without the password of the cache's URL."""
    config = {**job.config.to_dict(), "cache": redact(job.config.cache)}
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    write_text(folder / "config.yaml", text)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table with its hash beside it."""
    write_atomic(path, lambda file: frame.to_parquet(file, index=False), hashed=True)


def write_paired(result: Result, twin: Result | None) -> None:
    """Compare a result with its twin's, and write `result.json` into the run's folder."""
    if twin is not None and twin.status == "FINISHED":
        result.pair(twin)
    result.write()


def complete_stored(row: Row, twin: Result | None, store: Store) -> Result:
    """The result of a stored run, with the comparison added where it was trained without a twin."""
    result = read_result(row, store.root)
    twin = result if row.tags.get("upgate.twin_key") == row.key else twin
    if twin is not None and twin.status == "FINISHED":
        result.pair(twin)
        if not result.paired().keys() <= row.metrics.keys():
            with suppress(Unreachable):  # the next command that meets it adds them
                note = {NOTE: describe_run(result, row.tags.get(PARAMETERS, "")), TWIN: twin.run_id}
                store.annotate(row.run_id, result.paired(), note)
            Path(result.folder).mkdir(exist_ok=True)
            result.write()
            return result
    path = Path(result.folder) / "result.json"
    if path.exists() and not is_kept(path):
        result.write()
    return result

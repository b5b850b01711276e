"""The pictures of runs: drawn where a run trained, or later from the tables in its folder."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten

import pandas as pd

from upgate.errors import UserError
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.store.store import Store
from upgate.tasks.registry import get_task

logger = logging.getLogger(__name__)

TITLE = 60  # characters of a run's name that a picture has room for


def draw_pictures(
    job: Job, result: Result, twin: Path | None, tables: Mapping[str, pd.DataFrame]
) -> Sequence[str]:
    """Draw the task's pictures of a run beside its twin, a folder; names of the files."""
    title = shorten(result.name, TITLE, placeholder=" …")
    task = get_task(job.spec.task.name)
    return task.draw(Path(result.folder), tables, twin, title, job.spec.to_dict())


def draw_missing(jobs: Sequence[Job], results: Sequence[Result], store: Store) -> None:
    """Draw the pictures that finished runs lack, also those of an interrupted command.

    Runs whose tables are on another machine, and diverged ones, have none.
    """
    by_key = {result.key: result for result in results}
    for key, job in {job.spec.key: job for job in jobs}.items():
        result = by_key.get(key)
        if result is None or result.status != "FINISHED" or result.diverged:
            continue
        folder = Path(result.folder)
        if _lacks_pictures(folder, job):
            tables = read_tables(store, result)
            twin = by_key.get(job.twin)
            twin_folder = Path(twin.folder) if twin else None
            for name in draw_pictures(job, result, twin_folder, tables) if tables else ():
                if result.run_id:  # else the store is away
                    store.attach(result.run_id, folder / name)


def read_tables(store: Store, result: Result) -> dict[str, pd.DataFrame]:
    """The tables of a run's folder; none, with a word, where one is damaged here and in the store.

    No picture is worth a command that fails.
    """
    folder = Path(result.folder)
    names = [path.name for path in folder.glob("*.parquet")]
    try:
        files = [store.file(result.run_id, name, folder) for name in names]
    except UserError as error:
        logger.warning("No pictures of %s: %s", result.name, error)
        return {}
    return {path.stem: pd.read_parquet(path) for path in files}


def _lacks_pictures(folder: Path, job: Job) -> bool:
    pictures = get_task(job.spec.task.name).pictures
    has_tables = (folder / "curve.parquet").exists()
    return has_tables and not all((folder / name).exists() for name in pictures)

"""The pictures of runs: drawn where a run trained, or later from the tables in its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten

import pandas as pd

from upgate.run.job import Job
from upgate.run.result import Result
from upgate.store.store import Store
from upgate.tasks.registry import get_task

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
            tables = {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}
            twin = by_key.get(job.twin)
            for name in draw_pictures(job, result, Path(twin.folder) if twin else None, tables):
                store.attach(result.run_id, folder / name)


def _lacks_pictures(folder: Path, job: Job) -> bool:
    pictures = get_task(job.spec.task.name).pictures
    has_tables = (folder / "curve.parquet").exists()
    return has_tables and not all((folder / name).exists() for name in pictures)

"""A study as the store holds it: what it asked, its runs' rows and tables, and with these what came out of it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from upgate.errors import UserError, did_you_mean
from upgate.run.store import Row, Store
from upgate.study.judge import judge
from upgate.study.result import Study, StudyResult, from_json

FILE = "study.json"
Tables = Callable[[Row, str], pd.DataFrame]


def folder_of(store: Store, study_id: str) -> Path:
    return store.root / "studies" / study_id


def studies(store: Store) -> dict[str, Row]:
    """The parent runs of the store's studies by id, the newest first."""
    return {row.tags["upgate.study"]: row for row in store.rows() if row.is_parent and row.tags.get("upgate.level") == "study"}


def load_study(store: Store, study_id: str) -> Study:
    """The study of that id, or of the newest one for `latest`. Raises UserError where there is none."""
    there = studies(store)
    if study_id == "latest" and there:
        study_id = next(iter(there))
    if study_id not in there:
        raise UserError(f"there is no study {study_id} in {store.root}{did_you_mean(study_id, there)}; make study makes one")
    folder = folder_of(store, study_id)
    path = folder / FILE
    if not path.exists():
        path = store.artifact(there[study_id].run_id, FILE, folder)
    return from_json(Study, path.read_text(encoding="utf-8"))


def tables_of(store: Store) -> Tables:
    """A reader of runs' tables (forecasts, tickers, predictions, curve): from the run's folder, else from MLflow's artifacts."""

    def read(row: Row, name: str) -> pd.DataFrame:
        path = store.root / row.key[:16] / f"{name}.parquet"
        return pd.read_parquet(path if path.exists() else store.artifact(row.run_id, path.name, path.parent))

    return read


def result_of(store: Store, study: Study) -> StudyResult:
    """What came out of a study, made anew from the store."""
    return judge(study, store.rows(task=study.task), tables_of(store))

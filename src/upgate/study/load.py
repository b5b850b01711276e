"""A study, or an experiment of several, as the store holds it: what it asked, its runs' rows and tables, and what came out of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from upgate.errors import UserError, did_you_mean
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.study.analyze import judge
from upgate.study.result import Study, StudyResult, from_json

FILE, EXPERIMENT = "study.json", "experiment.json"
Tables = Callable[[Row, str], pd.DataFrame]


@dataclass(frozen=True)
class Experiment:
    """Several studies of one command. studies: setting -> the study's id."""

    id: str  # such as stock-article-1a2b3c4d
    task: str
    words: list[str]
    studies: dict[str, str]
    commands: list[str]

    @property
    def key(self) -> str:
        return hashlib.sha256(self.id.encode()).hexdigest()


def folder_of(store: Store, study_id: str) -> Path:
    return store.root / "studies" / study_id


def studies(store: Store) -> dict[str, Row]:
    """The parent runs of the store's studies by id, the newest first."""
    return {
        row.tags["upgate.study"]: row
        for row in store.rows()
        if row.is_parent and row.tags.get("upgate.level") == "study"
    }


def experiments(store: Store) -> dict[str, Row]:
    """The parent runs of the store's experiments by id, the newest first."""
    return {
        row.tags["upgate.experiment"]: row
        for row in store.rows()
        if row.is_parent and row.tags.get("upgate.level") == "experiment"
    }


def load_experiment(store: Store, name: str) -> Experiment:
    """The experiment of that id. Raises UserError where there is none."""
    there = experiments(store)
    if name not in there:
        raise UserError(
            f"there is no experiment {name} in {store.root}{did_you_mean(name, there)}; upgate study experiment=article makes one"
        )
    return from_json(Experiment, read_or_fetch(store, there[name], name, EXPERIMENT))


def newest(store: Store, experiment: bool = False) -> str:
    """The id of the experiment that the newest study was last done for, else of that study; or of the newest experiment.

    "latest" where there is no study. Raises UserError where there is no experiment.
    """
    if experiment:
        there = experiments(store)
        if not there:
            raise UserError(
                f"there is no experiment in {store.root}; make study experiment=article task=stock makes one"
            )
        return next(iter(there))
    for name, row in studies(store).items():
        return row.tags.get("upgate.experiment") or name
    return "latest"


def load_study(store: Store, study_id: str) -> Study:
    """The study of that id, or of the newest one for `latest`. Raises UserError where there is none."""
    there = studies(store)
    if study_id == "latest" and there:
        study_id = next(iter(there))
    if study_id not in there:
        raise UserError(
            f"there is no study {study_id} in {store.root}{did_you_mean(study_id, there)}; make study makes one"
        )
    return from_json(Study, read_or_fetch(store, there[study_id], study_id, FILE))


def read_or_fetch(store: Store, row: Row, name: str, file: str) -> str:
    """A text of a study's folder, else of its MLflow run."""
    folder = folder_of(store, name)
    path = folder / file
    return (path if path.exists() else store.artifact(row.run_id, file, folder)).read_text(
        encoding="utf-8"
    )


def tables_of(store: Store) -> Tables:
    """A reader of runs' tables (forecasts, tickers, predictions, curve): from the run's folder, else from MLflow's artifacts."""

    def read(row: Row, name: str) -> pd.DataFrame:
        path = store.root / row.key[:16] / f"{name}.parquet"
        return pd.read_parquet(
            path if path.exists() else store.artifact(row.run_id, path.name, path.parent)
        )

    return read


def result_of(store: Store, study: Study) -> StudyResult:
    """What came out of a study, made anew from the store."""
    return judge(study, store.rows(task=study.task), tables_of(store))

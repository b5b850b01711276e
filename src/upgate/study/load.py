"""A study, or an experiment of several, as the store holds it: its question, rows and result."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from upgate.errors import UserError, did_you_mean
from upgate.experiment.records import stored_rows
from upgate.serialization import read_json, stored_as
from upgate.stats.verdict import FEWEST
from upgate.store.record import Row, kept_hash
from upgate.store.store import Store
from upgate.study.analyze import analyze
from upgate.study.result import Study, StudyResult
from upgate.study.scores import Tables
from upgate.study.texts import say

FILE, EXPERIMENT, OVER = "study.json", "experiment.json", "over.json"


@dataclass(frozen=True)
class Experiment:
    """Several studies of one command. studies: setting, or data set -> the study's id."""

    id: str  # such as stock-article-1a2b3c4d, stock-over-1a2b3c4d
    task: str
    overrides: list[str] = field(metadata=stored_as("words"))
    studies: dict[str, str]
    commands: list[str]

    @property
    def key(self) -> str:
        return hashlib.sha256(self.id.encode()).hexdigest()


def study_folder(store: Store, study_id: str) -> Path:
    return store.root / "studies" / study_id


def list_studies(store: Store) -> dict[str, Row]:
    """The parent runs of the store's studies by id, the newest first."""
    return _parents(store, "study")


def list_experiments(store: Store) -> dict[str, Row]:
    """The parent runs of the store's experiments by id, the newest first."""
    return _parents(store, "experiment")


def list_overs(store: Store) -> dict[str, Row]:
    """The parent runs of the studies over several data sets by id, the newest first."""
    return _parents(store, "over")


def _parents(store: Store, level: str) -> dict[str, Row]:
    rows = [row for row in store.rows() if row.is_parent and row.tags.get("upgate.level") == level]
    return {row.tags[f"upgate.{level}"]: row for row in rows}


def load_experiment(store: Store, name: str) -> Experiment:
    """The experiment of that id. Raises UserError where there is none."""
    available = list_experiments(store)
    if name not in available:
        raise UserError(
            say(
                "no_such_experiment",
                name=name,
                root=str(store.root),
                hint=did_you_mean(name, available),
            )
        )
    return read_json(Experiment, find_file(store, available[name], name, EXPERIMENT))


def load_over(store: Store, name: str) -> Experiment:
    """The studies over several data sets of that id, which `list_overs` has."""
    return read_json(Experiment, find_file(store, list_overs(store)[name], name, OVER))


def newest_id(store: Store, experiment: bool = False) -> str:
    """The id of the newest study, or of the experiment that it was last done for.

    experiment: of the newest experiment. "latest" where there is no study. Raises UserError where
    there is no experiment.
    """
    if experiment:
        available = list_experiments(store)
        if not available:
            raise UserError(say("no_experiments", root=str(store.root)))
        return next(iter(available))
    for name, row in list_studies(store).items():
        return row.tags.get("upgate.experiment") or name
    return "latest"


def load_study(store: Store, study_id: str) -> Study:
    """The study of that id, or the newest for `latest`. Raises UserError where there is none."""
    available = list_studies(store)
    if study_id == "latest" and available:
        study_id = next(iter(available))
    if study_id not in available:
        hint = did_you_mean(study_id, {**available, **list_overs(store)})
        raise UserError(say("no_such_study", id=study_id, root=str(store.root), hint=hint))
    return read_json(Study, find_file(store, available[study_id], study_id, FILE))


def load_studies(store: Store, task: str) -> list[Study]:
    """Every study of the store, the newest first, by one look at it; it makes no store."""
    if not stored_rows(store, task):
        return []
    available = list_studies(store).items()
    return [read_json(Study, find_file(store, row, name, FILE)) for name, row in available]


def find_file(store: Store, row: Row, name: str, file: str) -> Path:
    """A file of a study's folder, else of its MLflow run."""
    return store.file(row.run_id, file, study_folder(store, name))


def table_reader(store: Store) -> Tables:
    """A reader of runs' tables (forecasts, tickers, predictions, curve).

    From the run's folder, else from MLflow's artifacts.
    """

    def read(row: Row, name: str) -> pd.DataFrame:
        folder = store.root / row.key[:16]
        file = f"{name}.parquet"
        return pd.read_parquet(store.file(row.run_id, file, folder, kept_hash(row, file)))

    return read


def count_undeclared(store: Store, study: Study) -> Study:
    """The study, with the looks that the store's earlier studies took outside its plan.

    Earlier is a study whose runs of the primary question are some of this one's: the same recipes
    on the same data, on fewer seeds, but on enough for an answer. It makes no store.
    """
    keys, looks = question_keys(study), []
    for other in load_studies(store, study.task):
        declared = other.looks == study.looks and len(other.seeds) in study.looks
        earlier = question_keys(other) < keys and len(other.seeds) >= FEWEST
        if earlier and other.metric == study.metric and not declared:
            looks.append(len(other.seeds))
    return replace(study, undeclared=sorted(looks))


def question_keys(study: Study) -> frozenset[str]:
    """The keys of the runs that answer the primary question."""
    arms = (study.baseline, study.primary_arm)
    return frozenset(key for arm in arms for key in study.keys.get(arm, {}).values())


def analyze_stored(store: Store, study: Study) -> StudyResult:
    """The result of a study, made anew from the store."""
    study = count_undeclared(store, study)
    return analyze(study, store.rows(task=study.task), table_reader(store))

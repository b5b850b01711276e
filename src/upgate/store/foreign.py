"""The runs of any MLflow store as a table; nothing is written to it, and no schema is upgraded.

MlflowClient reads 20,000 runs of 15 values each in 9 to 20 s, for it makes an object of every
value. A database is therefore asked for the wanted columns only, from MLflow's tables (1 to 2 s);
servers, folders, and filters by data set go through the client.
"""

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from upgate.errors import UserError
from upgate.store.call import call_mlflow
from upgate.store.connect import (
    SETTINGS,
    check_revision,
    connect_server,
    first_line,
    make_client,
    redact,
    sqlite_path,
)
from upgate.store.foreign_database import KINDS, DatabaseRuns, no_experiment
from upgate.store.foreign_filter import names_data_sets, read_filter
from upgate.store.texts import say

DATABASES = ("sqlite:", "postgresql:", "postgresql+", "mysql:", "mysql+", "mssql:", "mssql+")
PAGE = 5000  # runs of one answer


class Runs(Protocol):
    """Runs of an experiment. columns: params.X, tags.X, metrics.X. location: of its artifacts."""

    location: str

    @property
    def columns(self) -> list[str]: ...

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """A row per run: run_id, status, artifact_uri and the wanted columns; None: not there."""
        ...


def open_runs(uri: str, experiment: str, filter_string: str = "") -> Runs:
    """The active runs of an experiment. Raises UserError for a store or experiment not there."""
    clauses = read_filter(filter_string)
    if uri.startswith(DATABASES) and not names_data_sets(clauses):
        check_database(uri)
        return DatabaseRuns(uri, experiment, clauses)
    client = open_client(uri)
    return ClientRuns(client, find_experiment(client, uri, experiment), filter_string)


def open_client(uri: str) -> Any:
    """An MlflowClient on a store that is there."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if uri.startswith(("http://", "https://")):
        return connect_server(uri, partial(call_mlflow, uri))
    if uri.startswith(DATABASES):
        check_database(uri)
    else:
        _allow_folder(uri)
    return make_client(uri)


def check_database(uri: str) -> None:
    """Raise UserError for a file that is not there: opening it would make it."""
    if not uri.startswith("sqlite:"):
        return
    path = sqlite_path(uri)
    if not path.exists():
        raise UserError(say("uri_no_file", uri=uri, path=str(path)))
    check_revision(path)


def _allow_folder(uri: str) -> None:
    """MLflow 3 reads a folder of runs, what Lightning's logger makes, only when told to."""
    folder = Path(uri.removeprefix("file://").removeprefix("file:"))
    if "://" in uri.removeprefix("file://") or not folder.is_dir():
        raise UserError(say("uri_no_store", uri=redact(uri)))
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")


def find_experiment(client: Any, uri: str, name: str) -> Any:
    """An experiment by its name. Raises UserError, with the nearest name, where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(name)
        if found is not None:
            return found
        names = [one.name for one in client.search_experiments()]
    except MlflowException as error:
        raise UserError(say("cannot_read", uri=redact(uri), cause=first_line(error))) from None
    raise no_experiment(uri, name, names)


class ClientRuns:
    """Runs read by MlflowClient, page by page."""

    def __init__(self, client: Any, experiment: Any, filter_string: str) -> None:
        self._runs = list(_pages(client, str(experiment.experiment_id), filter_string))
        self.location = str(experiment.artifact_location)

    @property
    def columns(self) -> list[str]:
        found = {
            f"{kind}.{key}" for run in self._runs for kind in KINDS for key in _values(run, kind)
        }
        return sorted(found)

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        frame: dict[str, list[Any]] = {
            "run_id": [run.info.run_id for run in self._runs],
            "status": [run.info.status for run in self._runs],
            "artifact_uri": [run.info.artifact_uri for run in self._runs],
        }
        for column in columns:
            kind, _, key = column.partition(".")
            frame[column] = [_values(run, kind).get(key) for run in self._runs]
        return pd.DataFrame(frame, dtype=object)


def _values(run: Any, kind: str) -> dict[str, Any]:
    values: dict[str, Any] = getattr(run.data, kind)
    return values


def _pages(client: Any, experiment: str, filter_string: str) -> Iterable[Any]:
    from mlflow.exceptions import MlflowException

    token = None
    while True:
        try:
            page = client.search_runs([experiment], filter_string, 1, PAGE, page_token=token)
        except MlflowException as error:
            raise UserError(
                say("unreadable_filter", filter=filter_string, cause=first_line(error))
            ) from None
        yield from page
        token = page.token
        if not token:
            return

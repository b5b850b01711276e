"""The runs of any MLflow store as a table; nothing is written to it, and no schema is upgraded.

MlflowClient reads 20,000 runs of 15 values each in 9 to 15 s, for it makes an object of every
value. A database without a filter is therefore asked for the wanted columns only, from MLflow's
tables (1 to 2 s); filters, servers and folders go through the client.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from upgate.errors import UserError, did_you_mean
from upgate.store.connect import (
    SETTINGS,
    check_revision,
    connect_server,
    first_line,
    make_client,
    redact,
    sqlite_path,
)

KINDS = ("params", "tags", "metrics")  # in the order in which a name is looked up
TABLES = {"params": "params", "tags": "tags", "metrics": "latest_metrics"}  # of a database
DATABASES = ("sqlite:", "postgresql:", "postgresql+", "mysql:", "mysql+", "mssql:", "mssql+")
PAGE = 5000  # runs of one answer


class Runs(Protocol):
    """Runs of an experiment. columns: params.X, tags.X, metrics.X."""

    @property
    def columns(self) -> list[str]: ...

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """A row per run: run_id, status and the wanted columns; what a run lacks is None."""
        ...


def open_runs(uri: str, experiment: str, filter_string: str = "") -> Runs:
    """The active runs of an experiment. Raises UserError for a store or experiment not there."""
    if uri.startswith(DATABASES) and not filter_string:
        _check_database(uri)
        return DatabaseRuns(uri, experiment)
    client = open_client(uri)
    return ClientRuns(client, find_experiment(client, uri, experiment), filter_string)


def open_client(uri: str) -> Any:
    """An MlflowClient on a store that is there."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if uri.startswith(("http://", "https://")):
        return connect_server(uri)
    if uri.startswith(DATABASES):
        _check_database(uri)
    else:
        _allow_folder(uri)
    return make_client(uri)


def _check_database(uri: str) -> None:
    """Raise UserError for a file that is not there: opening it would make it."""
    if not uri.startswith("sqlite:"):
        return
    path = sqlite_path(uri)
    if not path.exists():
        raise UserError(f"mlflow.uri={uri}: there is no file {path}")
    check_revision(path)


def _allow_folder(uri: str) -> None:
    """MLflow 3 reads a folder of runs, what Lightning's logger makes, only when told to."""
    folder = Path(uri.removeprefix("file://").removeprefix("file:"))
    if "://" in uri.removeprefix("file://") or not folder.is_dir():
        raise UserError(
            f"mlflow.uri={redact(uri)} is not a store: give sqlite:///<file>, http://<server>, "
            "or a folder such as mlruns"
        )
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")


def find_experiment(client: Any, uri: str, name: str) -> str:
    """The id of an experiment. Raises UserError, with the nearest name, where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        names = [one.name for one in client.search_experiments()]
    except MlflowException as error:
        raise UserError(f"MLflow cannot read {redact(uri)}: {first_line(error)}") from None
    raise _no_experiment(uri, name, names)


def _no_experiment(uri: str, name: str, names: Sequence[str]) -> UserError:
    near = did_you_mean(name, names)
    return UserError(f"mlflow.experiment={name} is not in {redact(uri)}{near}")


class ClientRuns:
    """Runs read by MlflowClient, page by page."""

    def __init__(self, client: Any, experiment: str, filter_string: str) -> None:
        self._runs = list(_pages(client, experiment, filter_string))

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
                f"mlflow.filter={filter_string} cannot be read: {first_line(error)}"
            ) from None
        yield from page
        token = page.token
        if not token:
            return


class DatabaseRuns:
    """Runs read from MLflow's tables, only the wanted values. MLflow is not imported: 3 s."""

    def __init__(self, uri: str, experiment: str) -> None:
        from sqlalchemy import column, create_engine, exc, select, table

        self._engine = create_engine(uri)
        experiments = table("experiments", column("name"), column("experiment_id"))
        query: Any = select(experiments.c.name, experiments.c.experiment_id)
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
        except exc.SQLAlchemyError as error:
            raise UserError(f"MLflow cannot read {redact(uri)}: {first_line(error)}") from None
        found = {row.name: row.experiment_id for row in rows}
        if experiment not in found:
            raise _no_experiment(uri, experiment, list(found))
        names = ("run_uuid", "status", "experiment_id", "lifecycle_stage")
        self._run: Any = table("runs", *map(column, names))
        names = ("key", "value", "run_uuid", "is_nan")
        self._kinds: dict[str, Any] = {
            kind: table(name, *map(column, names)) for kind, name in TABLES.items()
        }
        self._active = [
            self._run.c.experiment_id == found[experiment],
            self._run.c.lifecycle_stage == "active",
        ]

    @property
    def columns(self) -> list[str]:
        from sqlalchemy import select

        found: list[str] = []
        with self._engine.connect() as connection:
            for kind, values in self._kinds.items():
                query: Any = select(values.c.key).distinct()
                query = query.where(values.c.run_uuid == self._run.c.run_uuid, *self._active)
                found += [f"{kind}.{key}" for (key,) in connection.execute(query)]
        return sorted(found)

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        from sqlalchemy import select

        query: Any = select(self._run.c.run_uuid, self._run.c.status).where(*self._active)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            runs = pd.DataFrame(rows, columns=["run_id", "status"], dtype=object)
            for column in columns:
                values = self._column(connection, column)
                runs[column] = pd.Series([values.get(run) for run in runs["run_id"]], dtype=object)
        return runs

    def _column(self, connection: Any, column: str) -> dict[str, Any]:
        """Run id -> value; a logged nan, which MLflow stores as 0 with a mark, is nan."""
        from sqlalchemy import select

        kind, _, key = column.partition(".")
        values = self._kinds[kind]
        wanted = [values.c.run_uuid, values.c.value]
        if kind == "metrics":
            wanted.append(values.c.is_nan)
        query: Any = select(*wanted).where(
            values.c.run_uuid == self._run.c.run_uuid, values.c.key == key, *self._active
        )
        rows = connection.execute(query).all()
        return {run: float("nan") if mark and mark[0] else value for run, value, *mark in rows}

"""Runs of a database of MLflow's, read from its tables: only the wanted values."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from upgate.errors import UserError, did_you_mean
from upgate.store.connect import first_line, redact
from upgate.store.foreign_filter import Clause, matching
from upgate.store.texts import say

KINDS = ("params", "tags", "metrics")  # in the order in which a name is looked up
TABLES = {"params": "params", "tags": "tags", "metrics": "latest_metrics"}
ATTRIBUTES = {  # of a run -> its column
    "run_id": "run_uuid",
    "status": "status",
    "artifact_uri": "artifact_uri",
    "user_id": "user_id",
    "start_time": "start_time",
    "end_time": "end_time",
}
OWNERS = ("experiment_id", "lifecycle_stage")
MINIMUM = ("run_id", "status", "artifact_uri")


def no_experiment(uri: str, name: str, names: Sequence[str]) -> UserError:
    near = did_you_mean(name, names)
    return UserError(say("no_experiment", name=name, uri=redact(uri), near=near))


class DatabaseRuns:
    """Runs read from MLflow's tables, only the wanted values. MLflow is not imported: 3 s."""

    def __init__(self, uri: str, experiment: str, clauses: Sequence[Clause] = ()) -> None:
        from sqlalchemy import column, create_engine, exc, select, table

        self._engine = create_engine(uri)
        fields = ("name", "experiment_id", "artifact_location")
        experiments: Any = table("experiments", *map(column, fields))
        query: Any = select(*experiments.c)
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
        except exc.SQLAlchemyError as error:
            raise UserError(say("cannot_read", uri=redact(uri), cause=first_line(error))) from None
        found = {row.name: row for row in rows}
        if experiment not in found:
            raise no_experiment(uri, experiment, list(found))
        self.location = str(found[experiment].artifact_location)
        self._run: Any = table("runs", *map(column, (*ATTRIBUTES.values(), *OWNERS)))
        names = ("key", "value", "run_uuid", "is_nan")
        self._kinds: dict[str, Any] = {
            kind: table(name, *map(column, names)) for kind, name in TABLES.items()
        }
        self._clauses = clauses
        self._active = [
            self._run.c.experiment_id == found[experiment].experiment_id,
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
        needed = [clause.column for clause in self._clauses]
        attributes = [*MINIMUM, *(name for name in needed if name in ATTRIBUTES)]
        own = list(dict.fromkeys(attributes))
        values = [name for name in [*columns, *needed] if name not in ATTRIBUTES]
        runs = self._read(own, list(dict.fromkeys(values)))
        if self._clauses:
            runs = runs[matching(runs, self._clauses)].reset_index(drop=True)
        return runs[[*MINIMUM, *columns]]

    def _read(self, attributes: list[str], columns: list[str]) -> pd.DataFrame:
        from sqlalchemy import select

        wanted = [self._run.c[ATTRIBUTES[name]] for name in attributes]
        query: Any = select(*wanted).where(*self._active)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            runs = pd.DataFrame(rows, columns=attributes, dtype=object)
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

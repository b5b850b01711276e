"""Runs kept in MLflow's tables in an SQLite file, by SQL: MLflow is not imported, which takes 3 s.

Only for tables of the revision that `mlflow_tables.sql` holds; `upgate ui` shows what stands in
them, and tests/store/test_tracking.py holds that MLflow would have written the same.
"""

import json
import math
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from upgate.store.artifact_folder import ArtifactFolder
from upgate.store.record import NAME, PARENT, Conditions, Row, make_row, restore_infinity
from upgate.store.tracking import Ask, Dataset, Experiment, Point, Tracking, directly

BUSY = 20.0  # seconds to wait for another process's lock, as MLflow does
CREATE_RUN = """insert into runs (run_uuid, name, source_type, source_name, entry_point_name,
 user_id, status, start_time, source_version, lifecycle_stage, artifact_uri, experiment_id)
 values (?, ?, 'UNKNOWN', '', '', ?, 'RUNNING', ?, '', 'active', ?, ?)"""
CREATE_EXPERIMENT = """insert or ignore into experiments (name, artifact_location, lifecycle_stage,
 creation_time, last_update_time) values (?, ?, 'active', ?, ?)"""
ADD_POINT = """insert or ignore into metrics (key, value, timestamp, step, is_nan, run_uuid)
 values (?, ?, ?, ?, ?, ?)"""
ADD_LATEST = """insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
 values (?, ?, ?, ?, ?, ?) on conflict (key, run_uuid) do update set value = excluded.value,
 timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
 where (excluded.step, excluded.timestamp, excluded.value) >
 (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)"""
SET_TAG = """insert into tags (key, value, run_uuid) values (?, ?, ?)
 on conflict (key, run_uuid) do update set value = excluded.value"""
TAG_EXPERIMENT = """insert into experiment_tags (key, value, experiment_id) values (?, ?, ?)
 on conflict (key, experiment_id) do update set value = excluded.value"""
ADD_PARAM = "insert or ignore into params (key, value, run_uuid) values (?, ?, ?)"
ADD_DATASET = """insert or ignore into datasets (dataset_uuid, experiment_id, name, digest,
 dataset_source_type, dataset_source, dataset_profile) values (?, ?, ?, ?, ?, ?, ?)"""
FIND_DATASET = "select dataset_uuid from datasets where (experiment_id, name, digest) = (?, ?, ?)"
ADD_INPUT = """insert or ignore into inputs
 (input_uuid, source_type, source_id, destination_type, destination_id)
 values (?, 'DATASET', ?, 'RUN', ?)"""
ADD_INPUT_TAG = "insert into input_tags (input_uuid, name, value) values (?, ?, ?)"
FIND_RUNS = """select run_uuid, runs.name, status, start_time, end_time from runs
 join experiments using (experiment_id)
 where runs.lifecycle_stage = 'active' and experiments.lifecycle_stage = 'active'"""
HAS_TAG = """exists (select 1 from tags
 where tags.run_uuid = runs.run_uuid and key = ? and value {comparison} ?)"""
HAS_KEY = """ and run_uuid in (select run_uuid from tags
 where key = 'upgate.key' and value in (select value from json_each(?)))"""
OF_RUN = (
    "select key, value from params where run_uuid = ?",
    "select key, case when is_nan then null else value end from latest_metrics where run_uuid = ?",
    "select key, value from tags where run_uuid = ?",
)
FIND_TASKS = f"""select name from experiments where lifecycle_stage = 'active' and exists
 (select 1 from runs where runs.experiment_id = experiments.experiment_id
 and runs.lifecycle_stage = 'active' and {HAS_TAG.format(comparison="!=")})"""


class Refused(Exception):
    """The answer is no; `error_code` is MLflow's word for why."""

    error_code = "INVALID_STATE"


class SqliteTracking:
    """`mlflow`: makes the tracking through MLflow, for files that are not in a local folder."""

    def __init__(self, path: Path, mlflow: Callable[[], Tracking]) -> None:
        self.path, self._make_mlflow = path, mlflow

    @cached_property
    def mlflow(self) -> Tracking:
        return self._make_mlflow()

    def _connect(self) -> sqlite3.Connection:
        """Never to a new file: an empty one, where a store was removed, is no store."""
        return sqlite3.connect(f"{self.path.as_uri()}?mode=rw", timeout=BUSY, uri=True)

    @contextmanager
    def _transaction(self, run_id: str | None = None) -> Iterator[sqlite3.Connection]:
        """A connection that writes all or nothing, to a run that is not deleted.

        Raises Refused where there is no such run.
        """
        with closing(self._connect()) as connection, connection:
            connection.execute("begin immediate")
            if run_id is not None:
                query = "select 1 from runs where run_uuid = ? and lifecycle_stage = 'active'"
                if connection.execute(query, [run_id]).fetchone() is None:
                    raise Refused(f"run {run_id} is not there, or deleted")
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
            connection.execute("begin")  # all queries see the same state
            yield connection

    def experiment(self, name: str) -> Experiment | None:
        query = "select experiment_id, lifecycle_stage from experiments where name = ?"
        with self._reading() as connection:
            found = connection.execute(query, [name]).fetchone()
        return Experiment(str(found[0]), found[1] == "active") if found else None

    def create_experiment(self, name: str, artifacts: str | None) -> None:
        now = _now()
        with self._transaction() as connection:
            connection.execute(CREATE_EXPERIMENT, [name, artifacts, now, now])

    def tag_experiment(self, experiment_id: str, name: str, value: str) -> None:
        with self._transaction() as connection:
            connection.execute(TAG_EXPERIMENT, [name, value, experiment_id])

    def tasks(self, ask: Ask = directly) -> list[str]:
        return list(ask(self._tasks))

    def _tasks(self) -> list[str]:
        with self._reading() as connection:
            return [name for (name,) in connection.execute(FIND_TASKS, ["upgate.key", ""])]

    def rows(
        self,
        conditions: Conditions,
        keys: Collection[str] | None = None,
        params: Collection[str] | None = None,
        ask: Ask = directly,
    ) -> list[Row]:
        return list(ask(self._rows, conditions, keys, params))

    def _rows(
        self,
        conditions: Conditions,
        keys: Collection[str] | None,
        params: Collection[str] | None,
    ) -> list[Row]:
        query, values = _select_runs(conditions)
        if keys is not None:
            query, values = query + HAS_KEY, [*values, json.dumps(list(keys))]
        with self._reading() as connection:
            found = connection.execute(f"{query} order by start_time desc, run_uuid", values)
            runs = found.fetchall()
            # a query per run and table: a cursor of pairs becomes a dict without a step in Python
            queries = OF_RUN if params is None else _select_params(params)
            return [
                make_row(*run, *(dict(connection.execute(one, run[:1])) for one in queries))
                for run in runs
            ]

    def last_steps(self, run_id: str) -> dict[str, int]:
        query = "select key, step from latest_metrics where run_uuid = ?"
        with self._reading() as connection:
            return dict(connection.execute(query, [run_id]).fetchall())

    def numbers(self, run_id: str) -> dict[str, float]:
        query = """select key, case when is_nan then null else value end from metrics
 where run_uuid = ? and step = 0 order by timestamp, value"""
        with self._reading() as connection:
            found = connection.execute(query, [run_id]).fetchall()
        return {name: restore_infinity(value) for name, value in found}

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start: int) -> str:
        run_id = uuid.uuid4().hex
        query = "select artifact_location from experiments where experiment_id = ?"
        with self._transaction() as connection:
            (location,) = connection.execute(query, [experiment_id]).fetchone()
            folder = f"{location.rstrip('/')}/{run_id}/artifacts"
            user = tags.get("mlflow.user", "unknown")
            connection.execute(CREATE_RUN, [run_id, name, user, start, folder, experiment_id])
            named = {**tags, NAME: name}
            connection.executemany(SET_TAG, [(*pair, run_id) for pair in named.items()])
        return run_id

    def set_status(self, run_id: str, status: str, end: int | None) -> None:
        query = "update runs set status = ?, end_time = coalesce(?, end_time) where run_uuid = ?"
        with self._transaction(run_id) as connection:
            connection.execute(query, [status, end, run_id])

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        values = [_point_row(point, run_id) for point in points]
        with self._transaction(run_id) as connection:
            connection.executemany(ADD_POINT, values)
            connection.executemany(ADD_LATEST, values)

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        with self._transaction(run_id) as connection:
            connection.executemany(ADD_PARAM, [(*pair, run_id) for pair in params.items()])

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        with self._transaction(run_id) as connection:
            connection.executemany(SET_TAG, [(*pair, run_id) for pair in tags.items()])
            if NAME in tags:  # MLflow keeps it in two places
                query = "update runs set name = ? where run_uuid = ?"
                connection.execute(query, [tags[NAME], run_id])

    def log_dataset(self, run_id: str, dataset: Dataset) -> None:
        name, digest, kind, source, profile, context = dataset
        link, new = uuid.uuid4().hex, uuid.uuid4().hex
        with self._transaction(run_id) as connection:
            query = "select experiment_id from runs where run_uuid = ?"
            (experiment,) = connection.execute(query, [run_id]).fetchone()
            values = [new, experiment, name, digest, kind, source, profile]
            connection.execute(ADD_DATASET, values)
            identity = [experiment, name, digest]
            (dataset_id,) = connection.execute(FIND_DATASET, identity).fetchone()
            if connection.execute(ADD_INPUT, [link, dataset_id, run_id]).rowcount:
                connection.execute(ADD_INPUT_TAG, [link, "mlflow.data.context", context])

    def _files(self, run_id: str) -> ArtifactFolder | None:
        """The folder of a run's files; None where they are somewhere else."""
        query = "select artifact_uri from runs where run_uuid = ?"
        with self._reading() as connection:
            found = connection.execute(query, [run_id]).fetchone()
        parts = urlsplit(found[0] if found else "nowhere:")
        local = parts.scheme in ("", "file")
        return ArtifactFolder(Path(url2pathname(parts.path))) if local else None

    def log_artifact(self, run_id: str, path: Path, folder: str) -> None:
        if (files := self._files(run_id)) is None:
            self.mlflow.log_artifact(run_id, path, folder)
        else:
            files.keep(path, folder)

    def log_text(self, run_id: str, text: str, name: str) -> None:
        if (files := self._files(run_id)) is None:
            self.mlflow.log_text(run_id, text, name)
        else:
            files.write(text, name)

    def artifacts(self, run_id: str) -> dict[str, int | None]:
        files = self._files(run_id)
        return self.mlflow.artifacts(run_id) if files is None else files.sizes()

    def download(self, run_id: str, name: str, folder: Path) -> Path:
        files = self._files(run_id)
        if files is None:
            return self.mlflow.download(run_id, name, folder)
        return files.copy(name, folder)


def _select_runs(conditions: Conditions) -> tuple[str, list[str]]:
    """The query for the runs that meet all conditions, and its values."""
    query, values = FIND_RUNS, []
    named = {name: value for name, value in conditions.items() if value is not None}
    if not named:
        query += f" and {HAS_TAG.format(comparison='!=')}"
        values += ["upgate.key", ""]
    for name, value in named.items():
        if name == "status":
            query += " and status = ?"
            values.append(value)
        else:
            query += f" and {HAS_TAG.format(comparison='=')}"
            values += [PARENT if name == "parent" else f"upgate.{name}", value]
    return query, values


def _select_params(names: Collection[str]) -> list[str]:
    """`OF_RUN` with these params alone, and no metrics."""
    quoted = ["'" + name.replace("'", "''") + "'" for name in names]
    return [f"{OF_RUN[0]} and key in ({', '.join(quoted)})", f"{OF_RUN[1]} and false", OF_RUN[2]]


def _point_row(point: Point, run_id: str) -> tuple[str, float, int, int, bool, str]:
    """A point as MLflow stores it: a NaN as 0 with a mark, an infinity as the largest float."""
    is_nan = math.isnan(point.value)
    value = 0.0 if is_nan else max(min(point.value, sys.float_info.max), -sys.float_info.max)
    return point.name, value, point.time, point.step, is_nan, run_id


def _now() -> int:
    return time.time_ns() // 1_000_000  # milliseconds

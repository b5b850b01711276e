"""What is written to an SQLite file by SQL is what MLflow would have written, row for row."""

import json
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from helpers.store import fresh, key
from upgate.store import connect
from upgate.store.connect import connect_sqlite, kept_revision, make_client, revision
from upgate.store.flusher import is_refusal
from upgate.store.mlflow_tracking import MlflowTracking
from upgate.store.record import Conditions, Row
from upgate.store.sqlite_tracking import SqliteTracking
from upgate.store.tracking import Dataset, Point, Tracking

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

# in each database: ids and times of its own, and what only MLflow's server reads
OWN = {"run_uuid", "source_id", "destination_id", "input_uuid", "dataset_uuid", "artifact_uri"}
OWN |= {"artifact_location", "creation_time", "last_update_time", "start_time"}
TABLES = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags")
TABLES += ("datasets", "inputs", "input_tags", "experiment_tags")
CONDITIONS: list[Conditions] = [
    {},
    {"task": "stock", "status": None},
    {"status": "FINISHED"},
    {"key": key("two")},
    {"recipe": 'it\'s "odd"'},
    {"kind": "run", "status": "RUNNING"},
    {"parent": "p" * 32},
    {"task": "none"},
]


def open_both(tmp_path: Path) -> dict[str, Tracking]:
    opened: dict[str, Tracking] = {}
    for name in ("sql", "mlflow"):
        root = tmp_path / f"{name} é"
        fresh(root)
        by_sql = connect_sqlite(root / "mlflow.db", root / "artifacts")
        assert isinstance(by_sql, SqliteTracking)
        client = make_client(f"sqlite:///{root / 'mlflow.db'}")
        opened[name] = by_sql if name == "sql" else MlflowTracking(client)
    return opened


def fill(tracking: Tracking, root: Path) -> list[str]:
    """Two runs with all that the store logs, points out of order and twice; their ids."""
    for _ in range(2):
        tracking.create_experiment("stock", str(root / "artifacts"))
    experiment = tracking.experiment("stock")
    assert experiment is not None and experiment.is_active and tracking.experiment("no") is None
    for value in ("first", "last"):
        tracking.tag_experiment(experiment.id, "upgate.view", value)
    ids = []
    for name in ("one", "two"):
        tags = {"upgate.key": key(name), "upgate.task": "stock", "upgate.kind": "run"}
        odd = tags | {"upgate.recipe": 'it\'s "odd"', "mlflow.user": "me"}
        run = tracking.create_run(experiment.id, name, odd, 1_000)
        ids.append(run)
        tracking.log_params(run, {"lr": "0.1", "empty": ""})
        tracking.log_params(run, {"more": "x" * 6000})
        points = [
            Point("loss", 0.5, 20, 2),
            Point("loss", 0.7, 10, 1),
            Point("nan", math.nan, 5, 0),
        ]
        points += [Point("worst", math.inf, 5, 0), Point("best", -math.inf, 5, 0)]
        points += [Point("same", value, 7, 3) for value in (1.0, 3.0, 2.0, math.nan)]
        tracking.log_points(run, [*points, points[0]])
        tracking.log_points(run, [*points, Point("loss", 0.4, 20, 2), Point("loss", 0.9, 30, 1)])
        tracking.log_points(run, [Point(f"m{i}", i, 1, i) for i in range(1001)])
        tracking.set_tags(run, {"upgate.seed": "3", "upgate.empty": ""})
        tracking.set_tags(run, {"upgate.seed": "4", "mlflow.parentRunId": "p" * 32})
        tracking.set_tags(run, {"mlflow.runName": f"{name}, by what it found"})
        for _ in range(2):
            profile = json.dumps({"rows": 3})
            tracking.log_dataset(run, Dataset("d", "1", "local", "{}", profile, "training"))
    tracking.set_status(ids[0], "FINISHED", 99)
    tracking.set_status(ids[0], "RUNNING", None)
    tracking.set_status(ids[1], "FINISHED", 4_000_000_000_000)
    return ids


def contents(path: Path, table: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(f"select * from {table}")
        names = [column[0] for column in found.description]
        kept = [i for i, name in enumerate(names) if name not in OWN]
        return sorted((tuple(row[i] for i in kept) for row in found), key=repr)


def summary(row: Row) -> dict[str, Any]:
    """A row without its run's own id and times."""
    own = ("run_id", "start", "seconds", "metrics")
    values = {name: value for name, value in vars(row).items() if name not in own}
    return values | {"metrics": {name: repr(value) for name, value in row.metrics.items()}}


def test_sql_writes_and_reads_what_mlflow_does(tmp_path: Path) -> None:
    both = open_both(tmp_path)
    roots = {name: tmp_path / f"{name} é" for name in both}
    ids = {name: fill(tracking, roots[name]) for name, tracking in both.items()}
    for table in TABLES:
        written = contents(roots["sql"] / "mlflow.db", table)
        assert written == contents(roots["mlflow"] / "mlflow.db", table), table
        assert len(written) >= 1
    # each reads what the other wrote
    path = roots["sql"] / "mlflow.db"
    mlflow = MlflowTracking(make_client(f"sqlite:///{path}"))
    for conditions in CONDITIONS[:4] + CONDITIONS[5:]:
        found = both["sql"].rows(conditions)
        assert list(map(summary, found)) == list(map(summary, mlflow.rows(conditions)))
        assert [row.run_id for row in found] == [row.run_id for row in mlflow.rows(conditions)]
    keys = {both["sql"].rows({})[0].key, "no such key"}
    some = both["sql"].rows({}, keys)
    assert list(map(summary, some)) == list(map(summary, mlflow.rows({}, keys))) != []
    assert {row.key for row in some} < keys and both["sql"].rows({}, set()) == []
    asked: list[str] = []  # each request by itself: a lost answer begins no other again

    def ask(function: Callable[..., Any], *args: Any) -> Any:
        asked.append(str(function))
        return function(*args)

    for tracking, requests in ((both["sql"], 1), (mlflow, 1 + len(keys))):
        asked.clear()
        assert [one.run_id for one in tracking.rows({}, keys, ask=ask)] == [
            one.run_id for one in some
        ]
        assert len(asked) == requests
    (first, *_), (whole, *_) = both["sql"].rows({}, params={"seed"}), both["sql"].rows({})
    assert (first.params, first.metrics) == (
        {name: value for name, value in whole.params.items() if name == "seed"},
        {},
    )
    assert len(both["sql"].rows({"recipe": 'it\'s "odd"'})) == 2  # no MLflow filter can say it
    both["sql"].create_experiment("empty", None)  # MLflow's own, without runs, is there too
    asked.clear()
    assert both["sql"].tasks() == mlflow.tasks(ask) == ["stock"] and len(asked) > 2
    assert both["sql"].last_steps(ids["sql"][0]) == mlflow.last_steps(ids["sql"][0])
    at_zero = [tracking.numbers(ids["sql"][0]) for tracking in (both["sql"], mlflow)]
    assert repr(sorted(at_zero[0].items())) == repr(sorted(at_zero[1].items()))
    assert at_zero[0].keys() == {"nan", "worst", "best", "m0"}
    assert at_zero[0]["worst"] == math.inf


def test_files_lie_where_mlflow_finds_them(tmp_path: Path) -> None:
    both = open_both(tmp_path)
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "a.txt").write_text("a")
    for name, tracking in both.items():
        root = tmp_path / f"{name} é"
        run = fill(tracking, root)[0]
        assert tracking.artifacts(run) == {}
        tracking.log_text(run, "é\n", "config/all.yaml")
        tracking.log_artifact(run, figures / "a.txt", "")
        tracking.log_artifact(run, figures, "plots")
        other = MlflowTracking(make_client(f"sqlite:///{root / 'mlflow.db'}"))
        for reader in (tracking, other):
            assert reader.artifacts(run) == {"a.txt": 1, "config": None, "plots": None}
            out = tmp_path / name / str(id(reader))
            out.mkdir(parents=True)
            assert reader.download(run, "a.txt", out).read_text() == "a"
            assert (reader.download(run, "plots", out) / "a.txt").read_text() == "a"
            assert (reader.download(run, "config", out) / "all.yaml").read_text("utf-8") == "é\n"
    with pytest.raises(FileNotFoundError):
        both["sql"].log_text(run_of(both["sql"]), "x", "../../out.txt")


def run_of(tracking: Tracking) -> str:
    return tracking.rows({})[0].run_id


WRITES: list[Callable[[Tracking, str], object]] = [
    lambda tracking, run: tracking.set_tags(run, {"a": "b"}),
    lambda tracking, run: tracking.log_points(run, [Point("a", 1.0, 1, 1)]),
    lambda tracking, run: tracking.set_status(run, "FINISHED", 1),
]


def test_a_deleted_run_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    for name, tracking in open_both(tmp_path).items():
        root = tmp_path / f"{name} é"
        run = fill(tracking, root)[0]
        make_client(f"sqlite:///{root / 'mlflow.db'}").delete_run(run)
        assert run not in [row.run_id for row in tracking.rows({})]
        for write in WRITES:
            for missing in (run, "0" * 32):
                with pytest.raises(Exception) as caught:
                    write(tracking, missing)
                assert is_refusal(caught.value)


def test_tables_of_another_revision_are_left_to_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh(tmp_path)
    path, artifacts = tmp_path / "mlflow.db", tmp_path / "artifacts"
    assert kept_revision() == revision(path)
    monkeypatch.setattr(connect, "kept_revision", lambda: "another")
    assert isinstance(connect.connect_sqlite(path, artifacts), MlflowTracking)

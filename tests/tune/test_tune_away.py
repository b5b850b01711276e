"""A search goes on while its store is away, between its blocks of trials too."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.store import Server, free_port, points
from helpers.tune import numbers, results, tune
from upgate.errors import UserError
from upgate.execution.driver import Driver
from upgate.run.job import Job
from upgate.store.sqlite_tracking import SqliteTracking
from upgate.store.store import Store

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

WORDS = ["search=sobol", "tune.trials=2", "tune.folds=1", "tune.top=1", "tune.top_seeds=1"]
TRIALS = 2  # runs of the first block

Switch = Callable[[], None]


def real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Switch, Switch, Switch]:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    server = Server(Store(tmp_path / "server").ui_command(port), uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    def start() -> None:
        if server.process.returncode is not None:  # it was killed
            server.start()

    return server.kill, start, server.kill


def unreadable_file(_: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Switch, Switch, Switch]:
    connect, away = SqliteTracking._connect, list[str]()

    def refuse(self: SqliteTracking) -> Any:
        if away:
            raise ConnectionError("away")
        return connect(self)

    monkeypatch.setattr(SqliteTracking, "_connect", refuse)
    return lambda: away.append("now"), away.clear, away.clear


def is_last(job: Job) -> bool:
    """Whether a run is one of those on the test part."""
    return not {"tuned", "untuned"}.isdisjoint(job.changes)


def watch(monkeypatch: pytest.MonkeyPatch, listen: Callable[[Driver, Job, int], None]) -> list[str]:
    """Call `listen` after each run, with how many have ended; their names."""
    monkeypatch.setattr("upgate.store.call.PATIENCE", 1.0)
    collect, ended = Driver.collect, list[str]()

    def watched(self: Driver, job: Job, future: Any) -> None:
        collect(self, job, future)
        ended.append(job.name)
        listen(self, job, len(ended))

    monkeypatch.setattr(Driver, "collect", watched)
    return ended


SERVER = pytest.param(real_server, marks=pytest.mark.long, id="server")


@pytest.mark.parametrize("store", [pytest.param(unreadable_file, id="file"), SERVER])
def test_a_search_outlasts_an_outage(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is away from the end of the first block until the first run on the test part."""
    stop, start, end = store(tmp_path, monkeypatch)

    def switch(driver: Driver, job: Job, ended: int) -> None:
        if ended == TRIALS:
            stop()
        if is_last(job):
            start()

    ended = watch(monkeypatch, switch)
    root = tmp_path / "runs"
    try:
        code, said = tune(root, *WORDS)
        assert code == 0, said
        found = Store(root)
        runs = [row for row in found.rows() if not row.is_parent]
        assert len({row.key for row in runs}) == len(runs) == len(ended) > TRIALS
        assert {row.status for row in found.rows()} == {"FINISHED"}
        losses = [points(found, row.run_id, "train/loss") for row in runs]
        assert all([step for step, _ in curve] == [1] for curve in losses)
        assert not list(found.open.iterdir())
        (first,) = map(numbers, results(root).values())
        assert tune(root, *WORDS)[0] == 0 and len(ended) == len(runs)  # all of it is stored
        assert list(map(numbers, results(root).values())) == [first]
    finally:
        end()


@pytest.mark.parametrize("store", [pytest.param(unreadable_file, id="file"), SERVER])
@pytest.mark.parametrize("waits", [True, False])
def test_a_search_ends_after_an_outage_at_its_end(
    store: Any, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is away when the last run has ended: for two seconds, or too long."""
    stop, start, end = store(tmp_path, monkeypatch)
    monkeypatch.setattr("upgate.store.store.LAST_PATIENCE", 300.0 if waits else 1.0)
    timer = threading.Timer(2.5, start)

    def switch(driver: Driver, job: Job, _: int) -> None:
        if is_last(job) and not (driver.waiting or driver.training):
            stop()
            if waits:
                timer.start()

    ended = watch(monkeypatch, switch)
    root = tmp_path / "runs"
    try:
        if waits:
            code, said = tune(root, *WORDS)
            assert code == 0, said
            timer.join()
        else:
            with pytest.raises(UserError, match=r"nothing is lost: .* trains nothing again"):
                tune(root, *WORDS)
            start()
        runs, given_again = len(ended), tune(root, *WORDS)
        assert given_again[0] == 0 and len(ended) == runs, given_again[1]
        found = Store(root)
        assert {row.status for row in found.rows()} == {"FINISHED"}
        assert len({row.key for row in found.rows()}) == len(found.rows())
        assert not list(found.open.iterdir())
    finally:
        end()

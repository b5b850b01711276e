"""A store whose other end is away: a server that hangs and dies, another machine, a journal that
somebody threw away.
"""

import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.run import train
from helpers.store import Proxy, Server, free_port, fresh, key, points, server_process
from upgate.errors import UserError
from upgate.execution.driver import Driver
from upgate.run.job import Job
from upgate.store.call import call_mlflow
from upgate.store.store import Store
from upgate.store.tracking import Ask, directly
from upgate.store.write_ahead_log import claim

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.pictures,
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fresh(tmp_path)


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    port = free_port()
    server = Server(server_process(store, port), f"http://127.0.0.1:{port}")
    yield server
    server.kill()


@pytest.fixture
def page(store: Store) -> Iterator[Server]:
    """What `make ui` starts; after a kill, the same server."""
    port = free_port()
    page = Server(store.ui_command(port), f"http://127.0.0.1:{port}")
    page.command = server_process(store, port)
    yield page
    page.kill()


def test_a_server_may_hang_and_die_while_a_run_logs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    store = Store(tmp_path / "trainer", server.uri)
    run = store.run("stock", "one", key("one"), {"lr": 0.1}, {}, None, False)
    logged = []
    for step in range(300):
        if step == 50:  # it takes the points and answers too late: they are sent again
            os.killpg(server.process.pid, signal.SIGSTOP)
            assert not run.flush()
            os.killpg(server.process.pid, signal.SIGCONT)
        if step == 100:
            assert run.flush()
            server.kill()
        if step == 200:
            assert not run.flush()  # refused at once, nothing lost
        started = time.perf_counter()
        run.log({"loss": math.nan if step == 7 else 1 / (1 + step), "worst": math.inf}, step)
        logged.append(time.perf_counter() - started)
    assert max(logged) < 0.5  # 5 to 30 us, but the machine may be busy
    run.text("said while it was away", "note.txt")
    journal = store.log_path(run.key)
    assert len(journal.read_text().splitlines()) == 202
    started = time.monotonic()
    run.finish("FINISHED")
    assert time.monotonic() - started < 10 and journal.exists()
    server.start()
    assert (
        Store(store.root, server.uri).reconcile() == []
    )  # delivers; the run was not killed but finished
    (row,) = store.rows()
    assert (row.status, row.metrics) == (
        "FINISHED",
        {"loss": 1 / 300, "worst": math.inf},
    ) and not journal.exists()
    history = points(store, run.id, "loss")
    assert [step for step, _ in history] == list(range(300)) and math.isnan(history[7][1])
    assert "note.txt" in [file.path for file in store.client.list_artifacts(run.id)]
    with pytest.raises(UserError, match="open that in a browser"):
        store.ui_command()


def test_another_machines_silent_journal_is_settled_and_a_living_one_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.run("stock", "one", key("one"), {}, {}, None, False) as run:
        pass
    store.client.update_run(run.id, "RUNNING")
    journal = store.log_path(run.key)
    journal.write_text(
        f'{{"run":"{run.id}","upgate.host":"elsewhere","upgate.pid":"7"}}\n'
    )  # on a disk that keeps no locks
    assert store.reconcile() == [] and journal.exists()
    with monkeypatch.context() as patch:  # a clock that is wrong decides nothing
        patch.setattr(time, "time", lambda: journal.stat().st_mtime + 3600)
        assert store.reconcile() == [] and journal.exists()
    alive = threading.Timer(0.5, journal.touch)
    alive.start()
    with pytest.raises(UserError, match="is going on already, in process 7 on elsewhere"):
        store.run("stock", "one", key("one"), {}, {}, None, True)
    alive.join()
    os.utime(journal, (0, time.time() - 61))
    assert store.reconcile() == [run.id] and not journal.exists()
    assert store.rows()[0].status == "KILLED"


def test_a_run_waits_for_who_settles_what_a_dead_one_left(store: Store) -> None:
    settle = (
        "import sys, pathlib, time; from upgate.store.write_ahead_log import claim; j ="
        " claim(pathlib.Path(sys.argv[1]))"
    )
    command = f"{settle}; print('claimed', flush=True); time.sleep(1); j.remove()"
    path = store.log_path(key("one"))
    path.parent.mkdir(parents=True)
    path.write_text('{"run":"0","upgate.host":"' + store.host + '","upgate.pid":"999999999"}\n')
    with subprocess.Popen(
        [sys.executable, "-c", command, str(path)], stdout=subprocess.PIPE
    ) as settler:
        assert settler.stdout is not None and settler.stdout.readline()
        store.run("stock", "one", key("one"), {}, {}, None, True).finish("FINISHED")
    assert store.rows()[0].status == "FINISHED"


def test_a_run_whose_journal_somebody_threw_away_is_killed_only_when_its_process_is_dead(
    store: Store,
) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    shutil.rmtree(store.root / "open")
    assert store.reconcile() == []
    dead = subprocess.Popen(["true"])
    dead.wait()
    store.client.set_tag(run.id, "upgate.pid", str(dead.pid))
    assert store.reconcile() == [run.id]
    assert store.rows()[0].status == "KILLED"


def test_a_forked_child_is_deaf_and_keeps_the_lock_alone(store: Store) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    if not (child := os.fork()):
        run.log({"loss": 1.0})
        run.finish("FAILED")
        os._exit(0)
    os.waitpid(child, 0)
    path = str(store.log_path(run.key))
    probe = (
        "import sys, pathlib; from upgate.store.write_ahead_log import claim;"
        " print(claim(pathlib.Path(sys.argv[1]), False))"
    )
    assert subprocess.check_output([sys.executable, "-c", probe, path], text=True) == "None\n"
    run.finish("FINISHED")
    assert (store.rows()[0].status, store.rows()[0].metrics) == ("FINISHED", {})
    assert claim(Path(path), create=False) is None  # gone


def begin_away(store: Store, monkeypatch: pytest.MonkeyPatch, *losses: float) -> Path:
    """A run that begins and dies while the store is away; its log."""
    monkeypatch.setattr("upgate.store.call.PATIENCE", 0.0)
    store.prepare()

    def away() -> None:
        raise ConnectionError("away")

    def refuse(*_: object, ask: Ask = directly) -> None:
        ask(away)

    with monkeypatch.context() as patch:
        for name in ("experiment", "rows", "create_run"):
            patch.setattr(store.tracking, name, refuse)
        run = store.run("stock", "one", key("one"), {"lr": 0.1}, {}, None, True)
        for step, loss in enumerate(losses, start=1):
            run.log({"loss": loss}, step)
        assert run.id == "" and not run.flush()
        run._stop.set()
        run._thread.join()
        run._log.release()
    return store.log_path(run.key)


def test_a_run_that_began_while_the_store_was_away_is_opened_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = begin_away(store, monkeypatch, 0.5, 0.25)
    end = store.tracking.set_status

    def lose(*arguments: Any) -> None:
        end(*arguments)
        raise ConnectionError("the answer is lost")

    with monkeypatch.context() as patch:
        patch.setattr(store.tracking, "set_status", lose)
        assert store.reconcile() == [] and log.exists()
    (row,) = store.rows()
    Store(store.root).reconcile()
    assert not log.exists()
    (row,) = store.rows()
    assert (row.status, row.params, row.metrics) == ("KILLED", {"lr": "0.1"}, {"loss": 0.25})
    assert points(store, row.run_id, "loss") == [(1, 0.5), (2, 0.25)] and row.seconds >= 0


def lose_answer(store: Store, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the next call asks for is done, and its answer is lost."""
    function, calls = getattr(store.tracking, name), list[Any]()

    def call(*arguments: Any) -> Any:
        calls.append(function(*arguments))
        if len(calls) == 1:
            raise ConnectionError("the answer is lost")
        return calls[-1]

    monkeypatch.setattr(store.tracking, name, call)


@pytest.mark.parametrize("name", ["experiment", "create_experiment", "create_run", "log_params"])
def test_a_lost_answer_makes_no_second_run(
    name: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upgate.store.call.PAUSE", 0.0)
    lose_answer(store, name, monkeypatch)
    with store.run("stock", "one", key("one"), {"lr": 0.1}, {}, None, True) as run:
        run.log({"loss": 0.5}, 1)
    (row,) = store.rows()
    assert (row.run_id, row.params, row.status) == (run.id, {"lr": "0.1"}, "FINISHED")


def test_a_server_that_hangs_is_named_at_once_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr("upgate.store.call.PATIENCE", 2.5)
    monkeypatch.setattr("upgate.store.call.WORD", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and is mute
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=f"no MLflow server answers at {uri}: .*ReadTimeout"):
            Store(tmp_path, uri).prepare()
    said = f"The MLflow store {uri} is slow or away: no answer for 1 s; waiting for it."
    assert [record.getMessage() for record in caplog.records] == [said]


def test_a_call_outlasts_a_server_most_of_whose_answers_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("upgate.store.call.PAUSE", 0.01)
    calls = list[float]()

    def hang() -> int:
        calls.append(time.monotonic())
        if len(calls) < 15:
            time.sleep(0.03)
            raise ConnectionError("Read timed out")
        return len(calls)

    assert call_mlflow("http://server", hang, patience=0.4) == 15


def test_a_run_that_goes_on_while_the_store_is_away_has_each_point_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.run("stock", "one", key("one"), {"lr": 0.1}, {}, None, True) as run:
        for step, loss in enumerate((0.5, 0.25, 0.125), start=1):
            run.log({"loss": loss}, step)
        run.finish("KILLED")
    begin_away(store, monkeypatch, 0.5, 0.25, 0.125, 0.0625)
    assert store.reconcile() == [run.id]
    assert points(store, run.id, "loss") == [(1, 0.5), (2, 0.25), (3, 0.125), (4, 0.0625)]


def test_a_worker_that_starts_while_the_server_is_away_trains_and_a_command_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UserError, match="no MLflow server answers"):
        store.parent("stock", "sweep", key("sweep"), {})
    assert not list(store.open.iterdir())
    run = store.run("stock", "one", key("one"), {}, {}, None, True)
    run.log({"loss": 0.5}, 1)
    run.finish("FINISHED")
    (log,) = store.open.iterdir()
    assert run.id == "" and log.name == f"{run.key}.jsonl"
    assert len(log.read_text().splitlines()) == 3  # what to open it with, a point, its end


LOCAL = pytest.param(["executor=local", "executor.workers=1"], marks=pytest.mark.long, id="local")


@pytest.mark.parametrize("how", [pytest.param([], id="inline"), LOCAL])
def test_a_sweep_outlasts_an_outage(
    how: list[str], page: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server dies after the first run, and is back when the last one has ended."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", page.uri)
    monkeypatch.setattr("upgate.store.call.PATIENCE", 1.0)
    collect, ended = Driver.collect, list[str]()

    def watched(self: Driver, job: Job, future: Any) -> None:
        collect(self, job, future)
        ended.append(job.name)
        if len(ended) == 1:
            page.kill()
        if len(ended) == 3:
            page.start()

    monkeypatch.setattr(Driver, "collect", watched)
    words = ["twin=false", "data.start=2017", "trainer.max_epochs=1", *how]
    code, said = train(tmp_path / "runs", *words, "seed=0,1,2", sweep=True)
    assert code == 0, said
    found = Store(tmp_path / "runs")
    runs = [row for row in found.rows() if not row.is_parent]
    assert sorted(row.name for row in runs) == [f"upgraded seed={seed}" for seed in range(3)]
    assert {row.status for row in found.rows()} == {"FINISHED"} and len(found.rows()) == 4
    assert len({row.parent for row in runs}) == 1 and min(row.seconds for row in runs) > 0
    for row in runs:
        assert [step for step, _ in points(found, row.run_id, "val/loss")] == [1]
        names = {file.path for file in found.client.list_artifacts(row.run_id)}
        assert {"best.ckpt", "config.yaml", "forecast.png"} <= names
    assert not list(found.open.iterdir())
    code, said = train(tmp_path / "runs", *words, "seed=0,1,2", sweep=True)
    assert code == 0 and "done:" not in said and len(ended) == 3  # all of it is stored


@pytest.mark.long
@pytest.mark.parametrize("hold", [0.0, 8.0])
def test_a_command_survives_answers_that_are_lost_or_hang(
    hold: float, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
    with Proxy(server.uri, hold) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
        words = ["twin=false", "data.start=2017", "trainer.max_epochs=2", "seed=0,1"]
        code, said = train(tmp_path / "runs", *words, sweep=True)
        assert code == 0, said
        proxy.share = 0.0
        Store(tmp_path / "runs", proxy.uri).reconcile()  # what the last answers left
    store = Store(tmp_path / "runs", server.uri)
    rows = store.rows()
    assert sorted(row.status for row in rows) == ["FINISHED"] * 3
    for row in rows:
        if not row.is_parent:
            assert [step for step, _ in points(store, row.run_id, "val/loss")] == [1, 2]

"""The run store on a real sqlite store and a real MLflow server: what goes in comes out, once, whatever happens between."""

import hashlib
import math
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from upgate.errors import UserError
from upgate.run.store import Store
from upgate.run.store_journal import claim
from upgate.run.store_row import where
from upgate.run.store_run import clean, status_of

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

PREPARE = """
import sys, time
from pathlib import Path
from upgate.run.store import Store
store = Store(Path(sys.argv[1]))
while time.time() < float(sys.argv[2]):
    time.sleep(0.001)
store.prepare()
with store.parent("stock", "all", sys.argv[3] * 64, {}) as parent:
    for step in range(50):
        parent.log({"a": step}, step)
"""


def key(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store; making one takes a second, copying it nothing."""
    root = tmp_path_factory.mktemp("template")
    Store(root).prepare()
    return root


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Store:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Store(tmp_path)


def points(store: Store, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in store.client.get_metric_history(run_id, name)]


def test_everything_comes_back(store: Store, tmp_path: Path) -> None:
    (tmp_path / "figure.txt").write_text("a figure")
    with store.parent("stock", "a command", key("command"), {"upgate.command": "train"}) as parent:
        params = {"lr": 0.1, "none": None, "on": True, "long": "x" * 9000}
        with store.run("stock", "one", key("one"), params, {"upgate.recipe": "upgraded"}, parent, True) as run:
            run.log({"val/loss": 0.5, "odd|name": 1}, 1)
            run.log({"val/loss": 0.25}, 2)
            run.log({"nan": math.nan, "worst": math.inf, "best": -math.inf, "nothing": None})  # type: ignore[dict-item]
            run.log({f"m{i}": i for i in range(2500)})
            run.tag({"upgate.seed": "3"})
            run.text("lr: 0.1\n", "config/all.yaml")
            run.artifact(tmp_path / "figure.txt", "figures")
            run.dataset("s&p 500", key("data"), "arch.data.sp500", "training", {"rows": 5031})
    (row,) = store.rows(recipe="upgraded")
    assert (row.run_id, row.key, row.name, row.task, row.status) == (run.id, key("one"), "one", "stock", "FINISHED")
    assert (row.parent, row.is_parent) == (parent.id, False)
    assert abs(time.time() - row.start.timestamp()) < 60 and 0 <= row.seconds < 60
    assert row.params == {"lr": "0.1", "none": "None", "on": "True", "long": "x" * 6000}
    assert row.metrics.items() >= {"val/loss": 0.25, "odd_name": 1, "worst": math.inf, "best": -math.inf}.items()
    assert math.isnan(row.metrics["nan"]) and math.isnan(row.metrics["nothing"])
    assert [row.metrics[f"m{i}"] for i in range(2500)] == list(range(2500))
    assert row.tags.items() >= {"upgate.seed": "3", "upgate.kind": "run", "upgate.recipe": "upgraded"}.items()
    assert points(store, run.id, "val/loss") == [(1, 0.5), (2, 0.25)]
    files = tmp_path / "artifacts" / run.id / "artifacts"
    assert (files / "config/all.yaml").read_text() == "lr: 0.1\n"
    assert (files / "figures/figure.txt").read_text() == "a figure"
    (seen,) = store.client.get_run(run.id).inputs.dataset_inputs
    assert (seen.dataset.name, seen.dataset.digest) == ("s&p 500", key("data")[:36])
    assert not list(store.open.iterdir())
    assert {r.run_id for r in store.rows(parent=parent.id)} == {run.id}
    assert [r.is_parent for r in store.rows(task="stock")] == [False, True]
    assert store.rows(task="sentiment") == [] == store.rows(status="FAILED")


def test_the_same_command_goes_on_in_the_same_parent(store: Store) -> None:
    with store.parent("stock", "study", key("command"), {}) as first:
        first.log({"done": 1}, 1)
    with store.parent("stock", "study", key("command"), {"upgate.round": "2"}) as again:
        assert again.id == first.id
        assert store.client.get_run(again.id).info.status == "RUNNING"
    (row,) = store.rows()
    assert (row.status, row.tags["upgate.round"]) == ("FINISHED", "2")


def test_a_resumed_run_has_each_point_once(store: Store) -> None:
    opened = {"task": "stock", "name": "one", "key": key("one"), "tags": {}, "parent": None}
    run = store.run(**opened, params={"lr": 0.1}, resume=False)  # type: ignore[arg-type]
    for step in range(6):
        run.log({"loss": 1 / (1 + step)}, step)
    run.log({"test/score": 1.0})
    run.finish("KILLED")
    resumed = store.run(**opened, params={"lr": 0.2, "new": 1}, resume=True)  # type: ignore[arg-type]
    for step in (0, *range(4, 9)):  # from a checkpoint that is older than the last point
        resumed.log({"loss": 1 / (1 + step)}, step)
    resumed.log({"test/score": 2.0})
    resumed.finish("FINISHED")
    assert resumed.id == run.id
    assert points(store, run.id, "loss") == [(step, 1 / (1 + step)) for step in range(9)]
    (row,) = store.rows()
    assert (row.status, row.params, row.metrics["test/score"]) == ("FINISHED", {"lr": "0.1", "new": "1"}, 2.0)  # single numbers anew
    assert store.run(**opened, params={}, resume=True).id != run.id  # type: ignore[arg-type]  # it was finished
    assert store.reconcile() == []  # the last one is ours and alive


def test_a_key_is_trained_once_at_a_time(store: Store) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, True)
    with pytest.raises(UserError, match=f"'one' .* is going on already, in process {os.getpid()} "):
        store.run("stock", "one", key("one"), {}, {}, None, True)
    run.finish("FAILED")
    assert store.run("stock", "one", key("one"), {}, {}, None, False).id != run.id


def test_status_says_how_it_ended(store: Store) -> None:
    for word, error in {"error": ZeroDivisionError(), "ctrl-c": KeyboardInterrupt(), "term": SystemExit(143)}.items():
        with pytest.raises(type(error)), store.run("stock", word, key(word), {}, {}, None, False):
            raise error
    assert {row.name: row.status for row in store.rows()} == {"error": "FAILED", "ctrl-c": "KILLED", "term": "KILLED"}
    assert status_of(None) == "FINISHED"
    run = store.run("stock", "late", key("late"), {}, {}, None, False)
    with pytest.raises(ValueError, match="SLEEPING"):
        run.finish("SLEEPING")
    run.finish("FINISHED")
    run.finish("FAILED")  # too late
    run.log({"too": 1})
    assert store.rows()[0].status == "FINISHED"


def test_finished_finds_the_newest_by_key(store: Store) -> None:
    ids = {}
    for word in ("a", "b", "a", "c"):
        with store.run("stock", word, key(word), {}, {}, None, False) as run:
            ids[word] = run.id
            time.sleep(0.002)  # MLflow's clock counts milliseconds
    store.run("stock", "failed", key("failed"), {}, {}, None, False).finish("FAILED")
    some = [key(word) for word in ("a", "b", "failed", "nobody")]
    many = some + [key(str(i)) for i in range(2000)]
    for keys in (some, many):
        assert {k: row.run_id for k, row in store.finished(keys).items()} == {key("a"): ids["a"], key("b"): ids["b"]}


@pytest.mark.parametrize("name", ["a//b", "/a/b", "../a", "a/./b/", "损失/θ", "50% of x", "a\nb", "", "x" * 300, "lr: 0.1"])
def test_any_name_becomes_one_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(clean(name))
    assert 1 <= len(clean(name)) <= 250 and clean(clean(name)) == clean(name)


def test_a_full_disk_does_not_end_the_training(store: Store) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    run.log({"loss": 1.0}, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (store.journal(run.key).stat().st_size + 5, hard))
        run.log({"loss": 2.0}, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run.log({"loss": 3.0}, 3)
    run.finish("FINISHED")
    assert points(store, run.id, "loss") == [(1, 1.0), (3, 3.0)]


def test_what_mlflow_refuses_blocks_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "gone.txt").touch()
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    run.artifact(tmp_path / "gone.txt")
    (tmp_path / "gone.txt").unlink()
    run.log({"loss": 1.0})
    run.finish("FINISHED")
    assert store.finished([key("one")])[key("one")].metrics == {"loss": 1.0}
    assert "gone.txt" in (tmp_path / "refused.jsonl").read_text()
    with pytest.raises(FileNotFoundError):
        store.run("stock", "two", key("two"), {}, {}, None, False).artifact(tmp_path / "gone.txt")


def test_a_forked_child_is_deaf_and_keeps_the_lock_alone(store: Store) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    if not (child := os.fork()):
        run.log({"loss": 1.0})
        run.finish("FAILED")
        os._exit(0)
    os.waitpid(child, 0)
    path = str(store.journal(run.key))
    probe = "import sys, pathlib; from upgate.run.store_journal import claim; print(claim(pathlib.Path(sys.argv[1]), False))"
    assert subprocess.check_output([sys.executable, "-c", probe, path], text=True) == "None\n"
    run.finish("FINISHED")
    assert (store.rows()[0].status, store.rows()[0].metrics) == ("FINISHED", {})
    assert claim(Path(path), create=False) is None  # gone


def test_a_run_whose_journal_somebody_threw_away_is_killed_only_when_its_process_is_dead(store: Store) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    shutil.rmtree(store.root / "open")
    assert store.reconcile() == []
    dead = subprocess.Popen(["true"])
    dead.wait()
    store.client.set_tag(run.id, "upgate.pid", str(dead.pid))
    assert store.reconcile() == [run.id]
    assert store.rows()[0].status == "KILLED"


def test_many_processes_make_one_store(tmp_path: Path) -> None:
    start = str(time.time() + 1.5)
    commands = [[sys.executable, "-c", PREPARE, str(tmp_path / "runs"), start, letter] for letter in "abcd"]
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait(60) == 0
    store = Store(tmp_path / "runs")
    rows = store.rows()
    assert {(row.status, row.metrics["a"]) for row in rows} == {("FINISHED", 49)} and len(rows) == 4
    assert all(points(store, row.run_id, "a") == [(i, i) for i in range(50)] for row in rows)
    assert len(store.client.search_experiments()) == 2  # MLflow's default and ours


def test_an_older_schema_is_brought_up_to_date_and_kept(tmp_path: Path) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    engine, config = create_sqlalchemy_engine(uri), _get_alembic_config(uri)
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    older = script.get_revision(head).down_revision
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    engine.dispose()
    Store(tmp_path).prepare()

    def version(path: Path) -> str:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("select version_num from alembic_version").fetchone()[0]

    assert (version(tmp_path / "mlflow.db"), version(tmp_path / "mlflow.db.before-upgrade")) == (head, older)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("update alembic_version set version_num = 'from the future'")
    (tmp_path / "mlflow.db.made-by").unlink()
    with pytest.raises(UserError, match="written by a newer MLflow"):
        Store(tmp_path).prepare()


def test_bad_stores_are_refused_in_one_sentence(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "mlflow.db").write_text("not a database " * 100)
    (tmp_path / "50%").mkdir()
    for root, uri, sentence in (
        (tmp_path, None, "is not a database of MLflow"),
        (tmp_path / "50%", None, "without % . #"),
        (tmp_path, str(tmp_path), "no longer keeps runs in a folder"),
        (tmp_path, f"http://me:secret@127.0.0.1:{free_port}", f"no MLflow server answers at http://127.0.0.1:{free_port}"),
    ):
        started = time.monotonic()
        with pytest.raises(UserError, match=sentence):
            Store(root, uri).prepare()
        assert time.monotonic() - started < 5


def test_a_deleted_experiment_is_not_silently_filled(store: Store) -> None:
    store.client.delete_experiment(store.experiment("stock"))
    with pytest.raises(UserError, match="experiment 'stock' was deleted"):
        Store(store.root).experiment("stock")


def test_filters_quote_what_they_are_given(store: Store) -> None:
    with store.run("stock", "one", key("one"), {}, {"upgate.recipe": "it's"}, None, False):
        pass
    assert len(store.rows(recipe="it's")) == 1 and store.rows(recipe="x' or 'a' = 'a") == []
    assert where(task=None, status="FAILED") == "attributes.status = 'FAILED'"


def test_importing_the_store_imports_no_mlflow() -> None:
    code = "import sys, upgate.run.store; print({'mlflow', 'pandas', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """What `make ui` starts."""

    def __init__(self, command: list[str], uri: str) -> None:
        self.command, self.uri = command, uri
        self.start()

    def start(self) -> None:
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(self.command, stdout=null, stderr=null, start_new_session=True)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise TimeoutError(self.uri)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(store: Store, free_port: int) -> Iterator[Server]:
    server = Server(store.ui_command(free_port), f"http://127.0.0.1:{free_port}")
    yield server
    server.kill()


def test_a_server_may_hang_and_die_while_a_run_logs(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    journal = store.journal(run.key)
    assert len(journal.read_text().splitlines()) == 202
    started = time.monotonic()
    run.finish("FINISHED")
    assert time.monotonic() - started < 10 and journal.exists()
    server.start()
    assert Store(store.root, server.uri).reconcile() == []  # delivers; the run was not killed but finished
    (row,) = store.rows()
    assert (row.status, row.metrics) == ("FINISHED", {"loss": 1 / 300, "worst": math.inf}) and not journal.exists()
    history = points(store, run.id, "loss")
    assert [step for step, _ in history] == list(range(300)) and math.isnan(history[7][1])
    assert "note.txt" in [file.path for file in store.client.list_artifacts(run.id)]
    with pytest.raises(UserError, match="open that in a browser"):
        store.ui_command()


def test_another_machines_silent_journal_is_settled_and_a_living_one_is_not(store: Store) -> None:
    with store.run("stock", "one", key("one"), {}, {}, None, False) as run:
        pass
    store.client.update_run(run.id, "RUNNING")
    journal = store.journal(run.key)
    journal.write_text(f'{{"run":"{run.id}","upgate.host":"elsewhere","upgate.pid":"7"}}\n')  # on a disk that keeps no locks
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
    settle = "import sys, pathlib, time; from upgate.run.store_journal import claim; j = claim(pathlib.Path(sys.argv[1]))"
    command = f"{settle}; print('claimed', flush=True); time.sleep(1); j.remove()"
    path = store.journal(key("one"))
    path.parent.mkdir(parents=True)
    path.write_text('{"run":"0","upgate.host":"' + store.host + '","upgate.pid":"999999999"}\n')
    with subprocess.Popen([sys.executable, "-c", command, str(path)], stdout=subprocess.PIPE) as settler:
        assert settler.stdout is not None and settler.stdout.readline()
        store.run("stock", "one", key("one"), {}, {}, None, True).finish("FINISHED")
    assert store.rows()[0].status == "FINISHED"


def test_the_first_word_about_the_end_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    with monkeypatch.context() as patch:
        patch.setattr(run._courier, "drain", lambda journal: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run.finish("FINISHED")
    run.finish("KILLED")  # what a trainer does next
    assert store.rows()[0].status == "FINISHED"
    store.annotate(run.id, {"difference/x": -0.5})
    assert store.rows()[0].metrics == {"difference/x": -0.5}

"""The shared store: MLflow on PostgreSQL, directly and through a server as compose.yaml starts it;
Optuna's record beside it.
"""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from helpers.execution import wait_for
from helpers.postgres import PASSWORD, QUOTED, Postgres, postgres
from helpers.project import REPO
from helpers.run import half_way, results, start, train
from helpers.store import Server, free_port, key, points
from upgate import cli
from upgate.errors import UserError
from upgate.run.provenance import command_line
from upgate.store.connect import first_line, redact
from upgate.store.store import Store
from upgate.store.ui import server_command

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

AT_ONCE = """
import multiprocessing, sys
from pathlib import Path
import mlflow, optuna
from upgate.store.store import Store
from upgate.tune.optuna_adapter import Record

def work(root, mlflow_uri, optuna_uri, letter, together):
    store, record = Store(Path(root) / letter, mlflow_uri), Record(optuna_uri, Path(root))
    together.wait()
    store.prepare()
    record.prepare()
    with store.parent("stock", "all", letter * 64, {}) as parent:
        for step in range(50):
            parent.log({"a": step}, step)

fork = multiprocessing.get_context("fork")  # imports take longest, so once for all
together = fork.Barrier(len(sys.argv[4]))
processes = [fork.Process(target=work, args=(*sys.argv[1:4], letter, together)) for letter in sys.argv[4]]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(max(abs(process.exitcode) for process in processes))
"""  # noqa: E501


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture(scope="module")
def straight(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that MLFLOW_TRACKING_URI may name."""
    Store(tmp_path_factory.mktemp("straight"), uri := server.make("straight")).prepare()
    return uri


@pytest.fixture(scope="module")
def mlflow(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MLflow's server with the environment and the command that compose.yaml gives it, on another
    port.
    """
    service, port = (
        yaml.safe_load((REPO / "compose.yaml").read_text(encoding="utf-8"))["services"]["mlflow"],
        free_port(),
    )
    server.make("server")
    told = service["environment"] | {
        "PGPASSWORD": PASSWORD,
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost:*,127.0.0.1:*",
    }
    told["MLFLOW_BACKEND_STORE_URI"] = told["MLFLOW_BACKEND_STORE_URI"].replace(
        "postgres:5432/mlflow", f"127.0.0.1:{server.port}/server"
    )
    places = {
        "--host=": "127.0.0.1",
        "--port=": str(port),
        "--artifacts-destination=": str(tmp_path_factory.mktemp("artifacts")),
    }
    words = [
        next((name + value for name, value in places.items() if word.startswith(name)), word)
        for word in service["command"][1:]
    ]
    environ = [f"{name}={value}" for name, value in told.items()]
    found = Server(
        ["env", *environ, sys.executable, "-m", "mlflow", *words], f"http://127.0.0.1:{port}"
    )
    yield found
    found.kill()


@pytest.mark.long
def test_many_processes_make_the_tables_of_mlflow_and_optuna_once(
    server: Postgres, tmp_path: Path
) -> None:
    ours, optunas = server.make("many"), server.make("many_optuna")
    command = [sys.executable, "-c", AT_ONCE, str(tmp_path), ours, optunas, "abcd"]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    store = Store(tmp_path / "e", ours)
    store.prepare()  # MLflow compares the tables' revision with its own, and raises
    rows = store.rows()
    assert {(row.status, row.metrics["a"]) for row in rows} == {("FINISHED", 49)} and len(rows) == 4
    assert all(points(store, row.run_id, "a") == [(i, i) for i in range(50)] for row in rows)
    assert len(store.client.search_experiments()) == 2  # MLflow's default and ours
    assert server.sql("many_optuna", "select count(*) from version_info") == [(1,)]


@pytest.mark.long
def test_a_making_that_was_cut_off_is_made_good(server: Postgres, tmp_path: Path) -> None:
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    engine = create_engine(uri := server.make("half"))
    Base.metadata.create_all(engine)  # the first of two steps
    engine.dispose()
    Store(tmp_path, uri).prepare()
    assert Store(tmp_path, uri).rows() == []


@pytest.mark.long
def test_bad_databases_are_refused_in_one_sentence_without_the_password(
    server: Postgres, straight: str, tmp_path: Path
) -> None:
    server.sql("postgres", "create table if not exists studies (id int)")
    for uri, sentence in (
        (server.uri("postgres"), "holds other tables than MLflow's .studies"),
        (straight.replace("s3cret", "s3cret-not"), "password authentication failed .*PGPASSWORD"),
        (straight.replace(QUOTED, PASSWORD), "no PostgreSQL answers at postgresql://127.0.0.1"),
        (server.uri("nowhere"), 'database "nowhere" does not exist'),
        (straight.replace(str(server.port), str(free_port())), "Connection refused"),
        (
            straight.replace("postgresql:", "postgresql+pg8000:"),
            r"driver that is not installed: pip install 'upgate\[postgres\]'",
        ),
        (
            straight.replace("postgresql:", "postgres:"),
            "MLflow cannot open postgres://127.0.0.1.* 'postgresql'",
        ),
    ):
        started = time.monotonic()
        with pytest.raises(UserError, match=sentence) as refused:
            Store(tmp_path, uri).prepare()
        assert time.monotonic() - started < 5 and "s3cret" not in str(refused.value)


@pytest.mark.long
def test_the_tables_of_another_version_are_left_alone(
    server: Postgres, straight: str, tmp_path: Path
) -> None:
    ((ours,),) = server.sql("straight", "select version_num from alembic_version")
    for theirs in ("from the future", "df50e92ffc5e"):  # the latter is of 2019
        server.sql("straight", f"update alembic_version set version_num = '{theirs}'")
        with pytest.raises(
            UserError,
            match="is not of this MLflow version: install the MLflow that its other users have",
        ):
            Store(tmp_path, straight).prepare()
        assert server.sql("straight", "select version_num from alembic_version") == [(theirs,)]
    server.sql("straight", f"update alembic_version set version_num = '{ours}'")


@pytest.mark.long
def test_a_database_may_restart_while_a_run_logs(
    server: Postgres, straight: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path, straight)
    long = {"x" * 300: "y" * 9000}  # sqlite would take any length
    run = store.run(
        "restart", "n" * 300, key("one"), long, {"upgate.source": "z" * 9000}, None, False
    )
    run.dataset("d" * 600, "e" * 40, "s" * 9000, "training", {})
    run.log({"loss": 1.0}, 1)
    assert run.flush()
    server.stop()
    run.log({"loss": 2.0}, 2)
    assert not run.flush()
    server.start()
    run.log({"loss": 3.0}, 3)
    run.finish("FINISHED")
    assert Store(tmp_path, store.uri).reconcile() == []
    (row,) = store.rows(task="restart")
    assert (row.status, row.name, points(store, run.id, "loss")) == (
        "FINISHED",
        "n" * 250,
        [(1, 1.0), (2, 2.0), (3, 3.0)],
    )
    assert not (tmp_path / "refused.jsonl").exists()
    assert (
        "does not answer; logs stay in" in caplog.text
        and "s3cret" not in caplog.text
        and "Traceback" not in caplog.text
    )


def test_training_straight_on_the_database(
    straight: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "runs"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", straight)
    code, said = train(root, "trainer.max_epochs=1")
    assert code == 0 and "s3cret" not in said
    rows = Store(root).rows(task="stock", status="FINISHED")
    assert sorted(row.tags.get("upgate.role", "parent") for row in rows) == [
        "parent",
        "run",
        "twin",
    ]
    assert not (root / "mlflow.db").exists()
    assert train(root, "trainer.max_epochs=1")[0] == 0
    assert len(Store(root).rows(task="stock")) == 3


@pytest.mark.long
def test_training_through_a_server_is_killed_and_goes_on(
    mlflow: Server,
    server: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, words = tmp_path / "runs", ["optimizer=adam", "clip=norm", "trainer.max_epochs=8"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.uri)
    process = start(root, *words)
    wait_for(lambda: half_way(root), 60, "the twin and half the run")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    store = Store(root)
    wait_for(lambda: not store.rows(status="RUNNING"), 30, "true statuses")
    assert sorted((row.tags.get("upgate.role", "parent"), row.status) for row in store.rows()) == [
        ("parent", "KILLED"),
        ("run", "KILLED"),
        ("twin", "FINISHED"),
    ]
    before = {row.run_id for row in store.rows()}

    code, said = train(root, *words)
    assert code == 0 and "s3cret" not in said
    rows = {row.tags.get("upgate.role", "parent"): row for row in store.rows()}
    assert {row.run_id for row in rows.values()} == before and {
        row.status for row in rows.values()
    } == {"FINISHED"}
    steps = [step for step, _ in points(store, rows["run"].run_id, "val/loss")]
    assert len(steps) == len(set(steps)) == 8
    stamps = {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")}
    assert train(root, *words)[0] == 0  # trains nothing
    assert (
        len(stamps) == 2
        and {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")} == stamps
    )
    assert len(store.rows()) == 3

    fetched = store.artifact(rows["run"].run_id, "best.ckpt", tmp_path / "fetched")
    ((folder, _),) = [
        (Path(result["folder"]), result)
        for result in results(root).values()
        if result["key"] == rows["run"].key
    ]
    assert fetched.read_bytes() == (folder / "best.ckpt").read_bytes()
    assert rows["run"].tags["upgate.root"] == str(root)
    ((where,),) = server.sql(
        "server", "select artifact_location from experiments where name = 'stock'"
    )
    assert where.startswith("mlflow-artifacts:/")  # no path of any machine's

    capsys.readouterr()
    assert cli.main(["runs", f"root={root}", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {run["key"] for run in listed} == {rows["run"].key, rows["twin"].key}


@pytest.mark.long
def test_the_server_takes_no_foreign_host_and_shows_no_password(
    mlflow: Server, server: Postgres
) -> None:
    asked = urllib.request.Request(
        f"{mlflow.uri}/api/2.0/mlflow/experiments/get?experiment_id=0",
        headers={"Host": "evil.example"},
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(asked, timeout=10)
    assert server.sql("server", "select count(*) from experiments where name = 'Default'") == [(1,)]
    words = b"".join(
        path.read_bytes() for path in Path("/proc").glob(f"{mlflow.process.pid}/cmdline")
    )
    assert PASSWORD.encode() not in words and PASSWORD not in server.said()


def test_what_is_printed_and_kept_has_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uri = f"postgresql://me:{QUOTED}@db.example:5432/optuna"
    monkeypatch.setattr(
        sys, "argv", ["upgate", "tune", f"tune.storage={uri}", "task=stock", "data.path=a@b c.csv"]
    )
    assert (
        command_line()
        == "upgate tune tune.storage=postgresql://db.example:5432/optuna task=stock 'data.path=a@b"
        " c.csv'"
    )
    assert (
        redact("postgresql://db/optuna?user=me&password=s3cret&sslmode=require")
        == "postgresql://db/optuna?user=me&password=&sslmode=require"
    )
    for same in (
        "sqlite:////home/a:b@c/mlflow.db",
        "http://127.0.0.1:5000",
        "postgresql://me@db.example/mlflow",
        "s3://bucket/folder",
    ):
        assert redact(same) == same
    assert "s3cret" not in first_line(
        ValueError(f"API request to {uri}/api failed, and to 'http://me:s3cret@x/y'")
    )
    serve = server_command(uri, tmp_path, free_port())
    assert QUOTED not in " ".join(serve[serve.index(sys.executable) :])  # what `ps` shows

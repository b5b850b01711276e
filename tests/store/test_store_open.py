"""Opening a store: made once by many at a time, brought up to date, or refused in one sentence."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from helpers.store import free_port, fresh, points
from upgate.cli.entry import main
from upgate.errors import UserError
from upgate.store.connect import TABLES, copy_tables, dump_tables, migrate, redact, redact_argument
from upgate.store.store import Store

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

PREPARE = """
import sys, time
from pathlib import Path
from upgate.store.store import Store
store = Store(Path(sys.argv[1]))
while time.time() < float(sys.argv[2]):
    time.sleep(0.001)
store.prepare()
with store.parent("stock", "all", sys.argv[3] * 64, {}) as parent:
    for step in range(50):
        parent.log({"a": step}, step)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fresh(tmp_path)


def test_many_processes_make_one_store(tmp_path: Path) -> None:
    start = str(time.time() + 1.5)
    commands = [
        [sys.executable, "-c", PREPARE, str(tmp_path / "runs"), start, letter] for letter in "abc"
    ]
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait(60) == 0
    store = Store(tmp_path / "runs")
    rows = store.rows()
    assert {(row.status, row.metrics["a"]) for row in rows} == {("FINISHED", 49)} and len(rows) == 3
    assert all(points(store, row.run_id, "a") == [(i, i) for i in range(50)] for row in rows)
    assert len(store.client.search_experiments()) == 2  # MLflow's default and ours


def test_the_kept_tables_are_those_of_mlflows_migrations(tmp_path: Path) -> None:
    """bench/mlflow_tables.py writes them again after MLflow was upgraded."""
    from mlflow import __version__ as version

    kept, migrated = tmp_path / "kept.db", tmp_path / "migrated.db"
    migrate(migrated, tmp_path)
    tables = TABLES.read_text(encoding="utf-8")
    assert tables.startswith(f"-- MLflow {version}, ")
    copy_tables(kept, tables, tmp_path)
    assert statements(kept) == statements(migrated)
    columns = "experiment_id, name, artifact_location, lifecycle_stage, workspace"
    for table in (f"select {columns} from experiments", "select * from workspaces"):
        assert query(kept, table) == query(migrated, table)


def statements(path: Path) -> list[str]:
    """The lines that make a database; MLflow orders the constraints of a table by chance."""
    return sorted(line.strip().rstrip(",") for line in dump_tables(path).splitlines())


def query(path: Path, text: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(text).fetchall()


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

    assert (version(tmp_path / "mlflow.db"), version(tmp_path / "mlflow.db.before-upgrade")) == (
        head,
        older,
    )
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("update alembic_version set version_num = 'from the future'")
    (tmp_path / "mlflow.db.made-by").unlink()
    with pytest.raises(UserError, match="written by a newer MLflow"):
        Store(tmp_path).prepare()


def test_bad_stores_are_refused_in_one_sentence(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "mlflow.db").write_text("not a database " * 100)
    (tmp_path / "50%").mkdir()
    for root, uri, sentence in (
        (tmp_path, None, "is not a database of MLflow"),
        (tmp_path / "50%", None, "without % . #"),
        (tmp_path, str(tmp_path), "no longer keeps runs in a folder"),
        (
            tmp_path,
            f"http://me:secret@127.0.0.1:{port}",
            f"no MLflow server answers at http://127.0.0.1:{port}",
        ),
    ):
        started = time.monotonic()
        with pytest.raises(UserError, match=sentence):
            Store(root, uri).prepare()
        assert time.monotonic() - started < 5


def test_a_deleted_experiment_is_not_silently_filled(store: Store) -> None:
    store.client.delete_experiment(store.experiment("stock"))
    with pytest.raises(UserError, match="experiment 'stock' was deleted") as caught:
        Store(store.root).experiment("stock")
    # the command works as it is printed: without the store it would open another one
    assert f"`MLFLOW_TRACKING_URI={store.uri} mlflow experiments restore" in str(caught.value)


def test_the_port_of_the_ui_is_free_and_a_port(store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError,
            match=f"port={port} is taken, perhaps by a page like this that is open already",
        ):
            store.ui_command(port)
    assert str(port) in store.ui_command(port)
    for wrong in (0, 65536):
        with pytest.raises(UserError, match=f"port={wrong} is not a port"):
            store.ui_command(wrong)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("https://s3cret@mlflow.example/api", "https://mlflow.example/api"),
        ("https://x/y?token=s3cret&a=1", "https://x/y?token=&a=1"),
        ("s3://b/k?access_key=s3cret", "s3://b/k?access_key="),
        ("mssql://?odbc_connect=Driver=x;UID=me;PWD=my s3cret;Port=1", None),
        ("Server=db;Password=s3cret with spaces;Database=d", "Server=db;Password=;Database=d"),
        ("API_KEY=s3cret failed", "API_KEY= failed"),
        ("https://x?client_secret=s3cret&a=1", "https://x?client_secret=&a=1"),
        ("https://b?X-Amz-Signature=s3cret", "https://b?X-Amz-Signature="),
        ("host=db password='my s3cret' user=me", "host=db password= user=me"),
        (
            "mssql://?odbc_connect=UID%3Dme%3BPWD%3Ds3cret",
            "mssql://?odbc_connect=UID%3Dme%3BPWD%3D",
        ),
        ("task.max_tokens=512 design=3", "task.max_tokens=512 design=3"),
        ("postgresql://me@db/mlflow", "postgresql://me@db/mlflow"),
    ],
)
def test_no_secret_is_shown(text: str, redacted: str | None) -> None:
    assert "s3cret" not in redact(text) and (redacted is None or redact(text) == redacted)


@pytest.mark.parametrize(
    ("word", "redacted"),
    [
        ("cache=Server=db;Password=my s3cret", "cache=Server=db;Password="),
        ("tune.storage=postgresql://me:my s3cret@db/x", "tune.storage=postgresql://db/x"),
        ("tune.storage=mssql://?odbc_connect=PWD=a s3cret;Port=1", None),
        ("cache=s3://b?token=s3cret and more", "cache=s3://b?token="),
        ("data.path=a@b c.csv", "data.path=a@b c.csv"),
        ("http://127.0.0.1:5000/a b@c", "http://127.0.0.1:5000/a b@c"),
        ("task.max_tokens=512", "task.max_tokens=512"),
    ],
)
def test_no_secret_with_spaces_is_kept_of_a_command(word: str, redacted: str | None) -> None:
    shown = redact_argument(word)
    assert "s3cret" not in shown and (redacted is None or shown == redacted)


@pytest.mark.parametrize("command", ["train", "study", "tune"])
@pytest.mark.parametrize(
    ("root", "told"),
    [
        ("file", "file cannot hold runs: it is a file"),
        ("file/runs", "runs cannot hold runs: "),
        ("/proc/runs", "root=/proc/runs cannot hold runs: /proc: "),
        ("damaged", "mlflow.db is damaged ("),
    ],
)
def test_a_root_that_takes_no_runs_is_told_before_data_are_read(
    command: str,
    root: str,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("x")
    damage(fresh(tmp_path / "damaged").root / "mlflow.db")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    # the data are at fault too, which is found out later
    words = ["task=stock", "data=prices", "data.path=nowhere.csv", f"root={tmp_path / root}"]
    assert main([command, *words]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and "nowhere.csv" not in said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def damage(path: Path) -> None:
    """Overwrite a page in the middle, as a disk may; the first pages stay readable."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 8192 * 4096)
        file.write(b"\xff" * 4096)


def test_a_query_that_meets_damage_says_so_at_once(store: Store) -> None:
    path = store.root / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        query = "select rootpage from sqlite_master where name = 'runs'"
        (page,) = connection.execute(query).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"is damaged \(.*malformed\): put a copy in its place"):
        Store(store.root).rows()
    assert time.monotonic() - started < 5


def test_tables_of_a_newer_mlflow_are_refused_whoever_made_them(store: Store) -> None:
    with closing(sqlite3.connect(store.root / "mlflow.db")) as connection, connection:
        connection.execute("update alembic_version set version_num = 'from the future'")
    with pytest.raises(UserError, match="was written by a newer MLflow: install that one"):
        Store(store.root).rows()
    assert not list(store.root.glob("*.before-upgrade"))


def test_a_store_and_its_files_are_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store = Store(tmp_path / "runs")
        run = store.run("stock", "one", "a" * 64, {}, {}, None, True)
        assert mode(store.log_path("a" * 64)) == 0o600
        (store.root / "best.ckpt").write_bytes(b"x")
        (store.root / "best.ckpt").chmod(0o600)
        run.artifact(store.root / "best.ckpt")
        run.finish("FINISHED")
    finally:
        os.umask(before)
    assert (mode(store.root), mode(store.root / "mlflow.db")) == (0o700, 0o600)
    (artifact,) = store.root.glob("artifacts/**/best.ckpt")
    assert (mode(artifact.parent), mode(artifact)) == (0o700, 0o600)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777

"""Damaged logs, and runs that others wrote: nothing ends a command, nothing leaves the store."""

import logging
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.store import fresh, points
from upgate.cli import main
from upgate.errors import UserError
from upgate.store.foreign_artifacts import Artifacts
from upgate.store.mlflow_tracking import MlflowTracking
from upgate.store.store import Store
from upgate.store.write_ahead_log import Op, decode_line, encode_line

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

KEY = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fresh(tmp_path / "runs")


def leave_log(store: Store, *ops: Op, damage: Callable[[list[bytes]], None] = list.copy) -> str:
    """A run whose owner is dead, and its log of these lines, damaged; the run's id."""
    with store.run("stock", "one", KEY, {}, {}, None, False) as run:
        pass
    store.client.update_run(run.id, "RUNNING")
    store.client.set_tag(run.id, "upgate.pid", "999999999")  # no process has that number
    owner = {"upgate.host": socket.gethostname(), "upgate.pid": "999999999"}
    lines = [
        encode_line({"run": run.id, "name": "one", "sums": True, **owner}),
        *map(encode_line, ops),
    ]
    damage(lines)
    store.open.mkdir(parents=True, exist_ok=True)
    store.log_path(KEY).write_bytes(b"".join(lines))
    return str(run.id)


def test_a_database_that_was_removed_is_not_made_again(store: Store) -> None:
    tracking = store.tracking
    (store.root / "mlflow.db").unlink()
    for call in (tracking.experiment, lambda run: tracking.set_tags(run, {"a": "b"})):
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            call("stock")
    assert not (store.root / "mlflow.db").exists()


def test_a_database_that_is_gone_is_said_and_a_link_to_it_is_kept(
    store: Store, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    database = store.root / "mlflow.db"
    database.unlink()
    database.symlink_to("/not/mounted/mlflow.db")
    assert main(["runs", f"root={store.root}"]) == 2
    assert "link to /not/mounted/mlflow.db, which is not there" in capsys.readouterr().err
    assert database.is_symlink()
    database.unlink()
    assert main(["runs", f"root={store.root}"]) == 0
    assert "is gone: an empty one is made" in caplog.text


def test_a_parent_of_others_without_an_id_is_left_out(store: Store) -> None:
    tags = {"upgate.key": "b" * 64, "upgate.kind": "parent", "upgate.task": "stock"}
    for level in ("tune", "study", "experiment"):
        store.client.create_run(store.experiment("stock"), tags={**tags, "upgate.level": level})
    assert store.rows() == []
    for words in ("tune=latest", "study=latest", "experiment=latest"):
        assert main(["report", words, f"root={store.root}"]) == 2


def losses(n: int) -> list[Op]:
    return [{"op": "metrics", "t": 1, "s": step, "m": {"loss": float(step)}} for step in range(n)]


def zero(lines: list[bytes]) -> None:
    """What a power cut leaves of a line that was never written to the disk."""
    lines[2] = b"\0" * (len(lines[2]) - 1) + b"\n"


def flip(lines: list[bytes]) -> None:
    """One bit: the value of the loss is another number then."""
    at = lines[2].index(b"1.0")
    lines[2] = lines[2][:at] + bytes([lines[2][at] ^ 4]) + lines[2][at + 1 :]


def strip(lines: list[bytes]) -> None:
    """A line without a checksum is not its owner's."""
    lines[2] = lines[2].rpartition(b"\t")[0] + b"\n"


@pytest.mark.parametrize("damage", [zero, flip, strip])
def test_a_damaged_line_is_set_aside_and_the_rest_is_delivered(
    damage: Callable[[list[bytes]], None], store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run = leave_log(store, *losses(4), damage=damage)
    with caplog.at_level(logging.WARNING):
        assert store.reconcile() == [run]
    assert points(store, run, "loss") == [(0, 0.0), (2, 2.0), (3, 3.0)]
    assert caplog.text.count("Damaged lines") == 1 and ": 1; the others" in caplog.text
    assert len((store.root / "damaged.jsonl").read_bytes().splitlines()) == 1
    assert not store.log_path(KEY).exists() and store.reconcile() == []


def test_a_log_with_a_damaged_header_is_set_aside_whole(store: Store) -> None:
    def damage(lines: list[bytes]) -> None:
        lines[0] = b"\0" * 20 + b"\n"

    leave_log(store, *losses(2), damage=damage)
    store.reconcile()
    assert len((store.root / "damaged.jsonl").read_bytes().splitlines()) == 3
    assert {row.status for row in store.rows()} == {"KILLED"}


def test_damaged_lines_stay_in_the_log_while_they_cannot_be_set_aside(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    leave_log(store, *losses(2), damage=lambda lines: lines.insert(2, b"\0\n"))
    (store.root / "damaged.jsonl").mkdir()
    store.reconcile()
    assert "takes no lines (Is a directory)" in caplog.text and store.log_path(KEY).exists()
    (store.root / "damaged.jsonl").rmdir()
    store.reconcile()
    assert (store.root / "damaged.jsonl").read_bytes() == b"\0\n"
    assert not store.log_path(KEY).exists()


def make_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("make", [Path.mkdir, make_link])
def test_what_is_no_file_is_no_log(
    make: Callable[[Path], None], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    log = store.log_path(KEY)
    log.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = log.with_name("elsewhere")
    elsewhere.write_text("not ours")
    make(log)
    assert main(["runs", f"root={store.root}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"upgate: {log}: ") and said.count("\n") == 1
    assert elsewhere.read_text() == "not ours"


def test_a_line_takes_no_file_from_outside_the_store(store: Store, tmp_path: Path) -> None:
    secret, inside = tmp_path / "secret.txt", store.root / "inside.txt"
    secret.write_text("secret")
    inside.write_text("inside")
    link = store.root / "link.txt"
    link.symlink_to(secret)
    ops = [{"op": "artifact", "path": str(path), "folder": ""} for path in (secret, link, inside)]
    run = leave_log(store, *ops, {"op": "evil"})
    store.reconcile()
    assert [one.path for one in store.client.list_artifacts(run)] == ["inside.txt"]
    assert len((store.root / "refused.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("reader", ["sql", "mlflow", "judge"])
def test_an_artifact_too_large_is_not_fetched(
    reader: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of holes: 2 GiB that take no room."""
    with store.run("stock", "one", KEY, {}, {}, None, False) as run:
        pass
    place = Path(store.client.get_run(run.id).info.artifact_uri)
    place.mkdir(parents=True)
    (place / "folder.ckpt").mkdir()
    for name, size in (("best.ckpt", 2 << 30), ("small.ckpt", 5)):
        with (place / name).open("wb") as file:
            file.truncate(size)
    if reader == "mlflow":
        monkeypatch.setattr(store, "_tracking", MlflowTracking(store.client))

    def fetch(name: str) -> int:
        if reader == "judge":
            with Artifacts(str(place), store.uri).local(name) as path:
                return path.stat().st_size
        return store.artifact(run.id, name, tmp_path / "out").stat().st_size

    assert fetch("small.ckpt") == 5
    with pytest.raises(UserError, match=r"best.ckpt .* has 2,147,483,648 bytes, and no more than"):
        fetch("best.ckpt")
    assert not (tmp_path / "out" / "best.ckpt").exists()
    if reader != "judge":
        with pytest.raises(UserError, match=r"kept no folder\.ckpt"):
            fetch("folder.ckpt")


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b"{", b"\xff", b'{"a":1}\t00000000', b"[" * 99_999]
)
def test_a_line_that_is_none_is_none(text: bytes) -> None:
    assert decode_line(text) is None


def test_lines_come_back_as_they_were_written() -> None:
    op = {"op": "text", "text": "tab\there, \u4e2d\u6587, \u2028", "name": "a"}
    assert decode_line(encode_line(op)[:-1], has_sum=True) == op
    assert decode_line(b'{"op":"old"}') == {"op": "old"}  # of a version without checksums


@pytest.mark.parametrize(
    "tags",
    [
        {"upgate.key": "../../../../tmp/evil"},
        {"upgate.key": "/etc/passwd"},
        {"upgate.key": "b" * 64, "upgate.study": "../evil"},
        {"upgate.key": "b" * 64, "upgate.tune": "/abs"},
        {"upgate.key": "b" * 64, "upgate.experiment": ".."},
        {"upgate.changes": "", "upgate.key": "b" * 64},
        {"upgate.changes": "[1]", "upgate.key": "b" * 64},
        {"upgate.seed": "many", "upgate.key": "b" * 64},
        {"upgate.pid": "-1", "upgate.key": "b" * 64},
    ],
)
def test_a_run_whose_tags_are_not_upgates_is_left_out(
    tags: dict[str, str],
    store: Store,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with store.run("stock", "ours", KEY, {}, {"upgate.role": "run"}, None, False):
        pass
    kind = {"upgate.kind": "parent", "upgate.level": next(iter(tags)).partition(".")[2]}
    role = {"upgate.task": "stock", "upgate.role": "run"}
    for more in ({"upgate.kind": "run"}, kind):
        made = store.client.create_run(store.experiment("stock"), tags={**role, **more, **tags})
        store.client.set_terminated(made.info.run_id)
    with caplog.at_level(logging.WARNING):
        assert [row.name for row in store.rows()] == ["ours"]
    assert "left out: 2 run(s)" in caplog.text and "not Upgate's" in caplog.text
    assert main(["runs", f"root={store.root}"]) == 0 and "ours" in capsys.readouterr().out
    for words in (["predict", "run=latest"], ["report", "study=latest"], ["report", "tune=latest"]):
        assert main([*words, f"root={store.root}"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in store.root.parent.iterdir()] == ["runs"]

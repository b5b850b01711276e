"""A store that is moved or copied after a kill: nothing is lost, nothing written elsewhere."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from helpers.store import fresh, key, points
from upgate.store.run import Run
from upgate.store.store import Store


def leave(run: Run) -> None:
    """End the process of a run without its end, as far as the store can see."""
    run._stop.set()
    run._thread.join()
    run._log.release()


def files(root: Path) -> dict[str, bytes]:
    """The content of a store's files below its folder, without the locks."""
    found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


@pytest.mark.parametrize("way", [shutil.move, shutil.copytree])
def test_what_was_not_delivered_is_delivered_where_the_store_is_now(
    way: Callable[[Path, Path], object], tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "elsewhere" / "new"
    store = fresh(old)
    with store.run("stock", "done", key("done"), {}, {}, None, True) as run:
        run.text("kept before", "before.txt")
    run = store.run("stock", "one", key("one"), {"lr": 0.1}, {}, None, True)
    leave(run)
    folder = old / "one"
    folder.mkdir()
    (folder / "best.ckpt").write_bytes(b"weights")
    again = store.run("stock", "one", key("one"), {"lr": 0.1}, {}, None, True)
    again._stop.set()
    again._thread.join()
    again.log({"loss": 0.5}, 1)
    again.artifact(folder / "best.ckpt")
    again._log.release()
    new.parent.mkdir()
    before = files(old)
    way(old, new)
    moved = Store(new)
    moved.prepare()
    row = next(row for row in moved.rows() if row.name == "one")
    assert row.status == "KILLED" and points(moved, row.run_id, "loss") == [(1, 0.5)]
    assert (moved.artifact(row.run_id, "best.ckpt", tmp_path)).read_bytes() == b"weights"
    done = next(row for row in moved.rows() if row.name == "done")
    assert moved.artifact(done.run_id, "before.txt", tmp_path).read_text() == "kept before"
    with moved.run("stock", "two", key("two"), {}, {}, None, True) as run:
        run.text("kept after", "after.txt")
    assert list(new.glob(f"artifacts/{run.id}/artifacts/after.txt"))
    assert not list(moved.open.iterdir())
    assert files(old) == before if way is shutil.copytree else not old.exists()


def test_files_that_are_kept_apart_from_the_database_on_purpose_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "a" / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    with Store(tmp_path / "b").run("stock", "one", key("one"), {}, {}, None, True) as run:
        run.text("kept", "note.txt")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    Store(tmp_path / "a").rows()
    with closing(sqlite3.connect(database)) as connection:
        (place,) = connection.execute("select artifact_uri from runs").fetchone()
    assert place == str(tmp_path / "b" / "artifacts" / run.id / "artifacts")

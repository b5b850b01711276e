"""A store that is removed while a command uses it: one sentence at once, nothing half-written."""

import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.run import train
from upgate.errors import UserError
from upgate.execution import run_job
from upgate.execution.driver import Driver
from upgate.run.callbacks import BestCheckpoint, EpochMetrics
from upgate.store.connect import Removed
from upgate.store.store import Store
from upgate.store.write_ahead_log import Header, WriteAheadLog

PLACES = {
    "within an epoch": (EpochMetrics, "on_train_epoch_start"),
    "before a checkpoint": (EpochMetrics, "on_train_epoch_end"),
    "before the files of a run": (run_job, "record"),
    "between two runs": (Driver, "collect"),
}


def remove_in(owner: Any, name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Remove a folder at the first call of a function; when that was."""
    original: Callable[..., Any] = getattr(owner, name)
    removed = list[float]()

    def watched(*arguments: Any, **more: Any) -> Any:
        if not removed:
            shutil.rmtree(root)
            removed.append(time.monotonic())
        return original(*arguments, **more)

    monkeypatch.setattr(owner, name, watched)
    return removed


@pytest.mark.parametrize("place", PLACES)
def test_a_store_that_is_removed_ends_the_command(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "runs"
    removed = remove_in(*PLACES[place], root, monkeypatch)
    with pytest.raises(Removed, match=f"^the store {root} was removed while"):
        train(root, "twin=false", "data.start=2017", "trainer.max_epochs=2", "seed=0,1", sweep=True)
    assert time.monotonic() - removed[0] < 10 and not root.exists()
    monkeypatch.undo()
    assert train(root, "twin=false", "data.start=2017", "trainer.max_epochs=1")[0] == 0


@pytest.mark.long
def test_a_worker_does_not_make_a_removed_store_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "runs"
    removed = remove_in(Driver, "collect", root, monkeypatch)
    words = ["twin=false", "data.start=2017", "executor=local", "executor.workers=1", "seed=0,1"]
    with pytest.raises(Removed):
        train(root, *words, sweep=True)
    assert time.monotonic() - removed[0] < 10 and not root.exists()


def test_a_file_of_runs_is_as_much_the_store_as_its_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Removed):
        store.require()  # a worker opens what its command has made
    store.prepare()
    store.require()
    (tmp_path / "mlflow.db").unlink()
    with pytest.raises(Removed):
        store.rows()


def test_a_file_that_cannot_be_written_into_a_removed_store_is_no_traceback(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.prepare()
    with pytest.raises(FileNotFoundError), store.in_use():
        (tmp_path / "elsewhere" / "x.png").write_text("")
    with pytest.raises(Removed), store.in_use():
        shutil.rmtree(store.root)
        (store.root / "x.png").write_text("")


def test_a_disk_that_fills_up_between_two_runs_ends_the_command_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, begin, begun = tmp_path / "runs", WriteAheadLog.begin, list[WriteAheadLog]()

    def fill(log: WriteAheadLog, header: Header) -> None:
        begun.append(log)
        if len(begun) == 3:  # after the command's own log and the first run's
            raise OSError(errno.ENOSPC, "No space left on device")
        begin(log, header)

    words = ["twin=false", "data.start=2017", "trainer.max_epochs=1", "seed=0,1"]
    with monkeypatch.context() as patch:
        patch.setattr(WriteAheadLog, "begin", fill)
        with pytest.raises(UserError, match=f"root={root} holds no more: No space left .* goes on"):
            train(root, *words, sweep=True)
    assert train(root, *words, sweep=True)[0] == 0
    rows = Store(root).rows()
    assert [row.status for row in rows] == ["FINISHED"] * 3


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_quota_or_a_disk_that_became_read_only_is_a_sentence(number: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no more"), Store(tmp_path).in_use():
        raise OSError(number, "of a file")
    with pytest.raises(PermissionError), Store(tmp_path).in_use():
        raise PermissionError(errno.EACCES, "of a file")


def test_a_kill_between_the_last_epoch_and_its_weights_is_no_divergence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, words = tmp_path / "runs", ["recipe=traditional", "data.start=2017"]

    def die(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(BestCheckpoint, "on_train_end", die)
        assert train(root, *words, "trainer.max_epochs=1")[0] == 1
    assert list(root.glob("*/last.ckpt")) and not list(root.glob("*/best.ckpt"))
    code, said = train(root, *words, "trainer.max_epochs=1")
    assert code == 0 and "diverged" not in said
    assert not any(row.diverged for row in Store(root).rows())

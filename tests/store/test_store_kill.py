"""Kill the trainer, and MLflow tells the truth: by the watchdog within seconds, by the next command
at the latest.
"""

import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from upgate.store.store import Store

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

TRAINER = """
import os, sys, time
from pathlib import Path
from upgate.store.store import Store
from upgate.store.watchdog import watchdog
store = Store(Path(sys.argv[1]))
with store.run("stock", "one", "a" * 64, {}, {}, None, True) as run:
    for step in range(1000):
        run.log({"loss": float(step)}, step)
    if not (child := os.fork()):  # such as a DataLoader worker that outlives its parent
        os.close(1)
        time.sleep(30)
        os._exit(0)
    print(watchdog._process.pid, child, flush=True)
    time.sleep(30)
"""


class Trainer:
    """A process with a run in progress, its watchdog and a forked child."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINER, str(root)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.watchdog, self.child = map(int, self.process.stdout.readline().split())

    def status(self) -> str:
        return str(self.ask("select status from runs")[0])

    def points(self) -> list[int]:
        return self.ask("select step from metrics order by step")

    def ask(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.root / "mlflow.db", timeout=20)) as connection:
            return [value for (value,) in connection.execute(query)]

    def assert_output_ends(self) -> None:
        """Nobody left behind holds the output open: `... | cat` ends."""
        assert self.process.stdout is not None
        assert (
            select.select([self.process.stdout], [], [], 5)[0] and self.process.stdout.read() == ""
        )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    Store(root).prepare()
    return root


@pytest.fixture
def trainer(template: Path, tmp_path: Path) -> Iterator[Trainer]:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    trainer = Trainer(tmp_path)
    yield trainer
    for pid in (trainer.process.pid, trainer.child):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    trainer.process.wait()
    trainer.process.stdout.close()  # type: ignore[union-attr]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def within(seconds: float, condition: object) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_the_watchdog_tells_of_a_kill(trainer: Trainer) -> None:
    assert trainer.status() == "RUNNING"
    os.kill(trainer.watchdog, signal.SIGTERM)  # what a batch system sends to everybody first
    os.kill(trainer.process.pid, signal.SIGKILL)
    assert within(15, lambda: trainer.status() == "KILLED")
    assert trainer.points() == list(range(1000))
    trainer.assert_output_ends()
    assert within(30, lambda: not alive(trainer.watchdog)) and alive(trainer.child)
    assert not list(Store(trainer.root).open.iterdir())


def test_without_a_watchdog_the_next_command_tells(trainer: Trainer) -> None:
    os.kill(trainer.watchdog, signal.SIGKILL)
    assert Store(trainer.root).reconcile() == []  # it lives
    assert trainer.status() == "RUNNING"
    os.kill(trainer.process.pid, signal.SIGKILL)
    trainer.process.wait()
    killed = time.time()
    time.sleep(1)
    store = Store(trainer.root)
    (run_id,) = store.reconcile()
    (row,) = store.rows()
    assert (row.run_id, row.status) == (run_id, "KILLED") and trainer.points() == list(range(1000))
    assert (
        row.start.timestamp() + row.seconds <= killed
    )  # its last sign of life, not the time of the burial
    assert store.reconcile() == []
    with store.run("stock", "one", "a" * 64, {}, {}, None, True) as again:
        assert again.id == run_id and trainer.status() == "RUNNING"


def test_ctrl_c_reaches_the_trainer_and_not_the_watchdog(trainer: Trainer) -> None:
    os.killpg(trainer.process.pid, signal.SIGINT)
    assert trainer.process.wait(15) != 0
    assert trainer.status() == "KILLED" and trainer.points() == list(range(1000))
    trainer.assert_output_ends()
    assert within(
        2, lambda: not alive(trainer.watchdog)
    )  # it had nothing to do, and imported nothing

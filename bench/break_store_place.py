"""Where one sweep is broken: its folder, its processes, and what its store holds afterwards."""

import atexit
import json
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

SWEEP = [
    *("train", "-m", "clip=none,norm", "task=stock", "data.start=2016", "task.window=10"),
    *("model.hidden_size=4", "model.num_layers=1", "trainer.max_epochs=4"),
    *("trainer.accelerator=cpu", "threads=1"),
]
LONGEST = 600  # seconds of one command on a busy machine
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # what tests share
Histories = dict[str, dict[str, list[tuple[int, float | None]]]]


def preload() -> None:
    """Import once what each command would."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    import upgate.execution.worker
    from upgate.tasks.names import module_of

    __import__(module_of("stock"))
    assert upgate.execution.worker


class Command:
    """`upgate ...` in a forked process with a session of its own; its output is in a file."""

    def __init__(
        self, words: list[str], folder: Path, before: Callable[[], None] | None, env: dict[str, str]
    ) -> None:
        self.output = folder / f"output-{time.monotonic_ns()}.txt"
        self.code: int | None = None
        self.pid = os.fork()
        if not self.pid:
            self._run(words, folder, before, env)

    def _run(
        self,
        words: list[str],
        folder: Path,
        before: Callable[[], None] | None,
        env: dict[str, str],
    ) -> None:
        """Never returns."""
        code = 70
        try:
            os.setsid()
            fd = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(fd, 1)
            os.dup2(fd, 2)
            os.chdir(folder)
            os.environ.update(env)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if before:
                before()
            from upgate.cli.entry import main

            sys.argv = ["upgate", *words]
            code = main()
            sys.stdout.flush()
            atexit._run_exitfuncs()
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, seconds: float) -> int | None:
        until = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        return self.code

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; whether the command was still going on."""
        lives = self.poll() is None
        if lives:
            os.kill(self.pid, number)
        return lives


class Undisturbed:
    """The sweep without disturbance: its histories and how long it takes."""

    def __init__(self, folder: Path) -> None:
        self.words: list[str] = SWEEP
        folder.mkdir(parents=True, exist_ok=True)
        record = folder / "seconds.json"
        self.root = folder / "runs"
        if not record.exists():
            began = time.monotonic()
            command = Command([*SWEEP, *places(folder, folder)], folder, None, {})
            assert command.wait(LONGEST) == 0, command.output.read_text()
            record.write_text(json.dumps(time.monotonic() - began))
        self.seconds: float = json.loads(record.read_text())
        self.cache = folder
        self.histories = histories(self.root / "mlflow.db")


def places(folder: Path, cache: Path) -> list[str]:
    return [f"root={folder / 'runs'}", f"cache={cache / 'prepared'}"]


class Place:
    """One try's folder. `root`: its store, wherever it was moved."""

    def __init__(self, folder: Path, undisturbed: Undisturbed) -> None:
        folder.mkdir(parents=True)
        self.folder, self.undisturbed = folder, undisturbed
        self.root, self.database = folder / "runs", folder / "runs" / "mlflow.db"
        self.env: dict[str, str] = {}
        self.closers: list[Callable[[], Any]] = []
        self.disturbed = 0
        self.spare = 0  # points that a damaged line held
        self.own: list[Command] = []
        self.left: list[Path] = []  # where the store was before it was moved
        self.more: list[str] = []

    def start(self, *more: str, before: Callable[[], None] | None = None) -> Command:
        words = [*SWEEP, f"root={self.root}", f"cache={self.undisturbed.cache / 'prepared'}"]
        return self.command([*words, *self.more, *more], before)

    def command(self, words: list[str], before: Callable[[], None] | None = None) -> Command:
        command = Command(words, self.folder, before, self.env)
        self.own.append(command)
        return command

    def moment(self, chance: Random) -> float:
        """Seconds after the start at which something happens."""
        return chance.uniform(0, self.undisturbed.seconds)

    def finish(self) -> None:
        """Give the sweep again, undisturbed, until it is done: once is enough."""
        command = self.start()
        code = command.wait(LONGEST)
        if code != 0:
            command.signal(signal.SIGKILL)
            said = command.output.read_text()[-600:]
            raise Stopped(f"given again it ended with {code}: {said}")

    def tracebacks(self) -> int:
        outputs = [one.output for one in self.own if one.output.exists()]
        return sum(path.read_text().count("Traceback (most") for path in outputs)

    def close(self) -> None:
        for command in self.own:
            if command.poll() is None:
                os.kill(command.pid, signal.SIGKILL)
                command.wait(10)
        for closer in reversed(self.closers):
            closer()


class Stopped(Exception):
    """A sweep that does not go on."""


def compare(place: Place) -> dict[str, int]:
    """What the store lacks, has twice and never ended, against the undisturbed one."""
    until = time.monotonic() + 60
    while (running := statuses(place.database)["RUNNING"]) and time.monotonic() < until:
        time.sleep(0.5)  # a watchdog may still be at work
    found, wanted = histories(place.database), place.undisturbed.histories
    lost = doubled = 0
    for run in wanted.keys() | found.keys():
        ours, theirs = points(found.get(run, {})), points(wanted.get(run, {}))
        lost += (theirs - ours).total()
        doubled += (ours - theirs).total()
    runs = sum(statuses(place.database).values()) - len(wanted)
    logs = len(list(place.root.glob("open/*/*.jsonl")))
    again = sum(path.exists() for path in place.left)  # a store that was moved away
    return {
        "lost": max(0, lost - place.spare),
        "doubled": doubled + max(0, runs) + again,
        "stuck": running + logs,
    }


def points(history: dict[str, list[tuple[int, float | None]]]) -> Counter:
    return Counter((name, *point) for name, all_of in history.items() for point in all_of)


def statuses(database: Path) -> Counter:
    with closing(sqlite3.connect(database)) as connection:
        return Counter(status for (status,) in connection.execute("select status from runs"))


def histories(database: Path) -> Histories:
    """Run -> metric -> its points in order, all that MLflow has; of clocks the steps alone."""
    query = """select runs.name, key, step, case when is_nan then null else value end
 from metrics join runs using (run_uuid) order by step, timestamp"""
    found: Histories = {}
    with closing(sqlite3.connect(database)) as connection:
        for run, name, step, value in connection.execute(query):
            point = (step, None if "second" in name or "memory" in name else value)
            found.setdefault(run, {}).setdefault(name, []).append(point)
    return found

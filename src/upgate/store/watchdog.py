"""A watchdog per training process: when that is killed, it tells MLflow, seconds later, which no one else could.

It learns through a pipe which runs are open. When it is an orphan and some of them are left, it has them delivered and
set KILLED. It imports nothing heavy before that, lives in a session of its own (Ctrl-C and group kills do not reach it),
holds no terminal, and never outlives its trainer by more than `LIMIT` seconds.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DEAF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL = 0.5  # seconds between looks at whether the trainer lives
LIMIT = 120  # seconds for telling MLflow; afterwards the next command does it


class Watchdog:
    """The trainer's end of the pipe. Losing the watchdog is no error: `Store.reconcile` of the next command does its work."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._open: set[Path] = set()

    def opened(self, journal: Path, root: Path, uri: str) -> None:
        self._open.add(journal)
        self._tell({"open": str(journal), "root": str(root), "uri": uri})

    def closed(self, journal: Path) -> None:
        self._open.discard(journal)
        self._tell({"closed": str(journal)})

    def _tell(self, message: dict[str, str]) -> None:
        with suppress(OSError):  # it could not be started, or somebody killed it
            if self._process is None:
                self._process = start()
                atexit.register(self.stop)
            assert self._process.stdin is not None
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")

    def stop(self) -> None:
        """Let it go, at the end of the process; with a run still open it stays, and waits for the end."""
        if self._process is not None and not self._open:
            self._tell({"bye": ""})
            with suppress(subprocess.TimeoutExpired):
                self._let_go().wait(timeout=2)

    def forget_in_child(self) -> None:
        """A forked child is not watched by its parent's watchdog, and must not keep the pipe open."""
        self._open.clear()
        if self._process is not None:
            self._let_go().returncode = 0  # not the child's to wait for

    def _let_go(self) -> "subprocess.Popen[bytes]":
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None
        process.stdin.close()
        return process


def start() -> "subprocess.Popen[bytes]":
    """Born deaf: it inherits the blocked signals, so that there is no moment in which one kills it."""
    command = [sys.executable, "-P", "-m", "upgate.store.watchdog", str(os.getpid())]
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF)
    try:
        return subprocess.Popen(
            command, stdin=pipe, stdout=null, stderr=null, bufsize=0, start_new_session=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main(trainer: int) -> None:
    stores: dict[str, tuple[str, str]] = {}
    for message in messages(trainer):
        if "bye" in message:
            return
        if "open" in message:
            stores[message["open"]] = (message["root"], message["uri"])
        else:
            stores.pop(message["closed"], None)
    mark_dead({store for journal, store in stores.items() if Path(journal).exists()})


def messages(trainer: int) -> Iterator[dict[str, str]]:
    """What the trainer says, as long as it lives. The pipe's end says nothing: a forked child may hold it open."""
    text, pipe, lives = b"", [sys.stdin.fileno()], True
    while lives:
        lives = (
            os.getppid() == trainer
        )  # looked at before the pipe, so that its last words are read
        if select.select(pipe, [], [], POLL if lives else 0)[0]:
            text += (block := os.read(pipe[0], 1 << 16))
            *lines, text = text.split(b"\n")
            yield from map(json.loads, lines)
            if not block:
                pipe = []  # its end: only the trainer's is left to wait for, and select sleeps


def mark_dead(stores: set[tuple[str, str]]) -> None:
    if not stores:
        return
    signal.alarm(LIMIT)
    from upgate.store.store import Store

    for root, uri in stores:
        Store(Path(root), uri).reconcile()


watchdog = Watchdog()
os.register_at_fork(after_in_child=watchdog.forget_in_child)

if __name__ == "__main__":
    main(int(sys.argv[1]))

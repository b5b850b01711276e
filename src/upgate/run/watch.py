"""A watchdog per training process: when that is killed, it tells MLflow, seconds later, which no one else could.

It holds a pipe's reading end and learns from it which runs are open. When the pipe ends and the trainer is gone, it
buries what the trainer left. It imports nothing heavy before that, lives in a session of its own (Ctrl-C and group kills
do not reach it), holds no terminal, and never outlives its trainer by more than `LIMIT` seconds.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

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
            self._let_go().wait()

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
    command = [sys.executable, "-P", "-m", "upgate.run.watch", str(os.getpid())]
    null = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=null, stderr=null, bufsize=0, start_new_session=True)


def main(trainer: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stores: dict[str, tuple[str, str]] = {}
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "open" in message:
            stores[message["open"]] = (message["root"], message["uri"])
        else:
            stores.pop(message["closed"], None)
    while stores and os.getppid() == trainer:  # the pipe may end before its owner does; a living run is never touched
        time.sleep(0.05)
    left = {store for journal, store in stores.items() if Path(journal).exists()}
    if left:
        bury(left)


def bury(stores: set[tuple[str, str]]) -> None:
    signal.alarm(LIMIT)
    from upgate.run.store import Store

    for root, uri in stores:
        Store(Path(root), uri).reconcile()


watchdog = Watchdog()
os.register_at_fork(after_in_child=watchdog.forget_in_child)

if __name__ == "__main__":
    main(int(sys.argv[1]))

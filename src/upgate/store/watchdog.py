"""A watchdog per training process: when that is killed, it marks the process's runs in MLflow.

The watchdog is a process of its own, `upgate.store.reaper`, and learns through a pipe which runs
are open.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

BLOCKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Watchdog:
    """The trainer's end of the pipe.

    Losing the watchdog is no error: `Store.reconcile` of the next command does its work.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._open: set[Path] = set()

    def opened(self, log: Path, root: Path, uri: str) -> None:
        self._open.add(log)
        self._send({"open": str(log), "root": str(root), "uri": uri})

    def closed(self, log: Path) -> None:
        self._open.discard(log)
        self._send({"closed": str(log)})

    def _send(self, message: dict[str, str]) -> None:
        with suppress(OSError):  # it could not be started, or somebody killed it
            if self._process is None:
                self._process = start()
                atexit.register(self.stop)
            assert self._process.stdin is not None
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")

    def stop(self) -> None:
        """End the watchdog at the end of the process; while a run is open it stays and waits."""
        if self._process is not None and not self._open:
            self._send({"bye": ""})
            with suppress(subprocess.TimeoutExpired):
                self._detach().wait(timeout=2)

    def forget_in_child(self) -> None:
        """The parent's watchdog does not watch a forked child, which must not keep the pipe."""
        self._open.clear()
        if self._process is not None:
            self._detach().returncode = 0  # the child must not wait for it

    def _detach(self) -> "subprocess.Popen[bytes]":
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None
        process.stdin.close()
        return process


def start() -> "subprocess.Popen[bytes]":
    """Start the reaper with SIGINT, SIGTERM and SIGHUP blocked.

    It inherits the mask, so no signal arrives before it is ready to ignore one.
    """
    command = [sys.executable, "-P", "-m", "upgate.store.reaper", str(os.getpid())]
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        return subprocess.Popen(
            command, stdin=pipe, stdout=null, stderr=null, bufsize=0, start_new_session=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


watchdog = Watchdog()
os.register_at_fork(after_in_child=watchdog.forget_in_child)

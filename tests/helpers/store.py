"""Stores for tests, and what MLflow holds of a run."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from functools import lru_cache
from pathlib import Path

from upgate.store.store import Store


def key(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


@lru_cache
def _template() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    Store(Path(folder.name)).prepare()
    return folder


def fresh(root: Path) -> Store:
    """An empty store in this folder; making one takes a second, copying it nothing."""
    shutil.copytree(_template().name, root, dirs_exist_ok=True)
    return Store(root)


def points(store: Store, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in store.client.get_metric_history(run_id, name)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """What `make ui` starts."""

    def __init__(self, command: list[str], uri: str) -> None:
        self.command, self.uri = command, uri
        self.start()

    def start(self) -> None:
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.command, stdout=null, stderr=null, start_new_session=True
        )
        until = time.monotonic() + 180  # a busy machine
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except OSError:  # urllib's errors and an answer that is too late are OSErrors
                time.sleep(0.1)
        self.kill()
        raise TimeoutError(self.uri)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

"""Stores for tests, and what MLflow holds of a run."""

import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

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


def server_process(store: Store, port: int) -> list[str]:
    """The process that serves, without the one of `make ui` that starts it, which takes as long."""
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": store.uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(store.root / "artifacts"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    serve = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--port", str(port)]
    return ["env", *(f"{name}={value}" for name, value in settings.items()), *serve]


class Server:
    """An MLflow server that can be killed and started again."""

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


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, and loses two of five answers, or holds them for seconds.

    A context: it serves until its end.
    """

    daemon_threads = True

    def __init__(self, target: str, hold: float = 0.0, seed: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _PassOn)
        self.target, self.hold, self.chance = target, hold, random.Random(seed)
        self.uri = f"http://127.0.0.1:{self.server_port}"
        self.share, self.lost = 0.4, 0

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def loses(self) -> bool:
        """Whether an answer is lost; after it was held back."""
        lost = self.chance.random() < self.share
        self.lost += lost
        time.sleep(self.hold * lost)
        return lost


class _PassOn(BaseHTTPRequestHandler):
    server: Proxy

    def pass_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {name: self.headers[name] for name in ("Content-Type",) if name in self.headers}
        body = self.rfile.read(length) if length else None
        request = urllib.request.Request(self.server.target + self.path, body, headers)
        request.method = self.command
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                code, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            code, said = error.code, error.read()
        if self.server.loses():
            self.close_connection = True
            return
        self.send_response(code)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_PATCH = pass_on

    def log_message(self, *_: Any) -> None:
        pass

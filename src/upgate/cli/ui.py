"""`upgate ui`: MLflow's pages on the store, with an address for each task."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from upgate.cli.texts import say
from upgate.errors import UserError
from upgate.messages import shown
from upgate.store.open import open_store
from upgate.store.store import Store
from upgate.tasks.names import find_facts

# the params that MLflow's table shows; it leaves out those that no run has
COLUMNS = ("task.target", "optimizer", "optimizer.lr", "seed", "trainer.max_epochs")
STDERR = 2  # file descriptor: what MLflow says is not this command's answer
START = 90.0  # seconds that MLflow may take until it listens


def ui_command(options: Mapping[str, str]) -> int:
    """Serve MLflow's pages until Ctrl-C or SIGTERM; say where once they can be opened.

    Raises UserError for a port that is taken.
    """
    port = options.get("port", "5000")
    if not port.isdigit():
        raise UserError(say("port_number", port=port))
    store = open_store(options.get("root"))
    store.reconcile()
    command, pages = store.ui_command(int(port)), list(task_pages(store, int(port)))
    print(shown(say("mlflow_starts")), file=sys.stderr, flush=True)
    with serving(command) as server:
        if not wait_until_open(server, int(port)):
            raise UserError(say("mlflow_did_not_start", command=" ".join(command[-8:])))
        for title, address in pages:
            print(f"{title}: {address}")
        print(shown(say("ends_it")), flush=True)
        return server.wait()


def task_pages(store: Store, port: int) -> Iterator[tuple[str, str]]:
    """All experiments, then each task's trainings with the best against its twin first."""
    yield "MLflow UI", store.ui_url(port=port)
    for name in store.tasks():
        if facts := find_facts(name):
            metric = facts.metric
            better = metric.higher_is_better
            yield name, store.runs_url(name, metric.key, better, COLUMNS, port)


@contextmanager
def serving(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The server in a group of its own, so that its children end with it, whatever ends this."""
    ended = signal.signal(signal.SIGTERM, _interrupt)
    server = subprocess.Popen(command, stdout=STDERR, process_group=0)
    try:
        yield server
    finally:
        signal.signal(signal.SIGTERM, ended)
        try:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def wait_until_open(server: subprocess.Popen[bytes], port: int) -> bool:
    """Whether something listens on the port before the server ends or time runs out."""
    until = time.monotonic() + START
    while server.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False

"""What a search on a cluster needs, all of it on this machine: PostgreSQL, MLflow's server on it,
two nodes of Ray.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.execution import wait_for  # noqa: E402
from helpers.postgres import PASSWORD, Postgres, postgres  # noqa: E402
from helpers.store import free_port  # noqa: E402
from upgate.execution.driver import sigterm_as_ctrl_c  # noqa: E402
from upgate.execution.ray import import_ray  # noqa: E402

PATIENCE = 300.0  # seconds for a server's start
PR_SET_CHILD_SUBREAPER = 36  # of Linux


@dataclass(frozen=True)
class Place:
    """Where everything of a search is. nodes: process of each node's raylet, whose children its
    workers are.
    """

    server: Postgres
    mlflow: str
    optuna: str
    ray: str
    nodes: tuple[int, ...]
    root: Path


@contextmanager
def places(folder: Path) -> Iterator[Place]:
    """PostgreSQL, MLflow's server and two nodes, all up; afterwards, and on SIGTERM, no process of
    theirs is left.
    """
    ctypes.CDLL(None).prctl(
        PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0
    )  # who loses its parent becomes ours, and is ended with the rest
    with sigterm_as_ctrl_c(), ExitStack() as stack:
        stack.callback(end_all)
        server = stack.enter_context(postgres())
        os.environ["MLFLOW_TRACKING_URI"] = mlflow = mlflow_server(server, folder / "artifacts")
        os.environ.setdefault(
            "RAY_worker_niceness", "0"
        )  # Ray would add 15, and on a busy machine its workers would hardly begin
        import_ray(None)
        from ray.cluster_utils import Cluster

        with tempfile.TemporaryDirectory(
            prefix="upgate-ray-", ignore_cleanup_errors=True
        ) as session:
            two = Cluster(
                initialize_head=True,
                head_node_args={"num_cpus": 1, "include_dashboard": False, "temp_dir": session},
            )
            try:
                nodes = (two.head_node, two.add_node(num_cpus=1))
                two.wait_for_nodes()
                signal.signal(
                    signal.SIGTERM, signal.default_int_handler
                )  # Ray has taken it for itself
                wait_for(
                    lambda: answers(f"{mlflow}/health"), PATIENCE, "the start of MLflow's server"
                )
                raylets = tuple(int(node.all_processes["raylet"][0].process.pid) for node in nodes)
                yield Place(
                    server, mlflow, server.make("optuna"), two.address, raylets, folder / "runs"
                )
            finally:
                two.shutdown()


def mlflow_server(server: Postgres, artifacts: Path) -> str:
    """Start MLflow's server with the environment and the command that compose.yaml gives it, on
    another port; its address.
    """
    service, port = (
        yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["mlflow"],
        free_port(),
    )
    server.make("mlflow")
    told = service["environment"] | {
        "PGPASSWORD": PASSWORD,
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost:*,127.0.0.1:*",
    }
    told["MLFLOW_BACKEND_STORE_URI"] = told["MLFLOW_BACKEND_STORE_URI"].replace(
        "postgres:5432", f"127.0.0.1:{server.port}"
    )
    own = {"--host=": "127.0.0.1", "--port=": str(port), "--artifacts-destination=": str(artifacts)}
    words = [
        next((name + value for name, value in own.items() if word.startswith(name)), word)
        for word in service["command"][1:]
    ]
    null = subprocess.DEVNULL
    subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words],
        env={**os.environ, **told},
        stdout=null,
        stderr=null,
    )
    return f"http://127.0.0.1:{port}"


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def workers(nodes: Sequence[int]) -> Iterator[dict[int, int]]:
    """Process -> node, of every child that the nodes' raylets have meanwhile."""
    found: dict[int, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            found.update(
                {pid: nodes.index(parent) for pid, parent in parents().items() if parent in nodes}
            )

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def parents() -> dict[int, int]:
    """Process -> its parent, of all that live."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # gone meanwhile
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    return found


def end_all() -> None:
    """Kill what is left of ours, until nothing is."""
    while left := descendants():
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.05)


def descendants() -> list[int]:
    found, all_parents = [os.getpid()], parents()
    for pid in found:
        found += [child for child, parent in all_parents.items() if parent == pid]
    return found[1:]

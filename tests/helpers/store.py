"""Stores for tests, and what MLflow holds of a run."""

import hashlib
import shutil
import socket
import tempfile
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

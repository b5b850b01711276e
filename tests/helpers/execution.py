"""What goes on in a store's processes, seen from outside."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from upgate.store.write_ahead_log import read_owner


def owners(root: Path) -> dict[str, tuple[int, str]]:
    """Name -> process and folder of each training that goes on."""
    found = {}
    for path in root.glob("open/*/*.jsonl"):
        header, _ = read_owner(path)  # {} where it was just removed, or has not begun
        if header.get("name", "").startswith(("traditional", "upgraded")):
            found[header["name"]] = int(header["upgate.pid"]), path.stem[:16]
    return found


def echo(pipe: Connection, *_: object) -> None:
    """A worker that answers every request with its number."""
    while pipe.recv() is not None:
        pipe.send({"pid": os.getpid()})


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen in {seconds} s")


@contextmanager
def killer(root: Path, name: str, times: int) -> Iterator[list[int]]:
    """Kill -9 the process of a run after an epoch, so many times, each time a new process. Yields
    the pids of the killed.
    """
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while len(killed) < times and not over.wait(0.01):
            pid, folder = owners(root).get(name, (0, ""))
            last = root / folder / "last.ckpt"
            if (
                pid
                and pid not in (*killed, os.getpid())
                and last.exists()
                and last.stat().st_mtime > began
            ):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    began = time.time()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()

"""The watchdog's process: when its trainer is dead, it marks the runs that were left open KILLED.

It delivers what those runs had logged, too. It imports nothing heavy before that, has a session
of its own (Ctrl-C and group kills do not reach it), holds no terminal, and ends at most `LIMIT`
seconds after its trainer.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

POLL = 0.5  # seconds between checks of whether the trainer lives
LIMIT = 120  # seconds for MLflow; afterwards the next command delivers


def watch(trainer: int) -> None:
    stores: dict[str, tuple[str, str]] = {}
    for message in read_messages(trainer):
        if "bye" in message:
            return
        if "open" in message:
            stores[message["open"]] = (message["root"], message["uri"])
        else:
            stores.pop(message["closed"], None)
    reconcile({store for log, store in stores.items() if Path(log).exists()})


def read_messages(trainer: int) -> Iterator[dict[str, str]]:
    """What the trainer sends as long as it lives.

    The end of the pipe proves nothing: a forked child may hold it open.
    """
    text, pipe, lives = b"", [sys.stdin.fileno()], True
    while lives:
        # checked before the pipe is read, so that the trainer's last messages are read
        lives = os.getppid() == trainer
        if select.select(pipe, [], [], POLL if lives else 0)[0]:
            block = os.read(pipe[0], 1 << 16)
            *lines, text = (text + block).split(b"\n")
            yield from map(json.loads, lines)
            if not block:
                pipe = []  # closed: select only sleeps from here on


def reconcile(stores: set[tuple[str, str]]) -> None:
    if not stores:
        return
    signal.alarm(LIMIT)
    from upgate.store.store import Store

    for root, uri in stores:
        Store(Path(root), uri).reconcile()


if __name__ == "__main__":
    watch(int(sys.argv[1]))

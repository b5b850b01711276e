"""A run in progress. Whatever it is told goes to its journal at once and to MLflow from a thread, a few times a minute.

So logging costs microseconds, waits for nobody, and a kill loses nothing: the journal is delivered by whoever finds it.
"""

import math
import os
import re
import threading
import time
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from upgate.store.flusher import LogFlusher, log
from upgate.store.watchdog import watchdog
from upgate.store.write_ahead_log import Op, WriteAheadLog

PERIOD = 2.0  # seconds between deliveries, and signs of life
PAUSE = 15  # periods to let pass at most while the store is away
OVER = ("FINISHED", "FAILED", "KILLED")


class Run:
    """Handle of one MLflow run, from `Store.run` or `Store.parent`. As a context it finishes by how the block ends.

    In a forked child it is deaf: only the process that opened a run speaks for it.
    """

    def __init__(
        self,
        run_id: str,
        key: str,
        journal: WriteAheadLog,
        courier: LogFlusher,
        seen: dict[str, int],
    ) -> None:
        self.id, self.key = run_id, key
        self._journal, self._courier = journal, courier
        self._seen = {
            name: step for name, step in seen.items() if step > 0
        }  # last step of each curve before a resume
        self._pid, self._ended, self._over, self._warned = os.getpid(), False, False, False
        self._turn, self._stop = threading.Lock(), threading.Event()
        self._pump = threading.Thread(target=self._work, name=f"upgate-{run_id[:8]}", daemon=True)
        self._pump.start()

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        """Keep points of curves (or, at step 0, single numbers). Never raises, never waits.

        NaN stays NaN; infinities come back from `Row` as infinities (MLflow and its charts have 1.797e308). In a resumed
        run, points up to the last step of their curve are skipped: equal keys mean equal numbers, so they are there.
        """
        points = {clean(name): number(value) for name, value in metrics.items()}
        if self._seen:
            points = {
                name: value for name, value in points.items() if step > self._seen.get(name, -1)
            }
        if points:
            self._append({"op": "metrics", "t": now(), "s": int(step), "m": points})

    def tag(self, tags: dict[str, str]) -> None:
        self._append({"op": "tags", "tags": {name: str(value) for name, value in tags.items()}})

    def artifact(self, path: Path, folder: str = "") -> None:
        """Hand over a file or a folder, which must stay where it is until `finish`. Raises FileNotFoundError."""
        self._append({"op": "artifact", "path": str(path.resolve(strict=True)), "folder": folder})

    def text(self, text: str, name: str) -> None:
        """Keep a text as artifact `name`, such as `config.yaml` or `errors/traceback.txt`."""
        self._append({"op": "text", "text": text, "name": name})

    def dataset(
        self, name: str, digest: str, source: str, context: str, profile: dict[str, Any]
    ) -> None:
        """Say what the run saw; `context` is such as training or test. MLflow shows 36 characters of the digest."""
        said = {
            "name": name,
            "digest": digest,
            "source": source,
            "context": context,
            "profile": profile,
        }
        self._append({"op": "dataset", **said})

    def flush(self) -> bool:
        """Deliver now; False where the store does not answer. Waits no longer than MLflow's HTTP limits."""
        if self._pid != os.getpid():
            return True
        with self._turn:
            return self._over or self._courier.drain(self._journal)

    def finish(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED; the only place where a status is set. The first call counts."""
        if status not in OVER:
            raise ValueError(f"a run ends as one of {OVER}, not {status!r}")
        if self._over or self._pid != os.getpid():
            return
        if not self._ended:  # else Ctrl-C has cut the first call short
            self._append({"op": "status", "status": status, "t": now()})
        self._ended = True
        self._stop.set()
        with self._turn:
            delivered = self._courier.drain(self._journal)
            self._over = True
            (self._journal.remove if delivered else self._journal.release)()
        watchdog.closed(self._journal.path)

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.finish(status_of(error))

    def _append(self, op: Op) -> None:
        if self._over or self._pid != os.getpid():
            return
        try:
            self._journal.append(op)
        except OSError as error:  # a full disk must not end the training that filled it
            if not self._warned:
                log.warning("Logging is lost while this lasts: %s", error)
            self._warned = True

    def _work(self) -> None:
        pause = left = 0
        while not self._stop.wait(PERIOD):
            with self._turn:
                if self._over:
                    return
                self._journal.touch()
                left -= 1
                if left < 0:
                    pause = 0 if self._courier.drain(self._journal) else min(2 * pause + 1, PAUSE)
                    left = pause


def status_of(error: BaseException | None) -> str:
    """How a run ended: None is FINISHED, Ctrl-C and SIGTERM (as SystemExit or Lightning's SIGTERMException) KILLED, else FAILED."""
    if error is None:
        return "FINISHED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


@lru_cache(maxsize=4096)
def clean(name: str) -> str:
    """A name that MLflow takes for metrics and params: letters, digits, `_-. :/`; a plain relative path; 250 characters."""
    parts = [re.sub(r"[^\w\-. :]", "_", part) for part in name.split("/")]
    path = "/".join(part for part in parts if part.strip("."))
    return path[:250].rstrip("/") or "_"


def number(value: Any) -> float:
    """A float of whatever has one (tensors and numpy scalars too); NaN of what has none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def now() -> int:
    return time.time_ns() // 1_000_000  # milliseconds

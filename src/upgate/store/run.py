"""A run in progress. Lines go to its write-ahead log at once, and to MLflow from a thread.

So logging costs microseconds and never waits, and a kill loses nothing: the next process that finds
the log delivers it.
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

from upgate.store.flusher import LogFlusher, logger
from upgate.store.opening import Earlier
from upgate.store.record import NAME
from upgate.store.watchdog import watchdog
from upgate.store.write_ahead_log import Op, WriteAheadLog

PERIOD = 2.0  # seconds between deliveries, and signs of life
PAUSE = 15  # periods to let pass at most while the store is away
STATUSES = ("FINISHED", "FAILED", "KILLED")


class Run:
    """Handle of one MLflow run, from `Store.run` or `Store.parent`.

    As a context manager it finishes by how the block ends.

    In a forked child it does nothing: only the process that opened a run logs to it.
    """

    def __init__(
        self,
        key: str,
        log: WriteAheadLog,
        flusher: LogFlusher,
        earlier: Earlier | None,
    ) -> None:
        self.key, self.is_new = key, earlier is None
        self._log, self._flusher = log, flusher
        self._numbers = dict(earlier.numbers) if earlier else {}
        self._earlier = Earlier(earlier.last_steps if earlier else {}, self._numbers)
        self._pid, self._ended, self._closed, self._warned = os.getpid(), False, False, False
        self._flushing, self._stop = threading.Lock(), threading.Event()
        name = f"upgate-{key[:8]}"
        self._thread = threading.Thread(target=self._flush_regularly, name=name, daemon=True)
        self._thread.start()

    @property
    def id(self) -> str:
        """MLflow's; empty as long as the store is away since before the run was opened."""
        return str(self._log.header.get("run", ""))

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        """Log points of curves (or, at step 0, single numbers). Never raises, never waits.

        NaN stays NaN; infinities come back from `Row` as infinities (MLflow and its charts have
        1.797e308). In a resumed run, points up to the last step of their curve are skipped: equal
        keys mean equal numbers, so MLflow has them. A single number is a point where it is new or
        has changed, so a finished command may be given again.
        """
        points = {clean(name): to_float(value) for name, value in metrics.items()}
        points = {
            name: value for name, value in points.items() if self._earlier.lacks(name, step, value)
        }
        if step == 0:
            self._numbers |= points
        if points:
            self._append({"op": "metrics", "t": now(), "s": int(step), "m": points})

    def tag(self, tags: dict[str, str]) -> None:
        self._append({"op": "tags", "tags": {name: str(value) for name, value in tags.items()}})

    def rename(self, name: str) -> None:
        """Call the run by another name, such as one that says what it found."""
        self.tag({NAME: name})

    def artifact(self, path: Path, folder: str = "") -> None:
        """Log a file or folder that stays in place until `finish`. Raises FileNotFoundError."""
        self._append({"op": "artifact", "path": str(path.resolve(strict=True)), "folder": folder})

    def text(self, text: str, name: str) -> None:
        """Keep a text as artifact `name`, such as `config.yaml` or `errors/traceback.txt`."""
        self._append({"op": "text", "text": text, "name": name})

    def dataset(
        self, name: str, digest: str, source: str, context: str, profile: dict[str, Any]
    ) -> None:
        """Log what data the run used; `context` is training or test.

        MLflow shows 36 characters of the digest.
        """
        fields = {
            "name": name,
            "digest": digest,
            "source": source,
            "context": context,
            "profile": profile,
        }
        self._append({"op": "dataset", **fields})

    def flush(self) -> bool:
        """Deliver now; False where the store does not answer within MLflow's HTTP limits."""
        if self._pid != os.getpid():
            return True
        with self._flushing:
            return self._closed or self._flusher.flush(self._log)

    def finish(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED. The first call counts."""
        if status not in STATUSES:
            raise ValueError(f"a run ends as one of {STATUSES}, not {status!r}")
        if self._closed or self._pid != os.getpid():
            return
        if not self._ended:  # else Ctrl-C has cut the first call short
            self._append({"op": "status", "status": status, "t": now()})
        self._ended = True
        self._stop.set()
        with self._flushing:
            delivered = self._flusher.flush(self._log)
            self._closed = True
            (self._log.remove if delivered else self._log.release)()
        watchdog.closed(self._log.path)

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.finish(status_of(error))

    def _append(self, op: Op) -> None:
        if self._closed or self._pid != os.getpid():
            return
        try:
            self._log.append(op)
        except OSError as error:  # a full disk must not end the training that filled it
            if not self._warned:
                logger.warning("Logging is lost while this lasts: %s", error)
            self._warned = True

    def _flush_regularly(self) -> None:
        pause = left = 0  # periods without a try: more after each that failed
        while not self._stop.wait(PERIOD):
            with self._flushing:
                if self._closed:
                    return
                self._log.touch()
                self._log.sync()
                left -= 1
                if left < 0:
                    delivered = self._flusher.flush(self._log)
                    pause = 0 if delivered else min(2 * pause + 1, PAUSE)
                    left = pause


def status_of(error: BaseException | None) -> str:
    """How a run ended: without an error FINISHED, by an Exception FAILED, else KILLED.

    Ctrl-C and SIGTERM (as SystemExit or Lightning's SIGTERMException) are no Exceptions.
    """
    if error is None:
        return "FINISHED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


@lru_cache(maxsize=4096)
def clean(name: str) -> str:
    """A name that MLflow takes for metrics and params.

    Letters, digits and `_-. :/`; a plain relative path; at most 250 characters.
    """
    parts = [re.sub(r"[^\w\-. :]", "_", part) for part in name.split("/")]
    path = "/".join(part for part in parts if part.strip("."))
    return path[:250].rstrip("/") or "_"


def to_float(value: Any) -> float:
    """A float of numbers, tensors and numpy scalars; NaN of all else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def now() -> int:
    return time.time_ns() // 1_000_000  # milliseconds

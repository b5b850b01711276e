"""The write-ahead log of a run in progress: what MLflow does not have yet, in a locked file.

`<root>/open/<store>/<key>.jsonl` exists while a run is training, or while some of its lines are not
delivered. Its lock shows whether the owner lives, its lines hold what MLflow does not have yet, and
its time of change is the owner's last sign of life. Writing a line costs microseconds and survives
`kill -9`; MLflow can be slow, locked or unreachable.

The lock is POSIX (`fcntl.lockf`), not flock: it belongs to the process, so that a forked child
(such as a DataLoader's worker) neither releases it when it ends nor keeps it when the parent is
killed. But closing any other descriptor of the file in the same process drops it. Hence `_held`: a
path that this process holds is never opened by it again.
"""

import errno
import fcntl
import json
import os
import re
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from upgate.files import make_private
from upgate.store.opening import Earlier

CHUNK = 1 << 22  # bytes read at once; a single longer line is read whole

# a line: {"op": "metrics" | "tags" | "artifact" | "text" | "dataset" | "status", ...}
Op = dict[str, Any]
# the first line: MLflow's run id, or what to open it with; the run's name, host, pid and root
Header = dict[str, Any]

# what each kind of line must hold; one of a newer version is delivered, and refused
FIELDS = {
    "metrics": {"t", "s", "m"},
    "tags": {"tags"},
    "artifact": {"path", "folder"},
    "text": {"text", "name"},
    "dataset": {"name", "digest", "source", "profile", "context"},
    "status": {"status", "t"},
}
SUM = re.compile(rb"(.*)\t([0-9a-f]{8})", re.DOTALL)  # a line's JSON and its checksum

_json = json.JSONEncoder(separators=(",", ":")).encode
_held: dict[Path, "WriteAheadLog"] = {}
_guard = threading.Lock()


def _forget_in_child() -> None:
    """A forked child owns none of its parent's locks."""
    global _guard
    _guard = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class WriteAheadLog:
    """A locked log. `claim` locks one; `remove` ends it when delivered, `release` when not."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path, self._fd, self._lock = path, fd, threading.Lock()
        self.changed = os.fstat(fd).st_mtime  # the previous owner's last sign of life
        first, end, _ = os.pread(fd, CHUNK, 0).partition(b"\n")
        # the previous owner's, {} for a new log and for one whose header is damaged
        self.header: Header = (decode_line(first) or {}) if end else {}
        self.earlier: Earlier | None = None  # of a run that was opened after the log had begun
        self.damaged: dict[
            int, bytes
        ] = {}  # by their end: lines that are not what their owner wrote
        self._start = self._sent = len(first) + 1 if end else 0

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def begin(self, header: Header) -> None:
        """Empty the log and write its owner's header."""
        os.ftruncate(self._fd, 0)
        self.header = {**header, "sums": True}
        self.append(self.header)
        self._start = self._sent = self.size

    def append(self, op: Op) -> None:
        """Write a line. Raises OSError where the disk is full."""
        line = encode_line(op)
        with self._lock:
            written = os.write(self._fd, line)
            if written < len(line):
                os.ftruncate(self._fd, self.size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def give_up(self) -> None:
        """Count the whole file as damaged."""
        self.damaged = {self.size: os.pread(self._fd, self.size, 0)}

    def drop_torn_line(self) -> None:
        """Cut off a last line that a kill left incomplete."""
        os.ftruncate(self._fd, os.pread(self._fd, self.size, 0).rfind(b"\n") + 1)

    def touch(self) -> None:
        """Give a sign of life."""
        os.utime(self._fd)

    def sync(self) -> None:
        """Have the disk hold every line, also after a power cut."""
        os.fsync(self._fd)

    def pending(self) -> Iterator[tuple[Op, int]]:
        """Undelivered lines, also those that come meanwhile, each with the offset of its end.

        `mark_delivered` takes that offset.
        """
        start, before = self._sent, -1
        # a last line without an end is still being written
        while (left := self.size - start) and start > before:
            before = start
            block = os.pread(self._fd, min(CHUNK, left), start)
            if b"\n" not in block:
                block = os.pread(self._fd, left, start)
            for line in re.findall(rb"[^\n]*\n|[^\n]+\Z", block):
                if not line.endswith(b"\n"):
                    continue
                start += len(line)
                op = decode_line(line[:-1], self.header.get("sums", False))
                if op is not None and is_complete(op):
                    yield op, start
                else:
                    self.damaged[start] = line

    def mark_delivered(self, offset: int) -> None:
        """Everything before `offset` is in MLflow."""
        self._sent = offset

    def compact(self) -> None:
        """Drop the lines if all are delivered, so that the file stays small."""
        with self._lock:
            if self._sent == self.size > self._start:
                os.ftruncate(self._fd, self._start)
                self._sent = self._start

    def remove(self) -> None:
        # before the lock is released: whoever waits for it finds the file gone and starts anew
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        with _guard, self._lock:
            _held.pop(self.path, None)
            os.close(self._fd)
            self._fd = -1  # a late line gets EBADF, not somebody else's file


def encode_line(op: Op) -> bytes:
    """A line: JSON, a tab, the checksum of the JSON in hexadecimal."""
    text = _json(op).encode()
    return b"%s\t%08x\n" % (text, zlib.crc32(text))


def decode_line(line: bytes, has_sum: bool = False) -> Op | None:
    """What a line says; None where it is damaged.

    has_sum: a line without a checksum is damaged too. Logs of older versions have none.
    """
    found = SUM.fullmatch(line)
    if found is None and has_sum:
        return None
    text, checksum = found.groups() if found else (line, None)
    if checksum is not None and int(checksum, 16) != zlib.crc32(text):
        return None
    try:
        op = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return op if isinstance(op, dict) else None


def is_complete(op: Op) -> bool:
    """Whether a line holds what its kind must; one without a checksum may be damaged."""
    kind = op.get("op")
    return isinstance(kind, str) and FIELDS.get(kind, set()) <= op.keys()


def claim(path: Path, create: bool = True) -> WriteAheadLog | None:
    """Lock a log. None where a living process holds it.

    Also None where the log does not exist and `create` is False.
    """
    with _guard:
        while path not in _held:
            if not (create or path.exists()):
                return None
            make_private(path.parent)
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            if not _lock(fd):
                os.close(fd)
                return None
            if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
                _held[path] = WriteAheadLog(path, fd)
                return _held[path]
            os.close(fd)  # its last owner removed it between our open and our lock
    return None


def read_owner(path: Path) -> tuple[Header, float]:
    """The header of a log and its owner's last sign of life; {} and 0 where there is none."""
    if path in _held:
        return _held[path].header, _held[path].changed
    try:
        first, end, _ = path.read_bytes().partition(b"\n")
        return (decode_line(first) or {}) if end else {}, path.stat().st_mtime
    except FileNotFoundError:  # removed just now
        return {}, 0.0


def _lock(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows either for "somebody has it"
        return False
    return True

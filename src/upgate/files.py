"""A file appears whole or not at all: neither a reader nor another writer sees a part of it.

A file that is read back later has the sha256 of its content beside it, in `.<name>.sha256`, so that
a flipped bit or a lost end is found before it makes a wrong number. One without that file was
written by an older version, or by the user, and is taken as it is.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

KEPT = 3  # hashes: of the newest content, and of those that a kill may have left in its place

logger = logging.getLogger(__name__)


def write_atomic(path: Path, write: Callable[[BinaryIO], object], hashed: bool = False) -> None:
    """Replace `path` by what `write` puts into a file; its folder must exist.

    A fault leaves the old file and no partial one. A file that is replaced keeps who may read it.
    hashed: the hash of its content is kept beside it.
    """
    part = path.with_name(
        f".{path.name}.{uuid4().hex[:8]}"
    )  # machines that share the folder may share process ids
    try:
        with part.open("wb") as file:
            write(file)
        if path.exists():
            shutil.copymode(path, part)
        if hashed:
            note_hash(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by a text, in UTF-8, with its hash beside it."""
    write_atomic(path, lambda file: file.write(text.encode()), hashed=True)


def note_hash(path: Path, new: Path) -> None:
    """Note the hash of the file that will replace `path`.

    What is there stays valid: a kill may come before it is replaced.
    """
    before = known_hashes(path) or ([hash_file(path)] if path.exists() else [])
    text = "\n".join([hash_file(new), *before][:KEPT]) + "\n"
    write_atomic(_hash_place(path), lambda file: file.write(text.encode()))


def known_hashes(path: Path) -> list[str]:
    """The hashes that the content of a file may have; none where they are not known."""
    try:
        return _hash_place(path).read_text("ascii", errors="replace").split() or [""]
    except FileNotFoundError:
        return []


def has_hash(path: Path, hashes: Collection[str]) -> bool:
    """Whether a file's content is one of these; True where none is known.

    It is read once in a process, as long as nobody touches it.
    """
    if not hashes:
        return True
    now = path.stat()
    return _hash_once(path, now.st_ino, now.st_mtime_ns, now.st_size) in hashes


def is_intact(path: Path) -> bool:
    """Whether a file is what was written; True where that is not known."""
    return has_hash(path, known_hashes(path))


def is_kept(path: Path, remedy: str = "it is made again") -> bool:
    """Whether a file that can be made again is there and intact; a damaged one is removed."""
    if not path.exists():
        return False
    if is_intact(path):
        return True
    logger.warning("%s is damaged, its content has changed since it was written; %s", path, remedy)
    path.unlink(missing_ok=True)
    return False


def make_once(path: Path, make: Callable[[], Callable[[BinaryIO], object]]) -> None:
    """Make a file that takes long, unless it is there and intact; of several processes one does.

    make: computes, and returns what writes the file.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not is_kept(path):
            write_atomic(path, make(), hashed=True)


def hash_file(path: Path) -> str:
    """sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=4096)
def _hash_once(path: Path, *stamp: int) -> str:
    return hash_file(path)


def _hash_place(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that is there stays as it is."""
    for one in (*reversed(folder.parents), folder):  # mkdir would leave the parents open
        one.mkdir(mode=0o700, exist_ok=True)

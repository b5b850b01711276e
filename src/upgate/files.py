"""A file appears whole or not at all: neither a reader nor another writer sees a part of it."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into a file; its folder must exist.

    A fault leaves the old file and no partial one. A file that is replaced keeps who may read it.
    """
    part = path.with_name(
        f".{path.name}.{uuid4().hex[:8]}"
    )  # machines that share the folder may share process ids
    try:
        with part.open("wb") as file:
            write(file)
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that is there stays as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

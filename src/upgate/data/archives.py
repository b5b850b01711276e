"""Files inside archives and compressed files, unpacked up to a bound.

A file that unpacks to far more than any table does is refused before it fills the memory: a zip
bomb of 42 kB holds petabytes. Links and devices in archives are refused: they name files of the
machine that opens them.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from upgate.data.texts import say
from upgate.errors import UserError

# The files of a folder or an archive, by path; each is read when called.
Members = dict[str, Callable[[], bytes]]
OPENERS: dict[bytes, Callable[[io.BytesIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
FREE = 64 << 20  # bytes that anything may unpack to
RATIO = 100  # beyond it: prices shrink to a fifth, a column of zeros to a fiftieth
LARGEST = 8 << 30
# What people give instead of a table, by its first bytes.
FORMATS = {
    b"\xd0\xcf\x11\xe0": "form_office",
    b"%PDF": "form_pdf",
    b"\xff\xd8\xff": "form_picture",
    b"\x89PNG": "form_picture",
    b"SQLite format 3": "form_sqlite",
    b"FEA1": "form_feather_1",
    b"\x89HDF": "form_hdf5",
    b"\x28\xb5\x2f\xfd": "form_zstd",
    b"7z\xbc\xaf": "form_7zip",
    b"Rar!": "form_rar",
    b"\x80\x04\x95": "form_pickle",
    b"\x80\x05\x95": "form_pickle",
}
SHEETS = ("xl/workbook.xml", "xl/workbook.bin", "content.xml", "word/document.xml")


def bound(packed: int) -> int:
    """The bytes that a file of `packed` bytes may unpack to."""
    return min(LARGEST, max(FREE, RATIO * packed))


def read_bounded(file: IO[bytes], most: int, where: str) -> bytes:
    """The rest of a stream. Raises UserError where it is longer than `most` bytes."""
    content = file.read(most + 1)
    check_size(len(content), most, where)
    return content


def check_size(size: int, most: int, where: str) -> None:
    """Raise UserError for more bytes than a file may unpack to."""
    if size > most:
        raise UserError(say("unpacks_too_large", where=where, size=f"{most >> 20:,}"))


def unpack_archive(content: bytes, where: str) -> bytes:
    """The content without compression by gzip, bzip2 or xz."""
    for magic, opener in OPENERS.items():
        if content.startswith(magic):
            with opener(io.BytesIO(content)) as file:
                return read_bounded(file, bound(len(content)), where)
    return content


def check_format(content: bytes, where: str) -> None:
    """Raise UserError for what is no table, by its name where it is known."""
    form = next((name for magic, name in FORMATS.items() if content.startswith(magic)), None)
    if content.startswith(b"PK\x03\x04"):
        form = "form_archive"
    if form:
        raise UserError(say("other_format", where=where, form=say(form)))


def check_parquet(content: bytes, where: str) -> None:
    """Raise UserError for a parquet file whose columns unpack to far more than its size."""
    metadata = pq.read_metadata(io.BytesIO(content))
    groups = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    check_size(sum(groups), bound(len(content)), where)


def open_archive(path: Path) -> Members | None:
    """The files in a zip or tar, without folders; None for a file that is neither.

    Raises UserError for a workbook, for links and devices, and for a bomb.
    """
    if zipfile.is_zipfile(path):
        return _zip_members(path)
    return _tar_members(path) if tarfile.is_tarfile(path) else None


def _zip_members(path: Path) -> Members:
    most = bound(path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if any(entry.filename in SHEETS for entry in entries):
            raise UserError(say("workbook", path=str(path)))
        for entry in entries:
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise UserError(_link(path, entry.filename))
    check_size(sum(entry.file_size for entry in entries), most, str(path))
    return {entry.filename: partial(_read_zip, path, entry.filename, most) for entry in entries}


def _read_zip(path: Path, name: str, most: int) -> bytes:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        return read_bounded(file, most, f"{path}, {name}")


def _tar_members(path: Path) -> Members:
    """In one pass: seeking in a compressed file starts from its beginning each time."""
    most, size = bound(path.stat().st_size), 0
    members: Members = {}
    with tarfile.open(path) as tar:
        for item in tar:
            if item.isdir():
                continue
            if not item.isreg():
                raise UserError(_link(path, item.name))
            check_size(size := size + item.size, most, str(path))
            file = tar.extractfile(item)
            content = file.read() if file else b""
            members[item.name.removeprefix("./")] = partial(bytes, content)
    return members


def _link(path: Path, name: str) -> str:
    return say("link_in_archive", path=str(path), name=name)

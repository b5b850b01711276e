"""The content of one file, of prices or reviews: a table (parquet, feather), else its text."""

import csv
import io
import zlib
from collections.abc import Iterable
from lzma import LZMAError
from pathlib import Path
from tarfile import TarError
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa

from upgate import messages
from upgate.arrow import is_arrow, read_arrow, unpacked_size
from upgate.data.archives import bound, check_format, check_parquet, check_size, unpack_archive
from upgate.data.encodings import MARKS, decode
from upgate.data.texts import say
from upgate.errors import UserError, did_you_mean

# The endings of text files that are read in a folder; a single file may have any name.
TEXTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
ZEROS = 16  # zero bytes in a row, which no text has, in UTF-32 neither
# What reading a file raises that no sentence of ours foresees.
UNREADABLE = (
    *(OSError, EOFError, UnicodeDecodeError, zlib.error, LZMAError, csv.Error, TarError),
    *(BadZipFile, RuntimeError, pa.ArrowException),  # RuntimeError: of a zip with a password
)


def check_exists(path: Path) -> None:
    """Raise UserError where there is no such file, with the nearest name in the folder."""
    if path.is_file() or path.is_dir():
        return
    if path.exists():  # a device has no end
        raise UserError(say("neither_file_nor_folder", path=str(path)))
    names = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, names) if names else ""
    raise UserError(messages.say("no_file", path=str(path), hint=hint))


def check_links(files: Iterable[Path]) -> None:
    """Raise UserError for a link of a folder that leads nowhere: its rows would be missing."""
    for file in files:
        if file.is_symlink() and not file.exists():
            raise UserError(say("dead_link", path=str(file), target=str(file.readlink())))


def plain_cells(column: pd.Series, where: str) -> pd.Series:
    """A column whose cells can be compared: bytes as the text they are, lists and records as text.

    Raises UserError for bytes that are no UTF-8.
    """
    if column.dtype != object:
        return column
    try:
        return column.map(_plain_cell)
    except UnicodeDecodeError as error:
        raise UserError(say("column_of_bytes", where=where, name=str(column.name)[:30])) from error


def _plain_cell(cell: object) -> object:
    if isinstance(cell, bytes):
        return cell.decode()
    return str(cell) if isinstance(cell, list | dict | np.ndarray) else cell


def open_content(content: bytes, where: str) -> pd.DataFrame | str:
    """The frame of a parquet or feather file, or the text of another, unpacked and decoded.

    Raises UserError for an empty file and for what is neither.
    """
    content = unpack_archive(content, where)
    if content.startswith(b"PAR1"):
        check_parquet(content, where)
        return pd.read_parquet(io.BytesIO(content))
    if is_arrow(content):
        check_size(unpacked_size(content), bound(len(content)), where)
        return read_arrow(content)
    check_format(content, where)
    if (zeros := content.find(bytes(ZEROS))) >= 0:
        raise UserError(say("zeros", where=where, byte=f"{zeros:,}"))
    if b"\0" in content[:4096] and not content.startswith(tuple(mark for mark, _ in MARKS)):
        raise UserError(say("not_a_table", where=where))
    text = decode(content, where)
    if not text.strip():
        raise UserError(say("empty_file", where=where))
    return text

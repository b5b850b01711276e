"""What disks and kills do to a file."""

import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st


def flip(path: Path, bit: int | None = None) -> None:
    """Flip one bit, of the byte in the middle where none is named."""
    content = bytearray(path.read_bytes())
    bit = len(content) // 2 * 8 if bit is None else bit
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Lose the second half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [flip, cut, empty]

Damage = tuple[str, float, int]  # flip or cut, where, which bit
damages = st.tuples(st.sampled_from(["flip", "flip", "cut"]), st.floats(0, 1), st.integers(0, 7))


def damage(content: bytes, how: Damage) -> bytes:
    """A content with one bit flipped, or without its end."""
    kind, place, bit = how
    at = int(place * (len(content) - 1))
    if kind == "cut" or not content:
        return content[:at]
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def arrow_files(frame: pd.DataFrame, rows: int = 2) -> dict[str, bytes]:
    """A table as feather files and as streams of Arrow, plain and packed, by name.

    rows: of a batch.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas 3 about zones, which pyarrow 25 does not heed
        table, files = pa.Table.from_pandas(frame), {}
    for packing in (None, "lz4", "zstd"):
        options = pa.ipc.IpcWriteOptions(compression=packing)
        for suffix, new in ((".feather", pa.ipc.new_file), (".arrow", pa.ipc.new_stream)):
            with pa.BufferOutputStream() as sink:
                with new(sink, table.schema, options=options) as writer:
                    writer.write_table(table, max_chunksize=rows)
                files[f"{packing}{suffix}"] = sink.getvalue().to_pybytes()
    return files

"""Tables in Arrow's formats: feather files (version 2, Arrow's IPC file) and IPC streams."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

SUFFIXES = (".feather", ".arrow", ".arrows")
# First bytes -> last bytes: a file or stream that was cut off lacks these.
FILE, STREAM = b"ARROW1", b"\xff\xff\xff\xff"
ENDS = {FILE: FILE, STREAM: STREAM + bytes(4)}
FRAMES = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")  # first bytes of what zstd and lz4 pack
MOST = 1 << 40  # bytes: a column that says it is longer fails, as memory for it cannot be had


def is_arrow(content: bytes) -> bool:
    """Whether these bytes begin as a feather file or a stream does."""
    return content.startswith(tuple(ENDS))


def read_arrow(content: bytes) -> pd.DataFrame:
    """The table. Raises pyarrow.ArrowInvalid, a ValueError, for what is damaged or no such file."""
    start = next((start for start in ENDS if content.startswith(start)), None)
    if start is None:
        raise pa.ArrowInvalid("it is no feather file")
    if not content.endswith(ENDS[start]):
        raise pa.ArrowInvalid("its end is missing")
    read = pa.ipc.open_file if start == FILE else pa.ipc.open_stream
    try:
        table = read(pa.py_buffer(content)).read_all()
        table.validate(full=True)  # else a damaged length has bytes read that are not the file's
        return table.to_pandas()
    except Exception as error:  # damaged notes of pandas in the schema raise nearly anything
        raise pa.ArrowInvalid(f"it is damaged: {error}") from error


def unpacked_size(content: bytes) -> int:
    """The bytes that the compressed columns say they unpack to; each says it before its frame."""
    return sum(size for size in _sizes(content) if 0 <= size < MOST)


def _sizes(content: bytes) -> Iterator[int]:
    for frame in FRAMES:
        start = content.find(frame)
        while start >= 0:
            yield int.from_bytes(content[max(start - 8, 0) : start], "little", signed=True)
            start = content.find(frame, start + 1)

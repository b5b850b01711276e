"""Drawn files: in an encoding, packed, damaged."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

SNIPPETS = [
    *(b"", b"\0", b"\n", b"\r", b"\r\n", b'"', b'""', b",", b";", b"\t", b"|", b"#", b"=", b"-"),
    *(b"nan", b"inf", b"-inf", b"1e999", b"1e-999", b"0", b"9" * 400, b"\xff", b"\xfe\xff", b"{"),
    *(b"[", b"\xef\xbb\xbf", b"0000-00-00", b"9999-12-31", b"99999-01-01", b"2019-02-30", b"1,234"),
    *("−1".encode(), "½".encode(), "٣".encode(), "①".encode(), b"1_000", b"0x10", b"True", b"PAR1"),
    *(b"\x1f\x8b", b"PK\x03\x04", b"Date,Open,High,Low,Close\n", b"(", b"('Close', 'AAA')"),
]


def encode(text: str, encoding: str) -> bytes:
    """In UTF-8 where the encoding has no such characters."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode()


def pack(content: bytes, packing: str, folder: Path) -> Path:
    """The content as a file, compressed or in an archive."""
    path = folder / "AAA.csv"
    simple: dict[str, Callable[[bytes], bytes]] = {
        "gz": lambda data: gzip.compress(data, 1),
        "bz2": bz2.compress,
        "xz": lambda data: lzma.compress(data, preset=0),
    }
    if packing == "zip":
        path = folder / "AAA.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("AAA.csv", content)
        return path
    if packing == "tar":
        path = folder / "AAA.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            item = tarfile.TarInfo("AAA.csv")
            item.size = len(content)
            tar.addfile(item, io.BytesIO(content))
        return path
    path = folder / (f"AAA.csv.{packing}" if packing else "AAA.csv")
    path.write_bytes(simple[packing](content) if packing else content)
    return path


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A file with pieces cut out, put in, doubled and flipped."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(content)))
        end = min(start + draw(st.sampled_from([0, 0, 1, 3, 10, 60])), len(content))
        piece = draw(st.sampled_from(SNIPPETS) | st.binary(max_size=4))
        if draw(st.booleans()):
            piece += bytes(content[start:end])
        content[start:end] = piece
    return bytes(content)

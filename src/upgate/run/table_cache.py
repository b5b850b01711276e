"""Tables by the hash of their content, where every worker can read them: a folder or a URL.

`<cache>/tables/<hash>.parquet` holds the table and, in the schema's metadata, its other fields.
`load` hashes what it reads: a worker on another machine trains on the command's rows or not at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from upgate.data.table import Table
from upgate.errors import UserError
from upgate.files import is_kept, write_atomic
from upgate.run.texts import say

METADATA_KEY = b"upgate"


@dataclass(frozen=True)
class TableCache:
    """`location`: an absolute folder, or a URL that fsspec knows, such as s3://bucket/folder."""

    location: str

    @classmethod
    def at(cls, cache: str) -> "TableCache":
        """The cache of `cache=...`: file://..., another URL, or a folder, maybe a relative one."""
        if "://" not in cache:
            return cls(str(Path(cache).resolve()))
        parts = urlsplit(cache)
        return cls(unquote(parts.path) if parts.scheme == "file" else cache.rstrip("/"))

    @property
    def folder(self) -> Path | None:
        """The folder, if it is one."""
        return None if "://" in self.location else Path(self.location)

    def prepared(self, root: Path) -> Path:
        """Where tokens and baselines are kept: in the folder, else beside this machine's runs."""
        return self.folder or root / "prepared"

    def path(self, digest: str) -> str:
        """Path or URL of the table with this hash."""
        return f"{self.location}/tables/{digest}.parquet"

    def save(self, table: Table) -> None:
        """Write a table atomically, unless it is there. Raises UserError where that fails."""
        path = self.path(table.hash())
        try:
            if not self._exists(path):
                self._write(path, pack(table))
        except (OSError, ValueError, ImportError) as error:  # the boundary to a disk or a service
            raise UserError(
                say("cache_unwritable", path=str(path), cause=_one_line(error))
            ) from error

    def load(self, digest: str, table_type: type) -> Table:
        """The table with this hash. Raises UserError where there is none, or another one."""
        path = self.path(digest)
        try:
            table = unpack(self._read(path), table_type)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            raise UserError(
                say("cache_unreadable", path=str(path), cause=_one_line(error))
            ) from error
        if table.hash() != digest:
            raise UserError(say("cache_altered", path=str(path), hash=table.hash()[:16]))
        return table

    @cached_property
    def _remote(self) -> Any:
        import fsspec

        return fsspec.core.url_to_fs(self.location)[0]

    def _exists(self, path: str) -> bool:
        return is_kept(Path(path)) if self.folder else bool(self._remote.exists(path))

    def _read(self, path: str) -> bytes:
        content: bytes = Path(path).read_bytes() if self.folder else self._remote.cat_file(path)
        return content

    def _write(self, path: str, content: bytes) -> None:
        if not self.folder:
            # an object appears at once; where it does not, the hash tells of half a file
            self._remote.pipe_file(path, content)
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(Path(path), lambda file: file.write(content), hashed=True)


def pack(table: Any) -> bytes:
    """A table as a parquet file.

    Its other fields and its columns' types (parquet knows no seconds) go into the metadata.
    """
    names = [field.name for field in fields(table) if field.name != "table"]
    header = {
        "kind": type(table).__name__,
        "types": {name: str(kind) for name, kind in table.table.dtypes.items()},
        "others": {name: getattr(table, name) for name in names},
    }
    arrow = pa.Table.from_pandas(table.table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), METADATA_KEY: json.dumps(header).encode()}
    sink = pa.BufferOutputStream()
    pq.write_table(arrow.replace_schema_metadata(metadata), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def unpack(content: bytes, table_type: type) -> Table:
    """The inverse of `pack`. Raises ValueError for a table of another type."""
    arrow = pq.read_table(pa.BufferReader(content))
    header: Mapping[str, Any] = json.loads(arrow.schema.metadata[METADATA_KEY])
    if header["kind"] != table_type.__name__:
        raise ValueError(f"a table of {header['kind']}, not of {table_type.__name__}")
    others = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in header["others"].items()
    }
    table: Table = table_type(arrow.to_pandas().astype(header["types"]), **others)
    return table


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__

"""Tables by the hash of their content, where every worker can read them: a folder, or an object store by its URL.

`<cache>/tables/<hash>.parquet` holds the table and, in the schema's metadata, what else it is made of. Whoever takes one hashes
it again: a worker on another machine trains on the driver's rows or not at all.
"""

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from upgate.errors import UserError
from upgate.files import write_atomic
from upgate.tasks.base import Table

META = b"upgate"


@dataclass(frozen=True)
class TableCache:
    """`place`: an absolute folder, or a URL that fsspec knows, such as s3://bucket/folder."""

    place: str

    @staticmethod
    def at(cache: str) -> "TableCache":
        """The shelf of a `cache=...`, which may be relative to this process's folder, or file://..."""
        if "://" not in cache:
            return TableCache(str(Path(cache).resolve()))
        parts = urlsplit(cache)
        return TableCache(unquote(parts.path) if parts.scheme == "file" else cache.rstrip("/"))

    @property
    def folder(self) -> Path | None:
        """The folder, if it is one."""
        return None if "://" in self.place else Path(self.place)

    def prepared(self, root: Path) -> Path:
        """Where tokens and references are kept: in the folder too, else beside this machine's runs."""
        return self.folder or root / "prepared"

    def path(self, digest: str) -> str:
        return f"{self.place}/tables/{digest}.parquet"

    def put(self, table: Table) -> None:
        """Write a table, whole or not at all, unless it is there. Raises UserError where that cannot be done."""
        path = self.path(table.hash())
        try:
            if not self._exists(path):
                self._write(path, packed(table))
        except (OSError, ValueError, ImportError) as error:  # the boundary to a disk or a service
            raise UserError(
                f"the data cannot be written to {path} ({said(error)}); give another place, as in cache=..."
            ) from error

    def take(self, digest: str, table_type: type) -> Table:
        """Read the table of that hash, whose type is its task's.

        Raises UserError where it is not there, or is another one.
        """
        path = self.path(digest)
        try:
            table = unpacked(self._read(path), table_type)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            told = "cache=... must be a folder that all machines share, or an object store's URL"
            raise UserError(
                f"the data cannot be read from {path} ({said(error)}); {told}"
            ) from error
        if table.hash() != digest:
            raise UserError(
                f"{path} holds other data than its name says (hash {table.hash()[:16]}); delete it and start again"
            )
        return table

    @cached_property
    def _remote(self) -> Any:
        import fsspec

        return fsspec.core.url_to_fs(self.place)[0]

    def _exists(self, path: str) -> bool:
        return Path(path).exists() if self.folder else self._remote.exists(path)

    def _read(self, path: str) -> bytes:
        return Path(path).read_bytes() if self.folder else self._remote.cat_file(path)

    def _write(self, path: str, content: bytes) -> None:
        if not self.folder:
            self._remote.pipe_file(
                path, content
            )  # an object appears whole; elsewhere the hash tells of half a file
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(Path(path), lambda file: file.write(content))


def packed(table: Any) -> bytes:
    """A table as a parquet file; its other fields and its columns' types (parquet knows no seconds) go into the metadata."""
    others = {
        field.name: getattr(table, field.name) for field in fields(table) if field.name != "table"
    }
    told = {
        "kind": type(table).__name__,
        "types": {name: str(kind) for name, kind in table.table.dtypes.items()},
        "others": others,
    }
    arrow = pa.Table.from_pandas(table.table, preserve_index=False)
    arrow = arrow.replace_schema_metadata(
        {**(arrow.schema.metadata or {}), META: json.dumps(told).encode()}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(arrow, sink)
    return sink.getvalue().to_pybytes()


def unpacked(content: bytes, table_type: type) -> Table:
    """The table of a parquet file. Raises ValueError for one of another type."""
    arrow = pq.read_table(pa.BufferReader(content))
    told = json.loads(arrow.schema.metadata[META])
    if told["kind"] != table_type.__name__:
        raise ValueError(f"it holds {told['kind']}, not {table_type.__name__}")
    others = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in told["others"].items()
    }
    made: Table = table_type(arrow.to_pandas().astype(told["types"]), **others)
    return made


def said(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__

"""A store written by commit b6ab1a4, unpacked for a test as if it had been written there.

`tests/fixtures/make_old_store.py` made the archive and the record of what that commit printed of
it.
"""

import hashlib
import json
import math
import os
import re
import socket
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

from helpers.project import REPO

FIXTURES = REPO / "tests" / "fixtures"
ARCHIVE, RECORD = FIXTURES / "old_store.tar.xz", FIXTURES / "old_store.json"
OLD_FOLDER = "/tmp/upgate-old-store/main"  # where it was written: a store's paths are absolute
OLD_HOST, OLD_PID = "old-host", "999999999"  # no process has that number
CLOCK = ("second", "memory", "time", "cost")  # in the names of what a clock measured


def unpack(folder: Path) -> Path:
    """Unpack the store, its cache and its data files; every path in it then names `folder`."""
    folder = folder.resolve()
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    moves = {OLD_FOLDER: str(folder), OLD_HOST: socket.gethostname()}
    replace_in_database(folder / "store" / "mlflow.db", moves)
    journals = folder / "store" / "open"
    for journal in journals.glob("*/*.jsonl"):
        replace_in_journal(journal, moves)
    (by_address,) = journals.iterdir()  # journals lie in a folder named by the store's address
    by_address.rename(journals / hashed(f"sqlite:///{folder / 'store' / 'mlflow.db'}"))
    return folder


def hashed(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:8]


def replace_in_database(path: Path, moves: dict[str, str]) -> None:
    """Replace texts in every text column of every table."""
    tables = "select name from sqlite_master where type = 'table'"
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute(tables).fetchall():
            columns = database.execute(f'pragma table_info("{table}")').fetchall()
            for column in (f'"{row[1]}"' for row in columns):
                for old, new in moves.items():
                    database.execute(
                        f'update "{table}" set {column} = replace({column}, ?, ?) '
                        f"where typeof({column}) = 'text' and instr({column}, ?)",
                        (old, new, old),
                    )
        database.commit()


def replace_in_journal(path: Path, moves: dict[str, str]) -> None:
    """The same in a journal; its time of change stays: it is the writer's last sign of life."""
    before, text = path.stat(), path.read_text(encoding="utf-8")
    for old, new in moves.items():
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def listing(text: str) -> list[dict[str, Any]]:
    """The output of `upgate runs --json`, without paths and what was added since."""
    since = ("folder", "source")
    return [{k: v for k, v in run.items() if k not in since} for run in json.loads(text)]


def decimals(page: Path) -> list[str]:
    """The decimal numbers that a report's page shows, each once, sorted."""
    hidden = r"(?s)<style.*?</style>|<script.*?</script>|<[^>]*>"
    text = re.sub(hidden, " ", page.read_text(encoding="utf-8"))
    return sorted(set(re.findall(r"[-+−]?\d+\.\d+", text)))


def timeless(value: Any) -> Any:
    """A result without what a clock measured."""
    if isinstance(value, dict):
        kept = [key for key in value if not any(name in key for name in CLOCK)]
        return {key: timeless(value[key]) for key in kept}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def differences(
    actual: Any, expected: Any, rel: float = 1e-6, tiny: float = 1e-8, path: str = ""
) -> list[str]:
    """Where two plain values differ: a number by more than `rel` of its size and than `tiny`."""
    if isinstance(actual, list) and isinstance(expected, list):
        actual, expected = dict(enumerate(actual)), dict(enumerate(expected))
    if isinstance(actual, dict) and isinstance(expected, dict):
        lines = [f"{path}/{key} is on one side only" for key in actual.keys() ^ expected.keys()]
        for key in actual.keys() & expected.keys():
            lines += differences(actual[key], expected[key], rel, tiny, f"{path}/{key}")
        return sorted(lines)
    same = actual == expected
    if isinstance(actual, int | float) and isinstance(expected, int | float):
        same = math.isclose(actual, expected, rel_tol=rel, abs_tol=tiny)
    return [] if same else [f"{path} is {actual!r} instead of {expected!r}"]

"""A store that was moved or copied: its database names the old place, where its files were.

MLflow keeps absolute places. Without this, a moved store would write into the original, and the
logs that were not delivered there would never be.
"""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from upgate.store.connect import DAMAGE, damaged, redact

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
REPLACE = """update {table} set {column} = ? || substr({column}, ?)
 where {column} = ? or substr({column}, 1, ?) = ?"""
SET_ROOT = "update tags set value = ? where key = 'upgate.root' and value = ?"


def log_folder(root: Path, uri: str) -> Path:
    """Where the logs are of runs that are kept at an address."""
    return root / "open" / hashlib.sha256(redact(uri).encode()).hexdigest()[:8]


def default_uri(root: Path) -> str:
    return f"sqlite:///{root / 'mlflow.db'}"


def follow(root: Path) -> None:
    """Have a store in its default file name the folder that it is in now.

    Raises UserError where the file is damaged.
    """
    database = root / "mlflow.db"
    if former_root(database) in (None, root):
        return
    from filelock import FileLock

    with FileLock(f"{database}.lock"):
        old = former_root(database)
        if old is None or old == root:
            return  # another process was faster
        for log in log_folder(root, default_uri(old)).glob("*.jsonl"):
            target = log_folder(root, default_uri(root)) / log.name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if not target.exists():
                log.rename(target)
        try:
            rewrite(database, old, root)
        except sqlite3.DatabaseError as error:
            if DAMAGE.search(str(error)):
                raise damaged(str(database), error) from error
            raise


def former_root(database: Path) -> Path | None:
    """The root in which a database was made, or that it has followed last.

    None where there is none, or where its files are in another folder on purpose.
    """
    if not database.exists():
        return None
    query = "select artifact_location from experiments where experiment_id = 0"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(query).fetchone()
    except sqlite3.Error:  # whoever opens it says what it is
        return None
    files = Path(found[0]).parent if found else Path()
    if not files.is_absolute() or files.name != "artifacts":
        return None
    old, here = files.parent, database.with_name("artifacts")
    was_here = here.is_dir() or not files.is_dir() or (old / database.name).exists()
    return old if was_here else None


def rewrite(database: Path, old: Path, new: Path) -> None:
    """Name the new place wherever a table names the old one."""
    before, after = str(old / "artifacts"), str(new / "artifacts")
    inside = f"{before}/"
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        connection.execute("begin immediate")
        for table, column in PLACES:
            columns = connection.execute(f"pragma table_info({table})").fetchall()
            if column in {one[1] for one in columns}:
                values = (after, len(before) + 1, before, len(inside), inside)
                connection.execute(REPLACE.format(table=table, column=column), values)
        connection.execute(SET_ROOT, (str(new), str(old)))

"""Open MLflow: its settings, a schema that concurrent processes do not break, clear errors."""

import logging
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from upgate.errors import UserError
from upgate.store.mlflow_tracking import MlflowTracking
from upgate.store.sqlite_tracking import SqliteTracking
from upgate.store.texts import say
from upgate.store.tracking import Ask, Tracking

# Defaults, where the user set nothing. A call to a dead server then takes at most
# (retries + 1) * timeout seconds, not 247.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # else two lines about tables on a fresh store
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # of anybody's store; ours asks again by itself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
# Credentials in a URI, also in the middle of a sentence: user:password@ or a web address's token@
# before the host, and the values of names that end so, quoted or in braces, also in ODBC's form,
# which may hold spaces up to its semicolon, and where a URI has = written as %3D.
SECRET = re.compile(
    r"(?<=://)[^:/@\s]*:\S*@|(?<=http://)[^/@\s?#]+@|(?<=https://)[^/@\s?#]+@"
    r"|(?P<name>(?:passw(?:or)?d|pwd|passphrase|token|access_?key(?:_?id)?|secret|api_?key"
    r"|account_?key|signature|credential|(?<![a-z])sig)\s*(?:=|%3D)\s*)"
    r"""(?:\{[^}]*\}|'[^']*'|"[^"]*"|[^&;\s]*(?:[^&;\n]*(?=;))?)""",
    re.IGNORECASE,
)
SPACED = re.compile(r"(?<=://)[^:/@\s]*:[^/@\n]*@")  # user:password@, with spaces
TABLES = Path(__file__).with_name("mlflow_tables.sql")  # bench/mlflow_tables.py writes it
LOCK = 0x7570676174650001  # "upgate", 1: PostgreSQL names its advisory locks by a number
DAMAGE = re.compile("disk image is malformed|malformed database schema|is encrypted")
NO_ANSWER = re.compile("failed with (timeout )?exception")  # in the words of MLflow's client
NOBODY = re.compile("Failed to establish a new connection|Failed to resolve")  # of urllib3
WAIT = "180s"  # for who makes the tables, 1 to 4 s


logger = logging.getLogger(__name__)


class Unreachable(UserError):
    """A store that does not answer, and may answer later."""


class Removed(UserError):
    """A store that somebody removed while a command was using it."""


def connect(uri: str, artifacts: Path, ask: Ask) -> Tracking:
    """The tracking of a store with the current schema that answers. Raises UserError."""
    # MLflow would create a run a second time where the first answer was lost
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of every retry
    if uri.startswith(("http://", "https://")):
        return MlflowTracking(connect_server(uri, ask))
    if uri.startswith("sqlite:"):
        return connect_sqlite(sqlite_path(uri), artifacts)
    if uri.startswith(("postgresql:", "postgresql+")):
        return MlflowTracking(connect_postgres(uri, artifacts))
    if "://" not in uri or uri.startswith("file:"):
        raise UserError(say("no_folder_of_runs", uri=uri))
    # another database, prepared by its owner with `mlflow db upgrade`
    return MlflowTracking(connect_other(uri))


def connect_other(uri: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return make_client(uri)
    except MlflowException as error:
        # from None: the text of MLflow's own error has the password
        raise UserError(say("cannot_open", uri=redact(uri), cause=first_line(error))) from None


def connect_postgres(uri: str, artifacts: Path) -> Any:
    """Create the tables under an advisory lock: MLflow takes none, and concurrent processes die.

    Tables of another version are left alone: others use them too.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import inspect

    # else MLflow logs half a page for every call to a dead server
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with exclusive_connection(uri) as connection:
        tables = inspect(connection).get_table_names()
        if tables and "experiments" not in tables:
            raise UserError(say("other_tables", uri=redact(uri), table=tables[0]))
        try:
            SqlAlchemyStore(uri, str(artifacts)).engine.dispose()  # type: ignore[no-untyped-call]
        except MlflowException as error:
            raise UserError(
                say("other_version", uri=redact(uri), cause=first_line(error))
            ) from None
    return make_client(uri)


@contextmanager
def exclusive_connection(uri: str) -> Iterator[Any]:
    """A connection that one process of all machines holds at a time; a killed process releases it.

    Raises UserError where the database cannot be reached.
    """
    from sqlalchemy import NullPool, create_engine, exc, text

    try:
        connection = create_engine(
            uri, poolclass=NullPool, connect_args={"connect_timeout": 10}
        ).connect()
    except ModuleNotFoundError as error:
        raise UserError(say("no_driver", uri=redact(uri), cause=str(error))) from error
    except (exc.SQLAlchemyError, ValueError) as error:
        raise Unreachable(say("no_postgres", uri=redact(uri), cause=first_line(error))) from error
    with connection, connection.begin():
        connection.execute(text(f"set local lock_timeout = '{WAIT}'"))
        connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
        yield connection


def connect_server(uri: str, ask: Ask) -> Any:
    """A client of a server that answers.

    Where nothing listens, or the answer is no, it is not asked again.
    """
    client = make_client(uri)

    def first_call() -> None:
        try:
            client.search_experiments(max_results=1)
        except Exception as error:
            if may_answer_later(error):
                raise
            raise Unreachable from error

    try:
        ask(first_call)
    except Unreachable as away:
        raise Unreachable(
            say("no_server", uri=redact(uri), cause=first_line(away.__cause__ or away))
        ) from away
    return client


def may_answer_later(error: Exception) -> bool:
    """Whether a server is there that did not answer a call, or said that it cannot now."""
    if getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE":
        return True
    text = str(error)
    return NO_ANSWER.search(text) is not None and not NOBODY.search(text)


def connect_sqlite(path: Path, artifacts: Path) -> Tracking:
    """Create or upgrade the tables once per MLflow version, under a lock.

    MLflow takes no lock, and eight concurrent processes break the file for good. A file beside the
    database names the version for which this was done. Tables of the kept revision are read and
    written without MLflow.
    """
    from filelock import FileLock

    version = installed("mlflow")
    path.parent.mkdir(parents=True, exist_ok=True)
    made_by = path.with_name(f"{path.name}.made-by")
    with FileLock(f"{path}.lock"):
        if not path.exists():
            check_absent(path, made_by)
            make_sqlite(path, artifacts)
            made_by.write_text(version)
        check_sqlite(path)
        known = made_by.exists() and made_by.read_text() == version
        if not known or revision(path) != kept_revision():  # a newer MLflow may have opened it
            upgrade_sqlite(path)
            made_by.write_text(version)
    uri = f"sqlite:///{path}"
    if revision(path) == kept_revision():
        return SqliteTracking(path, lambda: MlflowTracking(make_client(uri)))
    return MlflowTracking(make_client(uri))


def check_absent(path: Path, made_by: Path) -> None:
    """Say so where a database was here before; raise UserError where a link's disk is away."""
    if path.is_symlink():
        raise UserError(say("dead_link", path=str(path), target=str(path.readlink())))
    if made_by.exists():
        message = "%s is gone: an empty one is made, and earlier runs are no longer listed"
        logger.warning(message, path)


def kept_revision() -> str:
    """The revision of the tables that are kept."""
    found = re.search(r"""INTO "alembic_version" VALUES\('(\w+)'\)""", TABLES.read_text("utf-8"))
    assert found is not None
    return found[1]


def make_sqlite(path: Path, artifacts: Path) -> None:
    """Create the database under another name first: a kill meanwhile leaves no incomplete file.

    The tables of the version for which they are kept are copied: to migrate takes two CPU seconds.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    tables = TABLES.read_text(encoding="utf-8")
    if tables.startswith(f"-- MLflow {installed('mlflow')},"):
        copy_tables(new, tables, artifacts)
    else:
        migrate(new, artifacts)
    new.replace(path)


def copy_tables(path: Path, tables: str, artifacts: Path) -> None:
    """A new database of these tables, with the default experiment that MLflow makes too."""
    now = int(1000 * time.time())
    place = f"{artifacts}/0"
    row = (0, "Default", place, "active", now, now, "default")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(tables)
        connection.execute("insert into experiments values (?, ?, ?, ?, ?, ?, ?)", row)
        connection.commit()


def migrate(path: Path, artifacts: Path) -> None:
    """A new database by MLflow's own migrations, with the default experiment."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{path}", str(artifacts))  # type: ignore[no-untyped-call]
    store.engine.dispose()


def dump_tables(path: Path) -> str:
    """A database as SQL text, without its experiments."""
    with closing(sqlite3.connect(path)) as connection:
        lines = list(connection.iterdump())
    return "\n".join(one for one in lines if not one.startswith('INSERT INTO "experiments"')) + "\n"


def check_sqlite(path: Path) -> None:
    """Raise UserError for a file that MLflow cannot open: it would try for 100 seconds."""
    check_revision(path)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise UserError(say("not_writable", path=str(path)))


def check_revision(path: Path) -> None:
    """Raise UserError for a file that is not MLflow's."""
    try:
        revision(path)
    except (sqlite3.DatabaseError, TypeError) as error:
        if DAMAGE.search(str(error)):
            raise damaged(str(path), error) from error
        raise UserError(say("not_mlflow", path=str(path), cause=str(error))) from error


def check_pages(path: Path) -> None:
    """Raise UserError for a database that is damaged anywhere; 3 s for a gigabyte."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            (found,) = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
        if not DAMAGE.search(found):
            return  # locked by a writer, who finds out
    if found != "ok":
        raise damaged(str(path), found)


def damaged(place: str, fault: object) -> UserError:
    return UserError(say("damaged", place=place, fault=" ".join(str(fault).split())[:120]))


def upgrade_sqlite(path: Path) -> None:
    """Upgrade the tables of an older MLflow; a copy from before the upgrade stays beside them."""
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from mlflow.db import upgrade
    from mlflow.store.db.utils import _get_alembic_config

    uri, before = f"sqlite:///{path}", revision(path)
    known = ScriptDirectory.from_config(_get_alembic_config(uri))  # type: ignore[no-untyped-call]
    if before == known.get_current_head():
        return
    try:
        known.get_revision(before)
    except CommandError as error:
        raise UserError(say("newer_mlflow", path=str(path), cause=first_line(error))) from error
    shutil.copy(path, path.with_name(f"{path.name}.before-upgrade"))
    upgrade.callback(uri)  # type: ignore[misc]


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("select version_num from alembic_version").fetchone()[0])


def sqlite_path(uri: str) -> Path:
    """Absolute path of an sqlite URI.

    Raises UserError for `%`, `?` and `#`, which SQLAlchemy would interpret.
    """
    path = uri.removeprefix("sqlite:///")
    if not path or path == uri or set(path) & set("%?#"):
        raise UserError(say("odd_path", uri=uri))
    return Path(path).absolute()


def make_client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def redact(uri: str) -> str:
    """A URI, or a sentence that holds URIs, without users and passwords."""
    return SECRET.sub(lambda found: found["name"] or "", uri)


def redact_argument(word: str) -> str:
    """A word of a command line without secrets; a password may hold spaces up to the word's end."""
    return redact(SPACED.sub("", f"{word};"))[:-1]


def first_line(error: BaseException) -> str:
    return redact((str(error).splitlines() or [type(error).__name__])[0][:300])

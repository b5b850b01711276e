"""Opening MLflow: its settings, a schema that eight processes at once do not break, and clear sentences when it fails."""

import logging
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from upgate.errors import UserError

# Only where the user set nothing. A dead server then costs a call at most (retries + 1) * timeout seconds, not 247.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # else two lines about tables on a fresh store
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
SECRET = re.compile(
    r"(?<=://)[^:/@\s]*:\S*@|(?<=password=)[^&\s]+"
)  # of a URI, also in the middle of a sentence
LOCK = 0x7570676174650001  # "upgate", 1: PostgreSQL names its advisory locks by a number
WAIT = "180s"  # for who makes the tables, 1 to 4 s


def connect(uri: str, artifacts: Path) -> Any:
    """An MlflowClient on a store that exists, has today's schema and answers. Raises UserError."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of every retry
    if uri.startswith(("http://", "https://")):
        return connect_server(uri)
    if uri.startswith("sqlite:"):
        return connect_sqlite(sqlite_path(uri), artifacts)
    if uri.startswith(("postgresql:", "postgresql+")):
        return connect_postgres(uri, artifacts)
    if "://" not in uri or uri.startswith("file:"):
        raise UserError(
            f"MLflow no longer keeps runs in a folder ({uri}): set MLFLOW_TRACKING_URI to sqlite:///<file>, "
            "to a server's http://..., or unset it"
        )
    return connect_other(uri)  # another database, made ready by its keeper with `mlflow db upgrade`


def connect_other(uri: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client_of(uri)
    except MlflowException as error:
        raise UserError(
            f"MLflow cannot open {shown(uri)}: {first_line(error)}"
        ) from None  # its own text has the password


def connect_postgres(uri: str, artifacts: Path) -> Any:
    """MLflow makes tables without a lock, and all but one of several processes at once die. So it is done under a lock of the
    database's own. Tables of another version are left alone: others use them too."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import inspect

    logging.getLogger("mlflow.store.db.utils").setLevel(
        logging.CRITICAL
    )  # else half a page for every call that a dead server fails
    with only_one(uri) as connection:
        tables = inspect(connection).get_table_names()
        if tables and "experiments" not in tables:
            raise UserError(
                f"{shown(uri)} holds other tables than MLflow's ({tables[0]}, ...): give MLflow a database of its own"
            )
        try:
            SqlAlchemyStore(uri, str(artifacts)).engine.dispose()
        except MlflowException as error:
            told = "install the MLflow that its other users have, or upgrade it for all with `mlflow db upgrade`"
            raise UserError(
                f"{shown(uri)} is not of this MLflow version: {told} ({first_line(error)})"
            ) from None
    return client_of(uri)


@contextmanager
def only_one(uri: str) -> Iterator[Any]:
    """A connection that one process at a time has, of all machines; a killed one lets go. Raises UserError where none can be had."""
    from sqlalchemy import NullPool, create_engine, exc, text

    try:
        connection = create_engine(
            uri, poolclass=NullPool, connect_args={"connect_timeout": 10}
        ).connect()
    except ModuleNotFoundError as error:
        raise UserError(
            f"{shown(uri)} needs a driver that is not installed: pip install 'upgate[postgres]' ({error})"
        ) from error
    except (exc.SQLAlchemyError, ValueError) as error:
        told = "start it, and give its password in the environment as PGPASSWORD, or in the URI with / @ # % written as %2F %40 %23 %25"
        raise UserError(
            f"no PostgreSQL answers at {shown(uri)} ({first_line(error)}): {told}"
        ) from error
    with connection, connection.begin():
        connection.execute(text(f"set local lock_timeout = '{WAIT}'"))
        connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
        yield connection


def connect_server(uri: str) -> Any:
    client = client_of(uri)
    try:
        client.search_experiments(max_results=1)
    except Exception as error:
        raise UserError(
            f"no MLflow server answers at {shown(uri)}: start it, or unset MLFLOW_TRACKING_URI to keep runs in a file ({first_line(error)})"
        ) from error
    return client


def connect_sqlite(path: Path, artifacts: Path) -> Any:
    """MLflow makes and upgrades tables without a lock, in place; eight processes at once break the file for good. So it is
    done once per MLflow version, under a lock, and a file beside the database says for which it was done."""
    from filelock import FileLock
    from mlflow import __version__ as version

    path.parent.mkdir(parents=True, exist_ok=True)
    done = path.with_name(f"{path.name}.made-by")
    with FileLock(f"{path}.lock"):
        if not path.exists():
            make_sqlite(path, artifacts)
        check_sqlite(path)
        if not done.exists() or done.read_text() != version:
            upgrade_sqlite(path)
            done.write_text(version)
    return client_of(f"sqlite:///{path}")


def make_sqlite(path: Path, artifacts: Path) -> None:
    """In a file of another name first: a kill meanwhile leaves nothing half made."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    SqlAlchemyStore(
        f"sqlite:///{new}", str(artifacts)
    ).engine.dispose()  # tables, and the default experiment
    new.replace(path)


def check_sqlite(path: Path) -> None:
    """MLflow would try for 100 seconds to open a file that it cannot."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("select version_num from alembic_version").fetchone()[0]
    except (sqlite3.DatabaseError, TypeError) as error:
        raise UserError(f"{path} is not a database of MLflow ({error}): move it away") from error
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise UserError(
            f"{path} and its folder must be writable: give yourself the right, or set MLFLOW_TRACKING_URI"
        )


def upgrade_sqlite(path: Path) -> None:
    """Bring the tables of an older MLflow to today's; what they were stays beside them."""
    from alembic.util import CommandError
    from mlflow.db import upgrade

    before, copy = revision(path), path.with_name(f"{path.name}.before-upgrade")
    shutil.copy(path, copy)
    try:
        upgrade.callback(f"sqlite:///{path}")  # type: ignore[misc]
    except CommandError as error:
        raise UserError(
            f"{path} was written by a newer MLflow: install that one ({first_line(error)})"
        ) from error
    if revision(path) == before:
        copy.unlink()


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("select version_num from alembic_version").fetchone()[0])


def sqlite_path(uri: str) -> Path:
    """Absolute path of an sqlite uri. SQLAlchemy reads `%`, `?` and `#` in it as its own, so they are refused."""
    path = uri.removeprefix("sqlite:///")
    if not path or path == uri or set(path) & set("%?#"):
        raise UserError(
            f"{uri} cannot hold MLflow's runs: give sqlite:///<file>, its path without % ? #"
        )
    return Path(path).absolute()


def client_of(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def shown(uri: str) -> str:
    """The uri, or a sentence with uris in it, without users and passwords."""
    return SECRET.sub("", uri)


def first_line(error: Exception) -> str:
    return shown((str(error).splitlines() or [type(error).__name__])[0][:300])

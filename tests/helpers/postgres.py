"""A PostgreSQL server of the tests' own: Debian's package, in a temporary folder, on a free port,
gone afterwards.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.store import free_port

PASSWORD = "s3cret/word@#"  # as people choose them: half of it means something in a URI
QUOTED = "s3cret%2Fword%40%23"
QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
}
ROOM = 500e6  # bytes


@dataclass(frozen=True)
class Postgres:
    """A server that is up. `uri` names a database of it, with the password in it."""

    home: Path
    port: int

    def uri(self, database: str) -> str:
        return f"postgresql://upgate:{QUOTED}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str) -> str:
        """An empty database; its uri."""
        self.sql("postgres", f'create database "{database}"')
        return self.uri(database)

    def sql(self, database: str, statement: str) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def start(self) -> None:
        asked = {
            **QUICK,
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        settings = " ".join(
            f"-c {name}={value}" if value != "" else f"-c {name}=''"
            for name, value in asked.items()
        )
        as_owner(
            "pg_ctl",
            "-D",
            str(self.home / "data"),
            "-l",
            str(self.home / "log"),
            "-o",
            settings,
            "-w",
            "start",
        )

    def stop(self, how: str = "fast") -> None:
        as_owner("pg_ctl", "-D", str(self.home / "data"), "-m", how, "-w", "stop")

    def said(self) -> str:
        return (self.home / "log").read_text(encoding="utf-8")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that is up; skips the test, and says why, where there can be none."""
    pytest.importorskip(
        "psycopg", reason="psycopg is not installed: pip install 'upgate[postgres]'"
    )
    if (program := found("postgres")) is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    if os.geteuid() == 0 and owner() is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres to run it as")
    home = Path(
        tempfile.mkdtemp(prefix="upgate-postgres-", dir=in_memory())
    )  # not pytest's folder: that is closed to other users
    try:
        (home / "password").write_text(PASSWORD, encoding="utf-8")
        if (user := owner()) is not None:
            for path in (home, home / "password"):
                os.chown(path, user.pw_uid, user.pw_gid)
        server = Postgres(home, free_port())
        secret = ("-U", "upgate", "--auth=scram-sha-256", f"--pwfile={home / 'password'}")
        try:
            as_owner(
                "initdb", "-D", str(home / "data"), "-E", "UTF8", "--locale=C", "--no-sync", *secret
            )
            server.start()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"{program} does not start here: {error.output.strip()[-300:]}")
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def in_memory() -> str | None:
    """A folder in memory if it holds enough: a database is a thousand small files, and deleting
    them takes a disk seconds.
    """
    folder = "/dev/shm"
    return folder if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM else None


def owner() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as if this is root; it refuses to be that."""
    users = [user for user in pwd.getpwall() if user.pw_name == "postgres"]
    return users[0] if users and os.geteuid() == 0 else None


def found(program: str) -> str | None:
    """Debian keeps all but psql in a folder of its own, by version."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: int(folder.parent.name),
        reverse=True,
    )
    return shutil.which(
        program, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    )


def as_owner(program: str, *words: str) -> None:
    user = owner()
    who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    command = [found(program) or program, *words]
    # not a pipe: the server would hold it open for as long as it lives
    with tempfile.TemporaryFile("w+") as out:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", **who
        )
        out.seek(0)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, program, out.read())

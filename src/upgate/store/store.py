"""The run store: this package is the only one that knows MLflow.

A task is an experiment, a command a parent run, a training a child run, known by its key. `<root>/`
holds `mlflow.db`, `artifacts/` and `open/`, the write-ahead logs of runs in progress; with
MLFLOW_TRACKING_URI only `open/`.
"""

import errno
import logging
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from upgate.errors import UserError
from upgate.files import has_hash, known_hashes, make_private, write_atomic
from upgate.store.artifact_folder import check_artifact_size
from upgate.store.call import PATIENCE, call_mlflow, gc_paused
from upgate.store.connect import (
    Removed,
    Unreachable,
    check_pages,
    check_sqlite,
    connect,
    make_client,
    redact,
    sqlite_path,
)
from upgate.store.flusher import OPEN, TAG, LogFlusher, has_ended
from upgate.store.moved import default_uri, follow, log_folder
from upgate.store.opening import OPENING, Earlier, Opened, Opening, open_run
from upgate.store.record import KEY, PARENT, Conditions, Row, is_own
from upgate.store.run import Run, clean, now, to_float
from upgate.store.texts import say
from upgate.store.tracking import Ask, Experiment, Point, Tracking
from upgate.store.ui import VIEW_TAG, runs_url, runs_view, server_command, ui_url
from upgate.store.watchdog import watchdog
from upgate.store.write_ahead_log import Header, WriteAheadLog, claim, read_owner

logger = logging.getLogger(__name__)

T = TypeVar("T")
ParamValue = str | float | int | bool | None

PARAM, NAME = 6000, 250  # characters, MLflow's limits; that of names is PostgreSQL's to enforce
# seconds without a sign of life after which another machine's run counts as dead; a living one
# gives a sign every 2 to 42 seconds
SILENCE = 60.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # a disk that takes no more
LAST_PATIENCE = 600.0  # seconds that a command which has trained everything waits for the store


class Busy(UserError):
    """A run that another process is training."""


class Store:
    """Cheap to make; `prepare`, or the first call that needs the runs, opens it.

    MLflow is imported where it is a server or a database of its own, not for a file.
    """

    def __init__(self, root: Path, uri: str | None = None) -> None:
        self.root = root.resolve()
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(self.root)
        # the write-ahead logs, a folder for each store
        self.open = log_folder(self.root, self.uri)
        self.host = socket.gethostname()
        self._tracking: Tracking | None = None
        self._experiments: dict[str, str] = {}
        self._away = False  # at the last try of `_call_unless_away`
        self._foreign: set[str] = set()  # runs that were named as left out

    @property
    def tracking(self) -> Tracking:
        """Where the runs are kept; opened at the first use. Raises UserError."""
        if self._tracking is not None:
            self.require()
        else:
            check_root(self.root)
            try:
                make_private(self.root)
                if self.uri == default_uri(self.root):
                    follow(self.root)
                self._tracking = connect(self.uri, self.root / "artifacts", self._call_unless_away)
            except (OSError, sqlite3.OperationalError) as error:  # such as a full disk
                place = getattr(error, "filename", None)  # SQLite names none
                reason = str(getattr(error, "strerror", error) if place else error)
                reason = say("at_place", place=str(place), cause=reason) if place else reason
                raise UserError(say("cannot_hold", root=str(self.root), reason=reason)) from error
        return self._tracking

    def require(self) -> None:
        """Raise Removed where the store is gone that a command has opened, here or elsewhere.

        To go on would make another one, without the command's runs.
        """
        path = sqlite_path(self.uri) if self.uri.startswith("sqlite:") else self.root
        opened = self._tracking is not None
        if (path == self.root or path.exists()) and (self.root.exists() or not opened):
            return
        raise Removed(say("removed", root=str(self.root)))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Raise Removed where a file cannot be written because the store is gone.

        Raises UserError where its disk or quota is full, or read-only by now.
        """
        try:
            yield
        except FileNotFoundError:
            self.require()
            raise
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise UserError(
                say("holds_no_more", root=str(self.root), cause=f"{error.strerror}")
            ) from error

    def check(self) -> None:
        """Raise UserError where runs cannot be kept. Makes nothing: data may still be at fault."""
        check_root(self.root)
        path = sqlite_path(self.uri) if self.uri.startswith("sqlite:") else None
        if path is not None and path.exists():
            check_sqlite(path)
            check_pages(path)

    @property
    def client(self) -> Any:
        """An MlflowClient, for what this class does not offer."""
        _ = self.tracking
        return make_client(self.uri)

    def prepare(self) -> None:
        """Open the store, and deliver what killed runs left.

        Once per process; safe against eight at once. Raises UserError where it cannot be opened.
        """
        self._recover_all()

    def settle(self) -> None:
        """Wait for a store that is away, minutes where need be, and deliver what runs left.

        For the end of a command that judges its runs. Raises Unreachable where it stays away.
        """
        try:
            call_mlflow(self.uri, lambda: self.tracking.tasks(), patience=LAST_PATIENCE)
        except Unreachable as away:
            raise Unreachable(
                say("nothing_lost", reason=away.args[0], folder=str(self.open))
            ) from away
        self._recover_all()

    def experiment(self, task: str) -> str:
        """MLflow's id of the task's experiment, created where it is missing; processes may race."""
        return self._experiment(task, self._call)

    def parent(self, task: str, name: str, key: str, tags: dict[str, str]) -> Run:
        """The parent run of a command; the same key goes on in the same MLflow run.

        Raises UserError where another process has it open.
        """
        opening = self._opening(task, name, key, {}, tags | {"upgate.kind": "parent"}, resume=True)
        return self._open(opening, later=False)

    def run(
        self,
        task: str,
        name: str,
        key: str,
        params: Mapping[str, ParamValue],
        tags: dict[str, str],
        parent: Run | str | None,
        resume: bool,
    ) -> Run:
        """The run of a training; `parent` is a Run or, in another process, its id.

        `resume` goes on in the newest unfinished run of the key, if there is one. Where the store
        is away the run begins in its log alone, and is opened when it is back. Raises UserError
        where a process is training the key.
        """
        parent_id = parent.id if isinstance(parent, Run) else parent
        tags = tags | {"upgate.kind": "run"} | ({PARENT: parent_id} if parent_id else {})
        return self._open(self._opening(task, name, key, params, tags, resume), later=True)

    def finished(self, keys: Iterable[str]) -> dict[str, Row]:
        """FINISHED runs by key, the newest of each.

        Raises Unreachable, at once where the store was away before.
        """
        wanted = frozenset(keys)
        conditions = {"status": "FINISHED", "kind": "run"}
        rows = self._rows(conditions, wanted, ask=self._call_unless_away) if wanted else []
        return {row.key: row for row in reversed(rows)}

    def rows(
        self,
        task: str | None = None,
        recipe: str | None = None,
        status: str | None = None,
        parent: str | None = None,
    ) -> list[Row]:
        """This package's runs, newest first; `parent` is the id of a parent run."""
        return self._rows({"task": task, "recipe": recipe, "status": status, "parent": parent})

    def looks(self, task: str, data: str, params: Collection[str]) -> list[Row]:
        """The finished trainings on a table (its hash), with these params and without metrics."""
        conditions = {"task": task, "kind": "run", "status": "FINISHED", "data": data}
        return self._rows(conditions, params=params)

    def tasks(self) -> list[str]:
        """The tasks of which there are runs, by one query."""
        return sorted(self.tracking.tasks(self._call))

    def annotate(self, run_id: str, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Add single numbers, and tags, to a run that has ended."""
        points = [Point(clean(name), to_float(one), now(), 0) for name, one in metrics.items()]
        self._call(self.tracking.log_points, run_id, points)
        if tags:
            cut = {name: value[:TAG] for name, value in tags.items()}
            self._call(self.tracking.set_tags, run_id, cut)

    def attach(self, run_id: str, path: Path) -> None:
        """Add a file to the artifacts of a run that has ended."""
        self._call(self.tracking.log_artifact, run_id, path, "")

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """Download an artifact of a run into a folder of this machine.

        Raises UserError where the run has no file of that name, or too large a one.
        """
        folder.mkdir(parents=True, exist_ok=True)
        size = self._call(self.tracking.artifacts, run_id).get(name)
        if size is None:
            raise UserError(say("kept_no_file", run=run_id, name=name))
        check_artifact_size(say("file_of_run", name=name, run=run_id), size)
        return self._call(self.tracking.download, run_id, name, folder)

    def file(self, run_id: str, name: str, folder: Path, digest: str = "") -> Path:
        """A file of a run: the folder's, where it is there and intact, else the run's artifact.

        digest: the sha256 that the store knows of it, if any. Raises UserError where neither is
        what was written.
        """
        path = folder / name
        there, hashes = path.exists(), [digest] if digest else known_hashes(path)
        if there and has_hash(path, hashes):
            return path
        with tempfile.TemporaryDirectory() as temporary:
            fetched = self._fetch_lost(run_id, path, Path(temporary))
            if not has_hash(fetched, hashes):
                where = say("here_and") if there else ""
                raise UserError(say("not_as_written", name=name, run=run_id, where=where))
            folder.mkdir(parents=True, exist_ok=True)
            with fetched.open("rb") as source:
                write_atomic(path, lambda file: shutil.copyfileobj(source, file), hashed=True)
        if there:
            logger.warning("%s had changed since it was written; it was fetched again", path)
        return path

    def _fetch_lost(self, run_id: str, path: Path, folder: Path) -> Path:
        """Download the artifact that is a file's copy."""
        try:
            return self.artifact(run_id, path.name, folder)
        except UserError as error:
            if not path.exists():
                raise
            raise UserError(say("damaged_and", path=str(path), cause=error.args[0])) from None

    def delete(self, run_id: str) -> None:
        """Mark a run deleted; `mlflow gc` removes it for good."""
        self._call(self.client.delete_run, run_id)

    def reconcile(self) -> list[str]:
        """Deliver what killed runs left; set KILLED what is RUNNING here without a living owner.

        Returns the ids of the runs that it set KILLED.
        """
        killed = self._recover_all()
        for row in self._rows({"status": "RUNNING", "host": self.host, "root": str(self.root)}):
            log_removed = not self.log_path(row.key).exists()  # by hand
            if log_removed and not is_alive(int(row.tags["upgate.pid"])):
                self._end(row.run_id, "KILLED")
                killed.append(row.run_id)
        return killed

    def mark_dead(self, key: str, status: str, reason: str) -> Row | None:
        """End the run of a key whose process is dead as `status`, unless it had ended by itself.

        Returns the key's newest run. The dead process's watchdog, seconds later, finds nothing to
        do; if it was faster, its KILLED is overwritten. Raises Unreachable; the log stays then.
        """
        path, until = self.log_path(key), time.monotonic() + PATIENCE
        while path.exists() and time.monotonic() < until:  # the watchdog may hold it for a while
            if (log := claim(path, create=False)) is not None:
                if not self._flusher().recover(log, status):
                    log.release()
                    raise Unreachable(say("no_answer", uri=redact(self.uri)))
                log.remove()
            time.sleep(0.05)
        row = next(iter(self._rows({"key": key, "kind": "run"})), None)
        if row is None or row.status == "FINISHED":
            return row
        self._call(self.tracking.log_text, row.run_id, reason, "traceback.txt")
        if row.status != status:
            self._end(row.run_id, status)
        return row

    def log_path(self, key: str) -> Path:
        """The write-ahead log: it exists while a key is trained, or while lines are undelivered."""
        return self.open / f"{key}.jsonl"

    def ui_command(self, port: int = 5000) -> list[str]:
        """The command that shows this store in a browser.

        Raises UserError where a server shows it already.
        """
        if self.uri.startswith("http"):
            raise UserError(say("pages_at", uri=redact(self.uri)))
        self.prepare()
        return server_command(self.uri, self.root / "artifacts", port)

    def ui_url(self, task: str | None = None, runs: Iterable[str] = (), port: int = 5000) -> str:
        """Address of a comparison of these runs, else of a task's charts, else of all tasks."""
        base = f"http://127.0.0.1:{port}"
        if self.uri.startswith("http"):
            base = redact(self.uri).rstrip("/")
        return ui_url(base, self.experiment(task) if task else None, runs)

    def runs_url(
        self, task: str, score: str, higher_is_better: bool, params: Sequence[str], port: int
    ) -> str:
        """Address of a task's trainings, the best against its twin by the metric `score` first.

        The columns and their order become a tag of the experiment, which MLflow's pages read.
        """
        experiment = self.experiment(task)
        view = runs_view(score, higher_is_better, params)
        self._call(self.tracking.tag_experiment, experiment, VIEW_TAG, view)
        return runs_url(f"http://127.0.0.1:{port}", experiment)

    def _open(self, opening: Opening, later: bool) -> Run:
        """later: where the store is away, begin the log alone; it opens the run when it can."""
        if not KEY.fullmatch(opening.key):
            raise UserError(say("key_digits", key=f"{opening.key!r}"))
        log = self._claim(opening.name, opening.key)
        with ExitStack() as undo:
            undo.callback(lambda: log.release() if log.size else log.remove())
            watchdog.opened(log.path, self.root, self.uri)
            undo.callback(watchdog.closed, log.path)
            flusher = self._flusher()
            if not flusher.recover(log):
                raise Unreachable(say("no_answer_start", uri=redact(self.uri)))
            header, earlier = self._begin(opening, later)
            log.begin({**header, "name": opening.name, **self._owner()})
            undo.pop_all()
        return Run(opening.key, log, flusher, earlier)

    def _begin(self, opening: Opening, later: bool) -> tuple[Header, Earlier | None]:
        """The header of a new run's log, and the run's history."""
        try:
            opened = self._open_in_store(opening, self._call_unless_away)
        except Unreachable:
            if not later:
                raise
            self._away = True
            return {OPEN: asdict(opening)}, None
        return {"run": opened.run_id}, opened.earlier

    def _open_in_store(self, opening: Opening, ask: Ask) -> Opened:
        experiment = self._experiment(opening.task, ask)
        return open_run(self.tracking, experiment, opening, self.host, ask)

    def _opening(
        self,
        task: str,
        name: str,
        key: str,
        params: Mapping[str, ParamValue],
        tags: Mapping[str, str],
        resume: bool,
    ) -> Opening:
        """What a run is opened with, within MLflow's limits."""
        identity = {"upgate.key": key, "upgate.task": task, OPENING: uuid4().hex}
        own = {**identity, **self._owner()}
        return Opening(
            task,
            name[:NAME],
            key,
            {clean(name): str(value)[:PARAM] for name, value in params.items()},
            {name: value[:TAG] for name, value in {**tags, **own}.items()},
            resume,
            now(),
        )

    def _owner(self) -> dict[str, str]:
        return {
            "upgate.host": self.host,
            "upgate.pid": str(os.getpid()),
            "upgate.root": str(self.root),
        }

    def _flusher(self) -> LogFlusher:
        return LogFlusher(
            lambda: self.tracking,
            lambda opening: self._open_in_store(opening, self._call_once),
            redact(self.uri),
            self.root,
        )

    def _end(self, run_id: str, status: str) -> None:
        self._call(self.tracking.set_status, run_id, status, now())

    def _claim(self, name: str, key: str) -> WriteAheadLog:
        """Lock the key's write-ahead log.

        Raises UserError while a living process holds it. Whether a process of another machine lives
        shows with time: this waits for it.
        """
        path, until, before = self.log_path(key), time.monotonic() + SILENCE + PATIENCE, 0.0
        while (log := claim(path)) is None or not self._is_abandoned(log):
            owner, changed = read_owner(path)
            if log:
                log.release()
            pid, host = owner.get("upgate.pid", "0"), owner.get("upgate.host", "?")
            # else another process of this machine is delivering what a dead one left
            lives_here = host == self.host and is_alive(int(pid))
            lives_elsewhere = host not in ("?", self.host) and 0 < before < changed
            if lives_here or lives_elsewhere or time.monotonic() > until:
                raise Busy(say("going_on", name=name, key=key[:16], pid=pid, host=host))
            before = changed
            time.sleep(0.2)
        return log

    def is_open(self, key: str) -> bool:
        """Whether a living process trains a key."""
        path = self.log_path(key)
        if not path.exists():
            return False
        if (log := claim(path, create=False)) is None:
            return path.exists()
        is_abandoned = self._is_abandoned(log)
        log.release()
        return not is_abandoned

    def _is_abandoned(self, log: WriteAheadLog) -> bool:
        """Whether the owner of a claimed log is dead.

        The lock proves it on one machine; not every disk keeps locks across machines.
        """
        same_host = log.header.get("upgate.host") in (None, self.host)
        return same_host or disk_time(self.open) - log.changed > SILENCE

    def _recover_all(self) -> list[str]:
        """Deliver the logs without a living owner; ids of the runs that this sets KILLED."""
        _ = self.tracking  # raises where the store cannot be opened
        killed, flusher = [], self._flusher()
        for path in sorted(self.open.glob("*.jsonl")):
            if (log := claim(path, create=False)) is None:
                continue
            was_killed = bool(log.header) and not has_ended(log)
            if self._is_abandoned(log) and flusher.recover(log):
                killed += [log.header["run"]] if was_killed else []
                log.remove()
            else:
                log.release()
        return killed

    def _experiment(self, task: str, ask: Ask) -> str:
        if task not in self._experiments:
            experiment = ask(self.tracking.experiment, task) or self._create_experiment(task, ask)
            if not experiment.is_active:
                raise UserError(
                    say("experiment_deleted", task=task, uri=redact(self.uri), id=experiment.id)
                )
            self._experiments[task] = experiment.id
        return self._experiments[task]

    def _create_experiment(self, task: str, ask: Ask) -> Experiment:
        """Create an experiment, unless another process is faster."""
        artifacts = None if self.uri.startswith("http") else str(self.root / "artifacts")
        ask(self.tracking.create_experiment, task, artifacts)
        experiment: Experiment | None = ask(self.tracking.experiment, task)
        assert experiment is not None
        return experiment

    def _rows(
        self,
        conditions: Conditions,
        keys: Collection[str] | None = None,
        params: Collection[str] | None = None,
        ask: Ask | None = None,
    ) -> list[Row]:
        """The runs that `Tracking.rows` finds.

        Without runs whose tags are not such as Upgate writes; those are named once.
        """
        with gc_paused():
            rows = self.tracking.rows(conditions, keys, params, ask or self._call)
        foreign = {row.run_id for row in rows if not is_own(row)}
        if new := foreign - self._foreign:
            logger.warning(
                "left out: %d run(s) of %s with tags that are not Upgate's, such as %s",
                len(new),
                redact(self.uri),
                min(new),
            )
            self._foreign |= new
        return [row for row in rows if row.run_id not in foreign]

    def _call(self, function: Callable[..., T], *args: Any) -> T:
        return call_mlflow(self.uri, function, *args)

    def _call_once(self, function: Callable[..., T], *args: Any) -> T:
        return call_mlflow(self.uri, function, *args, patience=0)

    def _call_unless_away(self, function: Callable[..., T], *args: Any) -> T:
        """Call MLflow; where it was away the last time, without waiting for it."""
        try:
            answer = (self._call_once if self._away else self._call)(function, *args)
        except Unreachable:
            self._away = True
            raise
        self._away = False
        return answer


def check_root(root: Path) -> None:
    """Raise UserError for a folder that cannot be made or written to. Leaves nothing there."""
    there = next(path for path in (root, *root.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryFile(dir=there):
            return
    except OSError as error:
        reason = f"{error.strerror}"
        if there != root:
            reason = say("at_place", place=str(there), cause=reason)
        elif there.is_file():
            reason = say("is_a_file")
        raise UserError(say("cannot_hold", root=str(root), reason=reason)) from None


def disk_time(folder: Path) -> float:
    """The time of the clock that gives a folder's files theirs, in seconds since 1970.

    That of a shared disk is its server's, whatever clock this machine has.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def is_alive(pid: int) -> bool:
    """Whether a process of this machine lives, also one of another user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

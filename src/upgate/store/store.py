"""The run store: the only module, with its `store_*` parts, that knows MLflow.

A task is an experiment, a command a parent run, a training a child run, known by its key. `<root>/` holds `mlflow.db`,
`artifacts/` and `open/`, the journals of runs in progress (`store_journal.py`); with MLFLOW_TRACKING_URI only the latter.
"""

import gc
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from upgate.errors import UserError
from upgate.store.connect import connect, first_line, shown
from upgate.store.flusher import (
    PAIRS,
    TAG,
    LogFlusher,
    blocks,
    is_over,
    is_refusal,
    send_metrics,
    send_status,
    send_tags,
)
from upgate.store.record import PARENT, Row, row_of, where
from upgate.store.run import Run, clean, now, number
from upgate.store.ui import ui_command, ui_url
from upgate.store.watchdog import watchdog
from upgate.store.write_ahead_log import WriteAheadLog, claim, holder

T = TypeVar("T")

PARAM, NAME = 6000, 250  # characters, MLflow's limits; that of names is PostgreSQL's to enforce
PAGE = 200  # runs per search call; MLflow takes some 150 kB for each while it answers
NEWEST = ["attributes.start_time DESC"]
FEW = 50  # keys asked one by one (5 ms each); more are found by reading all runs (2 ms each)
SILENCE = 60.0  # seconds without a sign of life after which another machine's run is dead; it gives one every 2 to 42
PATIENCE = 30.0  # seconds that a call waits for a store that answered before


class Store:
    """Cheap to make; MLflow is imported and opened by `prepare`, or by the first call that needs it."""

    def __init__(self, root: Path, uri: str | None = None) -> None:
        self.root = root.resolve()
        self.uri = (
            uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.root / 'mlflow.db'}"
        )
        self.open = (
            self.root / "open" / hashlib.sha256(shown(self.uri).encode()).hexdigest()[:8]
        )  # journals, by store
        self.host = socket.gethostname()
        self._client: Any = None
        self._ids: dict[str, str] = {}

    @property
    def client(self) -> Any:
        """The MlflowClient, for what this class does not offer."""
        if self._client is None:
            self.root.mkdir(parents=True, exist_ok=True)
            self._client = connect(self.uri, self.root / "artifacts")
        return self._client

    def prepare(self) -> None:
        """Make the store ready, and deliver what killed or cut-off runs left; once per process, safe against eight at once.

        Raises UserError where the store cannot be opened.
        """
        self._settle_left()

    def experiment(self, task: str) -> str:
        """MLflow's id of the task's experiment, made if it is not there; many processes may ask at once."""
        if task not in self._ids:
            found = self._ask(self.client.get_experiment_by_name, task) or self._make(task)
            if found.lifecycle_stage != "active":
                raise UserError(
                    f"the MLflow experiment '{task}' was deleted: take it back with `mlflow experiments restore "
                    f"--experiment-id {found.experiment_id}`, or remove it for good with `mlflow gc`"
                )
            self._ids[task] = found.experiment_id
        return self._ids[task]

    def parent(self, task: str, name: str, key: str, tags: dict[str, str]) -> Run:
        """The parent run of a command. The same key goes on in the same MLflow run. Raises UserError if it is going on now."""
        return self._open(task, name, key, {}, tags | {"upgate.kind": "parent"}, resume=True)

    def run(
        self,
        task: str,
        name: str,
        key: str,
        params: dict[str, str | float | int | bool | None],
        tags: dict[str, str],
        parent: Run | str | None,
        resume: bool,
    ) -> Run:
        """The run of a training; `parent` is a Run or, in another process, its id.

        `resume` goes on in the newest unfinished run of the key, if there is one. Raises UserError if the key is being
        trained now on this machine.
        """
        parent_id = parent.id if isinstance(parent, Run) else parent
        tags = tags | {"upgate.kind": "run"} | ({PARENT: parent_id} if parent_id else {})
        return self._open(task, name, key, params, tags, resume)

    def finished(self, keys: Iterable[str]) -> dict[str, Row]:
        """FINISHED runs by key, the newest of each."""
        wanted = set(keys)
        some = wanted if len(wanted) <= FEW else [None]
        rows = self._search(*(where(status="FINISHED", kind="run", key=key) for key in some))
        return {row.key: row for row in reversed(rows) if row.key in wanted}

    def rows(
        self,
        task: str | None = None,
        recipe: str | None = None,
        status: str | None = None,
        parent: str | None = None,
    ) -> list[Row]:
        """Runs of ours, newest first; `parent` is the id of a parent run."""
        return self._search(where(task=task, recipe=recipe, status=status, parent=parent))

    def annotate(self, run_id: str, metrics: dict[str, float]) -> None:
        """Add single numbers to a run that is over."""
        points = {clean(name): number(value) for name, value in metrics.items()}
        self._ask(send_metrics, self.client, run_id, [{"m": points, "s": 0, "t": now()}])

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """Fetch an artifact of a run into a folder of this machine's. Raises UserError where the run has none of that name."""
        folder.mkdir(parents=True, exist_ok=True)
        if name not in [entry.path for entry in self._ask(self.client.list_artifacts, run_id)]:
            raise UserError(
                f"run {run_id} kept no {name}; choose another run with run=..., upgate runs lists them"
            )
        return Path(self._ask(self.client.download_artifacts, run_id, name, str(folder)))

    def reconcile(self) -> list[str]:
        """Deliver what is left, and set KILLED what is RUNNING here without a living owner. Returns those runs' ids."""
        killed = self._settle_left()
        for row in self._search(where(status="RUNNING", host=self.host, root=str(self.root))):
            if not self.journal(row.key).exists() and not alive(
                int(row.tags["upgate.pid"])
            ):  # somebody threw it away
                self._ask(send_status, self.client, row.run_id, [{"status": "KILLED", "t": now()}])
                killed.append(row.run_id)
        return killed

    def mark_dead(self, key: str, status: str, why: str) -> Row | None:
        """End the run of a key whose process is dead, at once and as `status`, unless it had ended itself. The key's newest run.

        The dead one's watchdog, seconds later, finds nothing to do; if it was faster, its KILLED gives way.
        """
        path, until = self.journal(key), time.monotonic() + PATIENCE
        while (
            path.exists() and time.monotonic() < until
        ):  # held by the watchdog, for as long as it delivers
            if (journal := claim(path, create=False)) is not None:
                LogFlusher(self.client, shown(self.uri), self.root).settle(journal, status)
                journal.remove()
            time.sleep(0.05)
        row = next(iter(self._search(where(key=key, kind="run"))), None)
        if row is None or row.status == "FINISHED":
            return row
        self._ask(self.client.log_text, row.run_id, why, "traceback.txt")
        if row.status != status:
            self._ask(send_status, self.client, row.run_id, [{"status": status, "t": now()}])
        return row

    def journal(self, key: str) -> Path:
        """The file that is there, locked, while a key is trained; or while MLflow has not been told everything of it."""
        return self.open / f"{key}.jsonl"

    def ui_command(self, port: int = 5000) -> list[str]:
        """The command that shows this store in a browser. Raises UserError where a server does so already."""
        if self.uri.startswith("http"):
            raise UserError(f"MLflow's pages are at {shown(self.uri)}: open that in a browser")
        self.prepare()
        return ui_command(self.uri, self.root / "artifacts", port)

    def ui_url(self, task: str | None = None, runs: Iterable[str] = (), port: int = 5000) -> str:
        """Where to look: at these runs beside each other, else at the charts of a task, else at the list of tasks."""
        base = (
            shown(self.uri).rstrip("/")
            if self.uri.startswith("http")
            else f"http://127.0.0.1:{port}"
        )
        return ui_url(base, self.experiment(task) if task else None, runs)

    def _open(
        self,
        task: str,
        name: str,
        key: str,
        params: dict[str, Any],
        tags: dict[str, str],
        resume: bool,
    ) -> Run:
        if not key.isalnum():
            raise UserError(f"a run's key is letters and digits, not {key!r}")
        experiment, journal = self.experiment(task), self._claim(name, key)
        with ExitStack() as undo:
            undo.callback(journal.release)
            watchdog.opened(journal.path, self.root, self.uri)
            undo.callback(watchdog.closed, journal.path)
            courier = LogFlusher(self.client, shown(self.uri), self.root)
            if not courier.settle(journal):
                raise UserError(
                    f"the MLflow store {shown(self.uri)} does not answer: start it and try again"
                )
            tags = tags | {"upgate.key": key, "upgate.task": task} | self._owner()
            earlier = self._unfinished(key, tags["upgate.kind"]) if resume else None
            run = earlier or self._create(experiment, name, tags)
            journal.begin({"run": run.info.run_id, "name": name, **self._owner()})
            if earlier:
                self._ask(send_tags, self.client, run.info.run_id, [{"tags": tags}])
                self._ask(self.client.update_run, run.info.run_id, "RUNNING")
            self._log_params(run, params)
            undo.pop_all()
        seen = {metric.key: metric.step for metric in run.data.to_proto().metrics}
        return Run(run.info.run_id, key, journal, courier, seen)

    def _create(self, experiment: str, name: str, tags: dict[str, str]) -> Any:
        short = {name: value[:TAG] for name, value in tags.items()}
        return self._ask(self.client.create_run, experiment, run_name=name[:NAME], tags=short)

    def _unfinished(self, key: str, kind: str) -> Any:
        """The newest run of a key to go on in; a parent may go on even when FINISHED. Not what another machine is at."""
        for run in self._find([where(key=key, kind=kind)]):
            status, host = run.info.status, run.data.tags.get("upgate.host")
            if kind == "parent" or not (
                status == "FINISHED" or (status == "RUNNING" and host != self.host)
            ):
                return run
        return None

    def _log_params(self, run: Any, params: dict[str, Any]) -> None:
        """Those that the run has not: MLflow refuses to change one."""
        from mlflow.entities import Param

        texts = {clean(name): str(value)[:PARAM] for name, value in params.items()}
        missing = [Param(name, text) for name, text in texts.items() if name not in run.data.params]
        for block in blocks(missing, PAIRS):
            self._ask(self.client.log_batch, run.info.run_id, params=block)

    def _owner(self) -> dict[str, str]:
        return {
            "upgate.host": self.host,
            "upgate.pid": str(os.getpid()),
            "upgate.root": str(self.root),
        }

    def _claim(self, name: str, key: str) -> WriteAheadLog:
        """The key's journal; raises UserError while a living process has it, and waits where that has to show."""
        path, until, before = self.journal(key), time.monotonic() + SILENCE + PATIENCE, 0.0
        while (journal := claim(path)) is None or not self._abandoned(journal):
            owner, changed = holder(path)
            if journal:
                journal.release()
            pid, host = owner.get("upgate.pid", "0"), owner.get("upgate.host", "?")
            here = host == self.host and alive(
                int(pid)
            )  # else somebody on this machine settles what a dead one left
            there = host not in ("?", self.host) and 0 < before < changed
            if here or there or time.monotonic() > until:
                raise UserError(
                    f"'{name}' (key {key[:16]}) is going on already, in process {pid} on {host}: wait for it, or stop it"
                )
            before = changed
            time.sleep(0.2)
        return journal

    def _abandoned(self, journal: WriteAheadLog) -> bool:
        """Whether the owner of a claimed journal is dead. The lock proves it, but across machines not every disk keeps it."""
        return (
            journal.header.get("upgate.host") in (None, self.host)
            or time.time() - journal.changed > SILENCE
        )

    def _settle_left(self) -> list[str]:
        """Deliver the journals without a living owner; the ids of the runs that are KILLED by that."""
        killed, courier = [], LogFlusher(self.client, shown(self.uri), self.root)
        for path in sorted(self.open.glob("*.jsonl")):
            if (journal := claim(path, create=False)) is None:
                continue
            died = bool(journal.header) and not is_over(journal)
            if self._abandoned(journal) and courier.settle(journal):
                killed += [journal.header["run"]] if died else []
                journal.remove()
            else:
                journal.release()
        return killed

    def _make(self, task: str) -> Any:
        """Make an experiment; another process may be faster."""
        from mlflow.exceptions import MlflowException

        artifacts = None if self.uri.startswith("http") else str(self.root / "artifacts")
        try:
            self.client.create_experiment(task, artifacts)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._ask(self.client.get_experiment_by_name, task)

    def _search(self, *conditions: str) -> list[Row]:
        return [row_of(run) for run in self._find(conditions)]

    def _find(self, conditions: Iterable[str]) -> Iterator[Any]:
        """MLflow's runs that meet a condition, newest first, then those that meet the next one."""
        places = [found.experiment_id for found in self._ask(self.client.search_experiments)]
        for condition in conditions:
            token = None
            while token != "":
                with unswept():
                    page = self._ask(
                        self.client.search_runs,
                        places,
                        condition,
                        max_results=PAGE,
                        order_by=NEWEST,
                        page_token=token,
                    )
                yield from page
                token = page.token or ""

    def _ask(self, call: Callable[..., T], *args: Any, **more: Any) -> T:
        """Call MLflow; wait for it for a while. Raises UserError where it refuses, or stays away."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return call(*args, **more)
            except Exception as error:  # the boundary to a service
                if is_refusal(error) or time.monotonic() > until:
                    raise UserError(
                        f"the MLflow store {shown(self.uri)} fails: {first_line(error)}"
                    ) from error
            time.sleep(1)


@contextmanager
def unswept() -> Iterator[None]:
    """Without the garbage collector: MLflow makes 150 objects for each run, and sweeping them takes longer than making them."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True

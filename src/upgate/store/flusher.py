"""Brings a journal's lines to MLflow: in order, in batches, again and again until MLflow has them.

A line may be sent twice (a reply is lost, a process is killed): every one of them means the same the second time. MLflow
itself drops a metric whose name, step, timestamp and value it has; tags, status and files are overwritten; a dataset is
linked once.
"""

import json
import logging
import re
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from upgate.store.connect import first_line
from upgate.store.write_ahead_log import Op, WriteAheadLog

POINTS, PAIRS = 1000, 100  # metrics, and params or tags, in one log_batch: MLflow's limits
TAG, DIGEST, DATASET_NAME = 8000, 36, 500  # characters, MLflow's limits
TRIES, RACE = 5, re.compile("IntegrityError|UniqueViolation|database is locked")
REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}

T = TypeVar("T")

log = logging.getLogger(__name__)


class LogFlusher:
    """Delivers journals to one store. What MLflow refuses for good is kept in `<root>/refused.jsonl` and warned about."""

    def __init__(self, client: Any, where: str, root: Path) -> None:
        self.client, self.where, self.root = client, where, root
        self._down = False

    def drain(self, journal: WriteAheadLog) -> bool:
        """Deliver all there is; False where MLflow does not answer, and the rest stays for later."""
        over = False
        for ops, offset in batches(journal):
            if not self._deliver(journal.header["run"], ops):
                return False
            journal.delivered(offset)
            over = ops[-1]["op"] == "status"
        if not over:  # the final line stays until the file goes: it is how a finished run is told from a killed one
            journal.shrink()
        return True

    def settle(self, journal: WriteAheadLog, status: str = "KILLED") -> bool:
        """Deliver what a dead owner left. A run that it had not ended is KILLED, or `status`, at its last sign of life."""
        if not journal.header:
            return True
        journal.mend()
        if not is_over(journal):
            journal.append({"op": "status", "status": status, "t": int(journal.changed * 1000)})
        return self.drain(journal)

    def _deliver(self, run_id: str, ops: list[Op]) -> bool:
        try:
            send(self.client, run_id, ops)
        except (
            Exception
        ) as error:  # the boundary to a service: anything may come back, and training must go on
            if not is_refusal(error):
                self._say_down(error)
                return False
            self._refused(run_id, ops, error)
        if self._down:
            log.warning(
                "The MLflow store %s answers again; what was kept is delivered.", self.where
            )
        self._down = False
        return True

    def _say_down(self, error: Exception) -> None:
        if not self._down:
            log.warning(
                "The MLflow store %s does not answer; logs are kept in %s and delivered later (%s).",
                self.where,
                self.root / "open",
                first_line(error)[:200],
            )
        self._down = True

    def _refused(self, run_id: str, ops: list[Op], error: Exception) -> None:
        path = self.root / "refused.jsonl"
        log.warning(
            "MLflow refused %d lines of run %s, kept in %s: %s",
            len(ops),
            run_id,
            path,
            first_line(error),
        )
        with path.open("a") as file:
            file.writelines(json.dumps({"run": run_id, **op}) + "\n" for op in ops)


def batches(journal: WriteAheadLog) -> Iterator[tuple[list[Op], int]]:
    """Undelivered lines: neighbouring metrics together as far as one call takes them, all else alone."""
    ops: list[Op] = []
    points, end = 0, 0
    for op, offset in journal.pending():
        size = len(op["m"]) if op["op"] == "metrics" else POINTS
        if ops and points + size > POINTS:
            yield ops, end
            ops, points = [], 0
        ops.append(op)
        points, end = points + size, offset
    if ops:
        yield ops, end


def is_over(journal: WriteAheadLog) -> bool:
    return any(op["op"] == "status" for op, _ in journal.pending())


def is_refusal(error: Exception) -> bool:
    """Whether the answer was no, so that asking again is useless."""
    status = getattr(getattr(error, "response", None), "status_code", None)  # of an upload
    code = getattr(error, "error_code", None)  # of MLflow
    return isinstance(error, FileNotFoundError) or code in REFUSALS or status in (400, 404, 413)


def blocks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while block := list(islice(left, size)):
        yield block


def send(client: Any, run_id: str, ops: list[Op]) -> None:
    """Two processes make the same thing at once, such as a dataset, and MLflow fails the slower one, which finds it there next time."""
    for again in range(TRIES, 0, -1):
        try:
            SEND[ops[0]["op"]](client, run_id, ops)
            return
        except Exception as error:
            if again == 1 or not RACE.search(str(error)):
                raise
        time.sleep(0.1)


def send_metrics(client: Any, run_id: str, ops: list[Op]) -> None:
    from mlflow.entities import Metric

    points = (
        Metric(name, value, op["t"], op["s"]) for op in ops for name, value in op["m"].items()
    )
    for block in blocks(points, POINTS):  # one line may hold more than a call takes
        client.log_batch(run_id, metrics=block)


def send_tags(client: Any, run_id: str, ops: list[Op]) -> None:
    from mlflow.entities import RunTag

    for block in blocks(ops[0]["tags"].items(), PAIRS):
        client.log_batch(run_id, tags=[RunTag(name, value[:TAG]) for name, value in block])


def send_artifact(client: Any, run_id: str, ops: list[Op]) -> None:
    path, folder = ops[0]["path"], ops[0]["folder"] or None
    (client.log_artifacts if Path(path).is_dir() else client.log_artifact)(run_id, path, folder)


def send_text(client: Any, run_id: str, ops: list[Op]) -> None:
    client.log_text(run_id, ops[0]["text"], ops[0]["name"])


def send_dataset(client: Any, run_id: str, ops: list[Op]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    op = ops[0]
    kind, key = ("http", "url") if op["source"].startswith("http") else ("local", "uri")
    dataset = Dataset(
        name=op["name"][:DATASET_NAME],
        digest=op["digest"][:DIGEST],
        source_type=kind,
        source=json.dumps({key: op["source"]}),
        profile=json.dumps(op["profile"]),
    )
    client.log_inputs(
        run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", op["context"])])]
    )


def send_status(client: Any, run_id: str, ops: list[Op]) -> None:
    client.set_terminated(run_id, ops[0]["status"], ops[0]["t"])


SEND = {
    "metrics": send_metrics,
    "tags": send_tags,
    "artifact": send_artifact,
    "text": send_text,
    "dataset": send_dataset,
    "status": send_status,
}

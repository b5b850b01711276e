"""Delivers the lines of a write-ahead log to MLflow: in order, in batches, until MLflow has them.

A line may be sent twice (a reply is lost, a process is killed); the second time changes nothing.
MLflow drops a metric whose name, step, timestamp and value it has; tags, status and files are
overwritten; a dataset is linked once.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from upgate.store.connect import Removed, first_line
from upgate.store.opening import Earlier, Opened, Opening
from upgate.store.tracking import POINTS, Dataset, Point, Tracking
from upgate.store.write_ahead_log import Op, WriteAheadLog

OPEN = "open"  # in a header instead of the run's id: what to open the run with
TAG, DIGEST, DATASET_NAME = 8000, 36, 500  # characters, MLflow's limits
# what passes at the next try: two processes create the same thing, an answer is lost
TRIES, PASSING = (
    5,
    re.compile(
        "IntegrityError|UniqueViolation|database is locked|Connection aborted|Connection broken"
    ),
)
REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}

logger = logging.getLogger(__name__)


class LogFlusher:
    """Delivers logs to one store.

    Lines that MLflow refuses for good are kept in `<root>/refused.jsonl`, with a warning.
    """

    def __init__(
        self,
        tracking: Callable[[], Tracking],
        open_run: Callable[[Opening], Opened],
        store: str,
        root: Path,
    ) -> None:
        """`tracking` and `open_run` raise while the store is away.

        `store`: its URI without a password, for messages.
        """
        self.tracking, self.open_run, self.store, self.root = tracking, open_run, store, root
        self._unreachable = self._unkept = False  # whether that was said

    def flush(self, log: WriteAheadLog) -> bool:
        """Deliver all lines; False where MLflow does not answer, and the rest stays for later."""
        has_ended = False
        for ops, offset in batches(log):
            if not (self._is_open(log) and self._deliver(log, ops)):
                return False
            log.mark_delivered(offset)
            has_ended = ops[-1]["op"] == "status"
        if not self._set_aside(log):
            return False
        if (
            not has_ended
        ):  # the last line stays with the file: it tells a finished run from a killed one
            log.compact()
        return True

    def recover(self, log: WriteAheadLog, status: str = "KILLED") -> bool:
        """Deliver what a dead owner left.

        A run that it had not ended gets `status`, at the owner's last sign of life.
        """
        log.drop_torn_line()
        if not log.header.keys() & {"run", OPEN}:
            if log.size:  # its first line is damaged: nobody knows whose the others are
                log.give_up()
            return self._set_aside(log)
        if not has_ended(log):
            log.append({"op": "status", "status": status, "t": int(log.changed * 1000)})
        return self.flush(log)

    def _is_open(self, log: WriteAheadLog) -> bool:
        """Open the run of a log that began while the store was away."""
        if "run" in log.header:
            return True
        try:
            opened = self.open_run(Opening(**log.header[OPEN]))
        except Removed:  # whoever trains says so
            return False
        except Exception as error:  # the boundary to a service: training must go on
            self._warn_unreachable(error)
            return False
        log.header["run"], log.earlier = opened
        return True

    def _path_inside(self, log: WriteAheadLog, name: str) -> Path:
        """An artifact's path in the store's folder, which may have moved since the log began.

        Raises FileNotFoundError, a refusal, for one from outside.
        """
        path, old = Path(name), Path(log.header.get("upgate.root", self.root))
        path = self.root / path.relative_to(old) if path.is_relative_to(old) else path
        if not path.resolve().is_relative_to(self.root):
            raise FileNotFoundError(f"{path} is not in {self.root}")
        return path

    def _set_aside(self, log: WriteAheadLog) -> bool:
        """Keep damaged lines in a file of their own, and say so once; False where it takes none."""
        if not log.damaged:
            return True
        path, content = self.root / "damaged.jsonl", b"".join(log.damaged.values())
        if not self._keep(path, content):
            return False
        message = "Damaged lines of the log %s, set aside in %s: %d; the others are delivered."
        logger.warning(message, log.path.name, path, content.count(b"\n"))
        log.damaged.clear()
        return True

    def _deliver(self, log: WriteAheadLog, ops: list[Op]) -> bool:
        run_id = log.header["run"]
        if log.earlier and ops[0]["op"] == "metrics":
            ops = [without_known(op, log.earlier) for op in ops]
        try:
            if ops[0]["op"] not in SEND:
                raise FileNotFoundError(f"nothing is known of {ops[0]['op']}")
            if ops[0]["op"] == "artifact":
                ops = [{**ops[0], "path": str(self._path_inside(log, ops[0]["path"]))}]
            send(self.tracking(), run_id, ops)
        except Removed:  # whoever trains says so
            return False
        except Exception as error:  # the boundary to a service: training must go on
            if not is_refusal(error):
                self._warn_unreachable(error)
                return False
            if not self._keep_refused(run_id, ops, error):
                return False
        if self._unreachable:
            message = "The MLflow store %s answers again; the lines that were kept are delivered."
            logger.warning(message, self.store)
        self._unreachable = False
        return True

    def _warn_unreachable(self, error: Exception) -> None:
        if not self._unreachable:
            message = "The MLflow store %s does not answer; logs stay in %s for later (%s)."
            folder = self.root / "open"
            logger.warning(message, self.store, folder, first_line(error)[:200])
        self._unreachable = True

    def _keep_refused(self, run_id: str, ops: list[Op], error: Exception) -> bool:
        path = self.root / "refused.jsonl"
        lines = "".join(json.dumps({"run": run_id, **op}) + "\n" for op in ops)
        if not self._keep(path, lines.encode()):
            return False
        message = "MLflow refused %d lines of run %s, kept in %s: %s"
        logger.warning(message, len(ops), run_id, path, first_line(error))
        return True

    def _keep(self, path: Path, content: bytes) -> bool:
        """Add to a file of the root; False where it takes nothing, so that the log stays."""
        try:
            with path.open("ab") as file:
                file.write(content)
        except OSError as error:  # such as a full disk, which must not end the training
            if not self._unkept:
                message = "%s takes no lines (%s); they stay in the log, in %s."
                logger.warning(message, path, error.strerror, self.root / "open")
            self._unkept = True
            return False
        return True


def without_known(op: Op, earlier: Earlier) -> Op:
    """A line of metrics without the points that a run which went on has already."""
    points = {name: one for name, one in op["m"].items() if earlier.lacks(name, op["s"], one)}
    return {**op, "m": points}


def batches(log: WriteAheadLog) -> Iterator[tuple[list[Op], int]]:
    """Undelivered lines: consecutive metrics together up to MLflow's limit, all others alone."""
    ops: list[Op] = []
    points, end = 0, 0
    for op, offset in log.pending():
        size = len(op["m"]) if op["op"] == "metrics" else POINTS
        if ops and points + size > POINTS:
            yield ops, end
            ops, points = [], 0
        ops.append(op)
        points, end = points + size, offset
    if ops:
        yield ops, end


def has_ended(log: WriteAheadLog) -> bool:
    return any(op["op"] == "status" for op, _ in log.pending())


def is_refusal(error: Exception) -> bool:
    """Whether the answer was no, so that asking again is useless."""
    status = getattr(getattr(error, "response", None), "status_code", None)  # of an upload
    code = getattr(error, "error_code", None)  # of MLflow
    return isinstance(error, FileNotFoundError) or code in REFUSALS or status in (400, 404, 413)


def send(tracking: Tracking, run_id: str, ops: list[Op]) -> None:
    """Send one batch; try again where two processes create the same thing, such as a dataset.

    MLflow fails the slower one, which finds it at the next try. Likewise where the connection ends
    before the answer: a second time changes nothing.
    """
    for tries_left in range(TRIES, 0, -1):
        try:
            SEND[ops[0]["op"]](tracking, run_id, ops)
            return
        except Exception as error:
            if tries_left == 1 or not PASSING.search(str(error)):
                raise
        time.sleep(0.1)


def send_metrics(tracking: Tracking, run_id: str, ops: list[Op]) -> None:
    points = [Point(name, value, op["t"], op["s"]) for op in ops for name, value in op["m"].items()]
    tracking.log_points(run_id, points)


def send_tags(tracking: Tracking, run_id: str, ops: list[Op]) -> None:
    tags = {name: value[:TAG] for name, value in ops[0]["tags"].items()}
    tracking.set_tags(run_id, tags)


def send_artifact(tracking: Tracking, run_id: str, ops: list[Op]) -> None:
    tracking.log_artifact(run_id, Path(ops[0]["path"]), ops[0]["folder"])


def send_text(tracking: Tracking, run_id: str, ops: list[Op]) -> None:
    tracking.log_text(run_id, ops[0]["text"], ops[0]["name"])


def send_dataset(tracking: Tracking, run_id: str, ops: list[Op]) -> None:
    op = ops[0]
    kind, key = ("http", "url") if op["source"].startswith("http") else ("local", "uri")
    dataset = Dataset(
        name=op["name"][:DATASET_NAME],
        digest=op["digest"][:DIGEST],
        source_type=kind,
        source=json.dumps({key: op["source"]}),
        profile=json.dumps(op["profile"]),
        context=op["context"],
    )
    tracking.log_dataset(run_id, dataset)


def send_status(tracking: Tracking, run_id: str, ops: list[Op]) -> None:
    tracking.set_status(run_id, ops[0]["status"], ops[0]["t"])


SEND = {
    "metrics": send_metrics,
    "tags": send_tags,
    "artifact": send_artifact,
    "text": send_text,
    "dataset": send_dataset,
    "status": send_status,
}

"""How a run is opened in MLflow: at once, or from its log, later, where the store was away."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from upgate.store.record import Conditions, Row
from upgate.store.tracking import Ask, Tracking

# tags that no later command changes
FIRST = (
    *("upgate.command", "upgate.git", "upgate.changed"),
    *("mlflow.user", "mlflow.source.name", "mlflow.source.git.commit"),
)
OPENING = "upgate.opened"  # tag: the opening that made a run, or went on in it, has it alone


@dataclass(frozen=True)
class Opening:
    """What a run is opened with: plain values, as they stand in a log.

    start: in milliseconds. resume: go on in the newest unfinished run of the key.
    """

    task: str
    name: str
    key: str
    params: dict[str, str]
    tags: dict[str, str]
    resume: bool
    start: int


@dataclass(frozen=True)
class Earlier:
    """The history of a run that goes on. numbers: the values at step 0."""

    last_steps: Mapping[str, int]
    numbers: Mapping[str, float]

    def lacks(self, name: str, step: int, value: float) -> bool:
        """Whether a point is not in the history yet."""
        if step > 0:
            return step > self.last_steps.get(name, 0)
        known = self.numbers.get(name)
        return known is None or not (known == value or (math.isnan(known) and math.isnan(value)))


class Opened(NamedTuple):
    """The id of an open run, and its history, if it went on in an earlier one."""

    run_id: str
    earlier: Earlier | None


def open_run(tracking: Tracking, experiment: str, opening: Opening, host: str, ask: Ask) -> Opened:
    """Open a run in an experiment, an id of MLflow's."""
    row = _find_earlier(tracking, opening, host, ask)
    if row is None:
        run_id, earlier = ask(_creation(tracking, experiment, opening)), None
    else:
        run_id, earlier = row.run_id, _go_on(tracking, row, opening.tags, ask)
    known = row.params if row else {}
    # MLflow refuses to change a parameter
    missing = {name: text for name, text in opening.params.items() if name not in known}
    if missing:
        ask(tracking.log_params, run_id, missing)
    return Opened(run_id, earlier)


def _creation(tracking: Tracking, experiment: str, opening: Opening) -> Callable[[], str]:
    """A function that creates the run; called again after a lost answer, it finds it."""
    tries = count()

    def create() -> str:
        rows = tracking.rows(_conditions(opening)) if next(tries) else ()
        for row in rows:
            if row.tags.get(OPENING) == opening.tags[OPENING]:
                return row.run_id
        return tracking.create_run(experiment, opening.name, opening.tags, opening.start)

    return create


def _conditions(opening: Opening) -> Conditions:
    return {"key": opening.key, "kind": opening.tags["upgate.kind"]}


def _find_earlier(tracking: Tracking, opening: Opening, host: str, ask: Ask) -> Row | None:
    """The run to go on in: what this log has opened already, else the newest unfinished one.

    A parent may go on even when it is FINISHED. Never a run that another machine is training.
    """
    rows = tracking.rows(_conditions(opening), ask=ask)
    for row in rows:
        if row.tags.get(OPENING) == opening.tags[OPENING]:
            return row
    for row in rows if opening.resume else ():
        trained_elsewhere = row.status == "RUNNING" and row.tags.get("upgate.host") != host
        if row.tags["upgate.kind"] == "parent" or not (
            row.status == "FINISHED" or trained_elsewhere
        ):
            return row
    return None


def _go_on(tracking: Tracking, row: Row, tags: Mapping[str, str], ask: Ask) -> Earlier:
    """Take a run over; its history. It keeps the tags that tell how it began."""
    kept = FIRST if FIRST[0] in row.tags else ()
    changed = {name: value for name, value in tags.items() if name not in kept}
    ask(tracking.set_tags, row.run_id, changed)
    ask(tracking.set_status, row.run_id, "RUNNING", None)
    last_steps = ask(tracking.last_steps, row.run_id)
    return Earlier(last_steps, ask(tracking.numbers, row.run_id))

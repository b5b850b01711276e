"""What the store already holds of the runs that a study or a search plans."""

import os
from collections.abc import Iterable

from upgate.config.values import Section
from upgate.experiment.texts import say
from upgate.run.job import Job, flatten_spec
from upgate.store.record import Row
from upgate.store.store import Store

VARYING = ("seed", "fold", "recipe")  # parameters in which two runs of one length may differ


def stored_rows(store: Store, task: str) -> list[Row]:
    """The rows of a task; none, and no new store, where there is no store yet."""
    exists = (store.root / "mlflow.db").exists() or "MLFLOW_TRACKING_URI" in os.environ
    return store.rows(task=task) if exists else []


def finished_runs(rows: Iterable[Row]) -> list[Row]:
    """The trainings that finished; parent runs are left out."""
    return [row for row in rows if row.status == "FINISHED" and not row.is_parent]


def same_but_for_seed(row: Row, job: Job) -> bool:
    """Whether a stored run differs from a job in seed and fold at most."""
    parameters = flatten_spec(job).items()
    wanted = {name: str(value) for name, value in parameters if name not in VARYING}
    same = all(row.params.get(name) == value for name, value in wanted.items())
    return same and row.tags.get("upgate.data") == job.spec.data


def looked_at(row: Row, data: str, split: Section) -> bool:
    """Whether a run was evaluated on the test part of this data (a hash) and split.

    A closed test part was not evaluated; it is closed while hyperparameters are chosen.
    """
    same = all(row.params.get(f"split.{name}") == str(value) for name, value in split.items())
    return same and row.tags.get("upgate.data") == data and row.params.get("split.closed") != "True"


def count_looks(rows: Iterable[Row], data: str, split: Section) -> int:
    """Finished runs that were evaluated on this test part, whichever command trained them."""
    return sum(looked_at(row, data, split) for row in finished_runs(rows))


def looks_line(count: int) -> str:
    """The sentence with which train, study and tune say how often the test part was looked at."""
    return say("looks", count=count)


def stored_looks(store: Store, task: str, data: str, split: Section) -> int:
    """`count_looks` over what the store holds, read without metrics."""
    names = {"split.closed", *(f"split.{name}" for name in split)}
    return count_looks(store.looks(task, data, names), data, split)


def looks_lines(store: Store, jobs: Iterable[Job]) -> list[str]:
    """A sentence for the test parts of these jobs, of each data and split; the same one once."""
    parts = {(job.spec.data, str(job.spec.split.to_dict())): job.spec for job in jobs}
    lines = [
        looks_line(stored_looks(store, spec.task.name, spec.data, spec.split.to_dict()))
        for spec in parts.values()
    ]
    return list(dict.fromkeys(lines))

"""How often the test part was looked at, in one sentence per test part."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from helpers.run import small, train
from upgate.experiment.jobs import make_job
from upgate.experiment.records import looks_line, looks_lines
from upgate.run.datasets import Datasets
from upgate.run.job import Job, flatten_spec
from upgate.store.record import Row
from upgate.store.store import Store


def job(datasets: Datasets, *words: str) -> Job:
    return make_job(small(*words), datasets, None)


def row(one: Job, status: str = "FINISHED", **params: str) -> Row:
    """The stored run of a job, as far as looks at the test part go."""
    written = {name: str(value) for name, value in flatten_spec(one).items()} | params
    tags, start = {"upgate.data": one.spec.data}, datetime.now(UTC)
    key = one.spec.key
    return Row(key, key, one.name, "stock", status, start, 1.0, written, {}, tags, None, False)


class Held(Store):
    """A store that holds these rows."""

    def __init__(self, rows: list[Row]) -> None:
        self.held = rows

    def looks(self, task: str, data: str, params: Collection[str]) -> list[Row]:
        return [row for row in self.held if row.status == "FINISHED"]


def test_looks_are_counted_by_test_part_and_said_once_for_each() -> None:
    datasets = Datasets()
    first, second = job(datasets), job(datasets, "seed=1")
    other = job(datasets, "split.test=0.3")
    rows = [
        row(first),
        row(second),
        row(first, "FAILED"),
        row(first, **{"split.closed": "True"}),
        row(other),
    ]
    assert looks_lines(Held(rows), [first, second]) == [looks_line(2)]
    assert looks_lines(Held(rows), [first, second, other]) == [looks_line(2), looks_line(1)]
    assert looks_lines(Held([]), [first]) == [looks_line(0)]


def test_a_stores_looks_are_those_of_its_finished_runs(tmp_path: Path) -> None:
    words = ["split.test=0.3", "trainer.max_epochs=1"]
    code, _ = train(tmp_path, *small(*words))
    assert code == 0
    datasets = Datasets()
    same, other = job(datasets, *words), job(datasets, "split.test=0.2")
    lines = looks_lines(Store(tmp_path), [same, other])
    assert lines == [looks_line(2), looks_line(0)]  # the run and its twin

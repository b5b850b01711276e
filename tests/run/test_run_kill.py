"""Killed in the middle, then the same command: nothing is trained twice, nothing is lost, statuses
are true.
"""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from helpers.execution import wait_for
from helpers.run import half_way, numbers, results, start, train
from upgate.store.record import Row
from upgate.store.store import Store

SWEEP = ["clip=none,norm", "optimizer=adam,sgd", "trainer.max_epochs=6"]


@pytest.fixture(scope="module")
def undisturbed_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed") / "runs"
    code, _ = train(root, *SWEEP, sweep=True)
    assert code == 0
    return root


@pytest.fixture(scope="module")
def undisturbed(undisturbed_root: Path) -> dict[str, dict]:
    return results(undisturbed_root)


def histories(root: Path) -> dict[str, dict[str, list[tuple[int, float | None]]]]:
    """Run -> metric -> its points in order, all that MLflow has; of clocks the steps alone."""
    query = """select runs.name, key, step, case when is_nan then null else value end
 from metrics join runs using (run_uuid) order by step, timestamp"""
    found: dict[str, dict[str, list[tuple[int, float | None]]]] = {}
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        for run, name, step, value in connection.execute(query):
            point = (step, None if "seconds" in name else value)
            found.setdefault(run, {}).setdefault(name, []).append(point)
    return found


LONG = [pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("how", [signal.SIGKILL, *LONG])
def test_the_same_command_goes_on_where_it_was_killed(
    how: signal.Signals,
    undisturbed: dict[str, dict],
    undisturbed_root: Path,
    tmp_path: Path,
) -> None:
    root = tmp_path / "runs"
    process = start(root, "-m", *SWEEP)
    wait_for(lambda: half_way(root), 90, "half the sweep")
    process.send_signal(how)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == (-9 if how == signal.SIGKILL else 130), said

    store = Store(root)
    wait_for(lambda: not store.rows(status="RUNNING"), 30, "true statuses")
    finished = {row.key: row.run_id for row in store.rows(status="FINISHED")}
    killed = [row for row in store.rows(status="KILLED") if not row.is_parent]
    assert len(killed) == 1 and finished
    stamps = {
        p: p.stat().st_mtime_ns
        for p in root.glob("*/best.ckpt")
        if (p.parent / "result.json").exists()
    }

    code, _ = train(root, *SWEEP, sweep=True)
    assert code == 0
    rows = [row for row in store.rows() if not row.is_parent]
    assert {row.status for row in rows} == {"FINISHED"}
    assert (
        len(rows) == len({row.key for row in rows}) == 5
    )  # four recipes and one twin, none of them twice
    assert killed[0].run_id in {
        row.run_id for row in rows
    }  # the killed one went on as the same run
    assert finished.items() <= {row.key: row.run_id for row in rows}.items()
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    again = results(root)
    assert {name: numbers(result) for name, result in again.items()} == {
        name: numbers(r) for name, r in undisturbed.items()
    }
    assert histories(root) == histories(undisturbed_root)


def test_a_finished_command_that_is_given_again_changes_no_record(
    undisturbed_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, (parent,) = histories(undisturbed_root), parents(undisturbed_root)
    # a curve's name has a single number too, at step 0
    steps = [step for step, _ in expected["traditional seed=0"]["seconds"]]
    assert steps == list(range(7))
    monkeypatch.setattr("sys.argv", ["upgate", "train", "in other words"])
    assert train(undisturbed_root, *SWEEP, sweep=True)[0] == 0
    assert histories(undisturbed_root) == expected
    (again,) = parents(undisturbed_root)
    assert again.tags["upgate.command"] == parent.tags["upgate.command"]


def parents(root: Path) -> list[Row]:
    return [row for row in Store(root).rows() if row.is_parent]

"""Killed in the middle, then the same command: nothing is trained twice, nothing is lost, statuses
are true.
"""

import signal
from pathlib import Path

import pytest

from helpers.execution import wait_for
from helpers.run import half_way, numbers, results, start, train
from upgate.store.store import Store

SWEEP = ["clip=none,norm", "optimizer=adam,sgd", "trainer.max_epochs=6"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    root = tmp_path_factory.mktemp("undisturbed") / "runs"
    code, _ = train(root, *SWEEP, sweep=True)
    assert code == 0
    return results(root)


LONG = [pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("how", [signal.SIGKILL, *LONG])
def test_the_same_command_goes_on_where_it_was_killed(
    how: signal.Signals, undisturbed: dict[str, dict], tmp_path: Path
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

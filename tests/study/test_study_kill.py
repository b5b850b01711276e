"""kill -9 in the middle of a study, then the same command: the same numbers, to the last digit."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers.execution import wait_for
from helpers.study import numbers, results, study
from upgate.store.store import Store
from upgate.tasks.names import module_of

WORDS = [
    "study=pair",
    "study.seeds=1",
    "split=walk_forward",
    "split.folds=2",
    "study.aa=false",
    "trainer.max_epochs=6",
]


def begun(root: Path, runs: int) -> bool:
    """So many runs are finished, and another has passed an epoch."""
    done = {path.parent for path in root.glob("*/result.json")}
    return len(done) >= runs and any(path.parent not in done for path in root.glob("*/last.ckpt"))


def kill_twice(root: Path) -> None:
    """Start the study in a process of its own, kill it in its second run; the same again in its
    fourth.
    """
    context = multiprocessing.get_context("forkserver")
    # both are forked from one process that has imported everything
    context.set_forkserver_preload(["upgate.execution.worker", module_of("stock")])
    for runs in (1, 3):
        process = context.Process(target=study, args=(root, *WORDS))
        process.start()
        wait_for(lambda runs=runs: not process.is_alive() or begun(root, runs), 300, f"{runs} runs")  # noqa: B023
        process.kill()
        process.join(60)
        assert process.exitcode == -9
        store = Store(root)
        wait_for(lambda store=store: not store.rows(status="RUNNING"), 120, "true statuses")
        assert {row.status for row in store.rows() if row.is_parent} == {"KILLED"}


@pytest.mark.long
def test_a_study_killed_twice_ends_with_the_numbers_of_an_undisturbed_one(tmp_path: Path) -> None:
    root, other = tmp_path / "killed" / "runs", tmp_path / "undisturbed" / "runs"
    for path in (root, other):
        path.parent.mkdir()
    with ThreadPoolExecutor(1) as beside:  # the undisturbed one is done here meanwhile
        killed = beside.submit(kill_twice, root)
        assert study(other, *WORDS)[0] == 0
        killed.result()
    stamps = {
        path: path.stat().st_mtime_ns
        for path in root.glob("*/best.ckpt")
        if (path.parent / "result.json").exists()
    }
    assert study(root, *WORDS)[0] == 0 and len(stamps) >= 3
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    ((name, ours),), ((same, theirs),) = results(root).items(), results(other).items()
    assert name == same
    assert numbers(ours) == numbers(theirs)
    rows = Store(root).rows()
    assert {row.status for row in rows} == {"FINISHED"}
    keys = [row.key for row in rows]
    assert (
        len(keys) == len(set(keys)) == 5 + 4
    )  # runs; the study and its three arms: none of them twice

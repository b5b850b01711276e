"""kill -9 in the middle of a study, then the same command: the same numbers, to the last digit."""

import signal
import time
from pathlib import Path

from study_help import numbers, results, start, study
from upgate.run.store import Store

WORDS = ["study=pair", "study.seeds=1", "split=walk_forward", "split.folds=2", "study.aa=false", "trainer.max_epochs=6"]


def wait_for(condition, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen in {seconds} s"
        time.sleep(0.02)


def begun(root: Path, runs: int) -> bool:
    """So many runs are finished, and another has passed an epoch."""
    done = {path.parent for path in root.glob("*/result.json")}
    return len(done) >= runs and any(path.parent not in done for path in root.glob("*/last.ckpt"))


def test_a_study_killed_twice_ends_with_the_numbers_of_an_undisturbed_one(tmp_path: Path) -> None:
    root, other = tmp_path / "killed" / "runs", tmp_path / "undisturbed" / "runs"
    for path in (root, other):
        path.parent.mkdir()
    for runs in (1, 3):
        process = start(root, *WORDS)
        wait_for(lambda runs=runs: process.poll() is not None or begun(root, runs), 90, f"{runs} runs")  # noqa: B023
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == -9, said
        store = Store(root)
        wait_for(lambda store=store: not store.rows(status="RUNNING"), 30, "true statuses")
        assert {row.status for row in store.rows() if row.is_parent} == {"KILLED"}
    stamps = {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt") if (path.parent / "result.json").exists()}
    code, said = study(root, *WORDS)
    assert code == 0 and len(stamps) >= 3
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert study(other, *WORDS)[0] == 0
    ((name, ours),), ((same, theirs),) = results(root).items(), results(other).items()
    assert name == same
    assert numbers(ours) == numbers(theirs)
    rows = Store(root).rows()
    assert {row.status for row in rows} == {"FINISHED"}
    keys = [row.key for row in rows]
    assert len(keys) == len(set(keys)) == 5 + 4  # runs; the study and its three arms: none of them twice

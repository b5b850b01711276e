"""kill -9 in the middle of a search, then the same command: the points, the choice and the numbers
of an undisturbed one.

`python bench/tune_kill.py` does the same five times for each sampler.
"""

import signal
import time
from pathlib import Path

import optuna
import pytest

from helpers.tune import numbers, results, start, tune

WORDS = [
    "search=tpe",
    "tune.trials=4",
    "tune.startup=2",
    "tune.generation=1",
    "tune.folds=1",
    "tune.top=1",
    "tune.top_seeds=1",
]


@pytest.mark.long
def test_a_killed_search_goes_on_to_the_same_end(tmp_path: Path) -> None:
    root, other = tmp_path / "killed" / "runs", tmp_path / "undisturbed" / "runs"
    for path in (root, other):
        path.parent.mkdir()
    words = [*WORDS, "recipe=traditional"]
    process, until = start(root, *words), time.monotonic() + 90
    while (
        len(list(root.glob("*/result.json"))) < 3 and process.poll() is None
    ):  # tpe has been asked
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -9, said
    assert tune(root, *words)[0] == 0 and tune(other, *words)[0] == 0
    ((name, ours),), ((same, theirs),) = results(root).items(), results(other).items()
    assert name == same and numbers(ours) == numbers(theirs)
    storage = f"sqlite:///{root / 'optuna.db'}"
    (study,) = optuna.get_all_study_names(storage)
    assert [
        one.user_attrs["upgate.number"]
        for one in optuna.load_study(study_name=study, storage=storage).trials
    ] == list(range(4))

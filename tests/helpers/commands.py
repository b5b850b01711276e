"""What a documentation's command line calls, and the same with a small budget.

`make -n` says what a line calls; tests then run that in their own process.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

from helpers.project import REPO

NOT_RUN = {
    "test": "it would run this test within itself",
    "ui": "it serves pages until Ctrl-C; test_store_away.py starts the same command",
    "setup": "it makes an environment with pip",
    "bench": "it takes minutes, and times mean nothing beside other tests",
}
TRAINS = {  # commands that take the small budget, and what makes them short
    "train": [],
    "study": ["study.seeds=1", "study.aa=false", "study.zero=false", "study.rates=given"],
    "tune": ["tune.trials=2", "tune.folds=2", "tune.top=0"],
}
SMALL = [
    "model.hidden_size=4",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=4",
    "trainer.accelerator=cpu",
    "threads=1",
]
LITTLE = {
    "stock": ["data.start=2016", "task.window=10"],
    "sentiment": ["task.vocabulary=200", "task.embedding=4"],
}
CORPUS = ["data.train=200", "data.test=100"]  # of the generated reviews


def called(line: str, folder: Path) -> list[str]:
    """The words with which a line calls `upgate`, its name left out; none for a target that is not
    run here.
    """
    program, *words = shlex.split(line, comments=True)
    if program == "upgate":
        return words
    assert program == "make", f"{line}: this test knows make and upgate; teach it the new command"
    outer = ("MAKE", "MFLAGS", "ARGS", "VENV", "PYTHON")  # of a `make test` that runs this
    kept = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    make = [
        "make",
        "-n",
        "--no-print-directory",
        "-f",
        str(REPO / "Makefile"),
        "-C",
        str(REPO),
        f"VENV={folder / 'venv'}",
    ]
    done = subprocess.run(
        [*make, *words], env=kept, capture_output=True, text=True, encoding="utf-8", timeout=30
    )
    assert done.returncode == 0 and done.stdout, f"{line}: {done.stderr}"
    if words[0] in NOT_RUN:
        return []
    (call,) = done.stdout.splitlines()
    program, *rest = shlex.split(call)
    assert program == str(folder / "venv" / "bin" / "upgate"), f"{line} calls {call}"
    return rest


def shrunk(words: list[str]) -> list[str]:
    """The words with a small budget, where they say nothing else, and with two values of the first
    list that is swept, one of the others.
    """
    if words[0] not in TRAINS:
        return words
    kept = [word for word in words if not re.match(r"study.seeds|tune.trials", word)]
    words, lists = [], 0
    for word in kept:
        if re.match(r"[\w.]+=[^,\[(]+,", word):
            lists += 1
            word = ",".join(word.split(",")[: 2 if lists == 1 else 1])
        words.append(word)
    given = dict(word.partition("=")[::2] for word in words)
    task = given.get("task", "stock")
    assert task in LITTLE, f"task={task}: this test knows no small words for it"
    little = [
        *TRAINS[words[0]],
        *SMALL,
        *LITTLE[task],
        *(CORPUS if task == "sentiment" and "data" not in given else []),
    ]
    return [*words, *(word for word in little if word.partition("=")[0] not in given)]

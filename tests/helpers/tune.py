"""Small searches for tests: real ones of a tiny LSTM, and ones whose runs are a known function of
their values.
"""

import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from helpers.run import places, small
from upgate.experiment.session import Session
from upgate.report.tune import search_files
from upgate.run.datasets import Datasets
from upgate.run.job import Job, flatten_spec
from upgate.run.result import Result
from upgate.tune.command import tune_command
from upgate.tune.plan import SearchPlan, plan_search
from upgate.tune.search import Context, Trials, run_block

TINY = [
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=4",
    "tune.space.model.hidden_size=[4,8]",
    "tune.space.model.num_layers=null",
]


def tiny(root: Path, *words: str) -> list[str]:
    given = {word.partition("=")[0] for word in words}
    return small(
        *words, *(word for word in TINY if word.partition("=")[0] not in given), *places(root)
    )


def tune(root: Path, *words: str, yes: bool = True) -> tuple[int, str]:
    """Run `upgate tune` in this process; return its exit code and what it said."""
    console = Console(file=io.StringIO(), width=100)
    code = tune_command(tiny(root, *words), None, yes, console, search_files)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


def start(root: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "upgate.cli", "tune", "--yes", *tiny(root, *words)]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=root.parent
    )


def results(root: Path) -> dict[str, dict[str, Any]]:
    """Every search's result.json below a root, by the search's id."""
    return {
        path.parent.name: json.loads(path.read_text()) for path in root.glob("tunes/*/result.json")
    }


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    """A result without its clock's numbers and the words, which name places."""
    kept = {
        key: value for key, value in result.items() if key not in ("search", "seconds", "blocks")
    }
    blocks = [
        [{key: value for key, value in arm.items() if key != "words"} for arm in block["arms"]]
        for block in result["blocks"]
    ]
    return kept | {"blocks": blocks}


LIBRARY = Datasets()  # of made-up runs: the data are read once
SESSION = Session(Console(quiet=True), LIBRARY, None)


def planned(*words: str) -> SearchPlan:
    return plan_search(small(*words), SESSION)


def bowl(job: Job) -> float:
    """A made-up score: best at a rate of 0.01, with noise that fold and seed decide."""
    told = flatten_spec(job)
    return math.exp(
        abs(math.log10(told["optimizer.lr"]) + 2)
        + 0.01 * ((7 * job.spec.seed + 3 * job.spec.fold) % 5)
    )


def answer(job: Job, value: float | None, **more: Any) -> Result:
    """A run's result; without a value it diverged."""
    metrics = {} if value is None else {"val/mse_ratio": value, "steps": 10.0, "epochs": 2.0}
    named = {"name": job.name, "task": "stock", "recipe": job.recipe, "changes": []}
    where = {
        "seed": job.spec.seed,
        "fold": job.spec.fold,
        "folder": "",
        "status": "FINISHED",
        "diverged": value is None,
    }
    return Result(job.spec.key, job.spec.key, metrics=metrics, **(named | where | more))


class Fake:
    """Stands for the executor: runs are a function; remembers what it was asked."""

    def __init__(
        self, run: Callable[[Job], Result] | None = None, limit: int | None = None
    ) -> None:
        self.run = run or (lambda job: answer(job, bowl(job)))
        self.limit = limit
        self.jobs: list[Job] = []

    def __call__(self, jobs: list[Job]) -> dict[str, Result]:
        new = [job for job in jobs if job.spec.key not in {one.spec.key for one in self.jobs}]
        if self.limit is not None and len(self.jobs) + len(new) > self.limit:
            raise KeyboardInterrupt
        self.jobs += new
        return {job.spec.key: self.run(job) for job in jobs}


def search(found: SearchPlan, fake: Fake) -> tuple[Trials, dict[str, int | None]]:
    """The first block of a search, its runs a function."""
    parents = {arm.name: "" for arm in found.search.arms}
    context = Context(found.search, SESSION, fake, parents, lambda *_: None)
    return run_block(context, found.search.blocks[0])

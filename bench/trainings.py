"""Trainings of the bench scripts: several at a time, the numbers of each kept in a file's line."""

import json
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from upgate.experiment.jobs import make_job
from upgate.run.datasets import Datasets
from upgate.run.train import train

Words = tuple[str, ...]  # the overrides of `upgate train`
Metrics = dict[str, float]


def measure(commands: Iterable[Words], file: Path, processes: int) -> dict[Words, Metrics]:
    """The metrics of each command's run, without its twin; {} where it diverged.

    What stands in the file is not trained again, so an interrupted script goes on.
    """
    wanted = list(dict.fromkeys(commands))
    known = read(file)
    missing = [words for words in wanted if words not in known]
    file.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        runs = {pool.submit(train_one, words): words for words in missing}
        for run in as_completed(runs):
            line = json.dumps({"words": runs[run], "metrics": run.result()})
            with file.open("a", encoding="utf-8") as lines:
                lines.write(f"{line}\n")
    known = read(file)
    return {words: known[words] for words in wanted}


def read(file: Path) -> dict[Words, Metrics]:
    """What the file holds."""
    if not file.exists():
        return {}
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {tuple(row["words"]): row["metrics"] for row in rows}


def train_one(words: Words) -> Metrics:
    """Train a run on the CPU and evaluate it; its files go to a folder that is deleted."""
    job = make_job([*words, "trainer.accelerator=cpu"], datasets(), None)
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            job.spec,
            datasets().fetch(job)[1],
            Path(folder),
            lambda metrics, step: None,
            Console(quiet=True),
            job.name,
            {},
        )
    return {} if outcome.diverged else outcome.metrics


@lru_cache
def datasets() -> Datasets:
    """The tables and tensors of this process."""
    return Datasets()

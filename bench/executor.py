"""What the executor gives and costs, on this machine.

    python bench/executor.py [workers=2] [seeds=6] [stored=2000]

Runs per minute of a study of 12 small runs (two recipes over six seeds), inline and with
`executor=local`, one thread each; the driver's CPU seconds per run; and what planning, skipping and
listing 2,000 runs that are all stored already takes.
"""

import io
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import closing, redirect_stdout
from pathlib import Path

from rich.console import Console

from upgate.cli.arguments import read_options
from upgate.cli.runs import runs_command
from upgate.cli.train import train_command
from upgate.experiment.jobs import expand_jobs
from upgate.run.datasets import Datasets

SMALL = [
    "task=stock",
    "task.window=20",
    "model.hidden_size=16",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "threads=1",
]
ASKED = {"workers": "2", "seeds": "6", "stored": "2000"}


def main() -> None:
    asked = read_options(ASKED, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        throughput(Path(folder), int(asked["workers"]), int(asked["seeds"]))
        many(Path(folder), int(asked["stored"]))


def throughput(folder: Path, workers: int, seeds: int) -> None:
    """Each executor after one run that warms it up: imports and the forkserver's start are paid
    once, not per run.
    """
    sweep = [*SMALL, f"seed={','.join(map(str, range(seeds)))}"]
    rates = {}
    for name, words in {
        "inline": [],
        "local": ["executor=local", f"executor.workers={workers}"],
    }.items():
        root = [f"root={folder / name}", f"cache={folder / 'prepared'}"]
        trained([*SMALL, *words, *root, f"seed={seeds}", "twin=false"], multirun=False)
        seconds, spent = trained([*sweep, *words, *root], multirun=True)
        rates[name] = 60 * 2 * seeds / seconds
        here = (
            f"; the driver's CPU: {1000 * spent / (2 * seeds):.0f} ms a run"
            if name == "local"
            else ""
        )
        print(
            f"{name:7} {2 * seeds} runs in {seconds:.1f} s: {rates[name]:.1f} a minute{here}",
            flush=True,
        )
    print(
        f"executor=local with {workers} workers gives {rates['local'] / rates['inline']:.2f} times"
        " the runs of inline",
        flush=True,
    )


def trained(words: list[str], multirun: bool) -> tuple[float, float]:
    """Wall and CPU seconds of this process for a command."""
    wall, cpu = time.perf_counter(), time.process_time()
    assert train_command(words, multirun, None, Console(file=io.StringIO())) == 0
    return time.perf_counter() - wall, time.process_time() - cpu


def many(folder: Path, count: int) -> None:
    """A sweep over seeds of which the store holds every run: copies of a real one, made in the
    database.
    """
    root = folder / "inline"
    words = [*SMALL, f"root={root}", f"cache={folder / 'prepared'}", "twin=false"]
    sweep = [*words, f"seed=range(0,{count})"]
    start = time.perf_counter()
    jobs = expand_jobs(sweep, True, None, Datasets())
    print(f"{len(jobs)} runs planned in {time.perf_counter() - start:.1f} s", flush=True)
    copy(root / "mlflow.db", {job.spec.key: str(job.spec.seed) for job in jobs}, jobs[0].spec.key)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = trained(sweep, multirun=True)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{count} stored runs planned, skipped and listed in {wall:.1f} s (CPU {cpu:.1f} s),"
        f" {more:.0f} MB more",
        flush=True,
    )
    start = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        runs_command({"root": str(root)}, False)
    print(f"upgate runs of {count} in {time.perf_counter() - start:.1f} s", flush=True)


def copy(database: Path, keys: dict[str, str], model: str) -> None:
    """Rows of the run of key `model` once more under each of the other keys that are not there."""
    with closing(sqlite3.connect(database)) as connection, connection:
        (source,) = connection.execute(
            "select run_uuid from tags where key='upgate.key' and value=?", [model]
        ).fetchone()
        there = {
            value
            for (value,) in connection.execute("select value from tags where key='upgate.key'")
        }
        for i, (key, seed) in enumerate(keys.items()):
            if key in there:
                continue
            for table in ("runs", "tags", "params", "latest_metrics"):
                columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
                taken = ", ".join(f"'{i:032x}'" if name == "run_uuid" else name for name in columns)
                connection.execute(
                    f"insert into {table} ({', '.join(columns)}) select {taken} from {table} where"
                    " run_uuid=?",
                    [source],
                )
            connection.execute(
                "update tags set value=? where run_uuid=? and key='upgate.key'", [key, f"{i:032x}"]
            )
            connection.execute(
                "update tags set value=? where run_uuid=? and key='upgate.seed'",
                [seed, f"{i:032x}"],
            )


if __name__ == "__main__":
    main()

"""How time and memory grow with the data: rows of prices, reviews.

`python bench/growth.py [prices=10000,100000,1000000] [reviews=2000,20000,200000] [repeats=3]
[out=docs/results/growth.md]`

Every size is read from a csv file and made ready for training in a process of its own, with one
thread: its CPU seconds stage by stage, and the peak of its memory. Exponent: of the stage between
this size and the one above; 1 is linear.
"""

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from upgate.cli.arguments import read_options

ASKED = {
    "prices": "10000,100000,1000000",
    "reviews": "2000,20000,200000",
    "repeats": "3",
    "out": "docs/results/growth.md",
}
DAYS = 2500  # of each ticker: ten years
WORDS, LENGTH = 30_000, 60  # of the reviews' language, and of a review
MB = 1024  # KiB, in which Linux counts a peak


def write_prices(rows: int, path: Path) -> None:
    """Random walks of as many tickers as the rows need."""
    generator, frames = np.random.default_rng(0), []
    for ticker in range(math.ceil(rows / DAYS)):
        days = pd.bdate_range("2010-01-04", periods=min(DAYS, rows - ticker * DAYS))
        close = 100 * np.exp(np.cumsum(0.01 * generator.standard_normal(len(days))))
        spread = 1 + 0.005 * generator.random((2, len(days)))
        bars = {"Open": close, "High": close * spread[0], "Low": close / spread[1], "Close": close}
        volume = generator.integers(1, 10**6, len(days))
        frames.append(
            pd.DataFrame({"Date": days, "Ticker": f"T{ticker}", **bars, "Volume": volume})
        )
    pd.concat(frames).to_csv(path, index=False, float_format="%.4f")


def write_reviews(rows: int, path: Path) -> None:
    """Words by Zipf's law; one of two words says the label."""
    generator = np.random.default_rng(0)
    names = np.array([f"word{i}" for i in range(WORDS)])
    chance = 1 / np.arange(1, WORDS + 1)
    drawn = generator.choice(WORDS, (rows, LENGTH), p=chance / chance.sum())
    labels = generator.integers(0, 2, rows)
    texts = [
        f"{('dull', 'fine')[label]} {' '.join(words)}"
        for label, words in zip(labels, names[drawn], strict=True)
    ]
    pd.DataFrame({"text": texts, "label": np.array(["neg", "pos"])[labels]}).to_csv(
        path, index=False
    )


WRITERS: dict[str, Callable[[int, Path], None]] = {"prices": write_prices, "reviews": write_reviews}
TASKS = {
    "prices": ["task=stock", "data=prices"],
    "reviews": ["task=sentiment", "data=texts"],
}


def probe(kind: str, path: str, folder: str) -> None:
    """In a process of its own: print CPU seconds of each stage and the peak in MB as JSON."""
    import torch

    from upgate.config.compose import compose
    from upgate.experiment.jobs import make_job
    from upgate.run.datasets import Datasets

    torch.set_num_threads(1)
    words = [*TASKS[kind], f"data.path={path}", f"root={folder}", f"cache={folder}/prepared"]
    seconds, library = {}, Datasets()
    compose(words)  # the same for every size
    start = peak()
    since = time.process_time()
    job = make_job(words, library, None)
    seconds["read"] = time.process_time() - since
    for name in ("prepare", "prepare again"):  # again: by another command, from what was kept
        since = time.process_time()
        data = library.fetch(job)[1]
        next(iter(data.with_batching(64, 0).train_dataloader()))
        seconds[name] = time.process_time() - since
        library._data.clear()
    print(json.dumps({**seconds, "peak": peak() - start}))


def peak() -> float:
    """MB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB


def measure(kind: str, rows: int, repeats: int) -> dict[str, float]:
    """Medians of the stages of one size."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{kind}.csv"
        WRITERS[kind](rows, path)
        for i in range(repeats):
            words = [kind, path, Path(folder) / str(i)]
            done = subprocess.run(
                [sys.executable, __file__, "probe", *map(str, words)],
                env=environment,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise SystemExit(f"{kind} of {rows} rows:\n{done.stderr[-2000:]}")
            found.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: median(one[name] for one in found) for name in found[0]}


def table(kind: str, sizes: Sequence[int], found: Sequence[dict[str, float]]) -> list[str]:
    """A row a size; in brackets the exponent between the size above and this one."""
    stages = list(found[0])
    heads = [f"{name}, CPU s" for name in stages[:-1]] + ["peak, MB"]
    rows = [f"| {kind} | {' | '.join(heads)} |", f"|--:|{'--:|' * len(stages)}"]
    for i, (size, one) in enumerate(zip(sizes, found, strict=True)):
        cells = []
        for name in stages:
            digits = 0 if name == "peak" else 2
            cell = f"{one[name]:,.{digits}f}"
            if i and found[i - 1][name] > 0:
                ratio = math.log(one[name] / found[i - 1][name]) / math.log(size / sizes[i - 1])
                cell += f" ({ratio:.2f})"
            cells.append(cell)
        rows.append(f"| {size:,} | {' | '.join(cells)} |")
    return rows


def main(words: list[str]) -> None:
    if words[:1] == ["probe"]:
        probe(*words[1:])
        return
    asked = read_options(ASKED, words)
    lines = [
        "# How time and memory grow with the data\n",
        f"`python bench/growth.py`, median of {asked['repeats']}; load {os.getloadavg()[0]:.1f}"
        " at the start. CPU seconds, one thread; the peak is what comes on top of the imports. In"
        "\nbrackets the exponent between the size above and this one: 1 is linear.\n",
    ]
    for kind in WRITERS:
        sizes = [int(size) for size in asked[kind].split(",") if size]
        found = [measure(kind, size, int(asked["repeats"])) for size in sizes]
        if found:
            lines += [*table(kind, sizes, found), ""]
            print("\n".join(table(kind, sizes, found)), flush=True)
        Path(asked["out"]).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Upgate: all of a training epoch but its validation, as `upgate train` does it.

Its prices are those whose daily logarithmic returns are the series.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from step import Neighbour, fit
from work import BATCH, HIDDEN, LAYERS, MAX_NORM, RATE, WINDOW, asked

from upgate.experiment.jobs import make_pair
from upgate.run.datasets import Datasets
from upgate.run.train import quiet, with_batching
from upgate.tasks.registry import get_task

PARTS = 0.01  # of the series, as little as a split may be: the others validate and test nothing


def words(prices: Path, epochs: int) -> list[str]:
    return [
        "task=stock",
        "data=prices",
        f"data.path={prices}",
        f"split.validation={PARTS}",
        f"split.test={PARTS}",
        f"task.window={WINDOW}",
        "task.features=[close_return]",
        "model.skip=none",
        f"model.hidden_size={HIDDEN}",
        f"model.num_layers={LAYERS}",
        "recipe=traditional",
        "optimizer=adam",
        f"optimizer.lr={RATE}",
        "clip=norm",
        f"clip.max_norm={MAX_NORM}",
        f"batch_size={BATCH}",
        f"trainer.max_epochs={epochs}",
        "trainer.accelerator=cpu",
        "twin=false",
        "threads=1",
    ]


def main() -> None:
    torch.set_num_threads(1)
    series, epochs = asked()
    clock = Neighbour(lambda: None)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        quiet()
        prices = Path(folder) / "prices.csv"
        days = pd.bdate_range("2000-01-03", periods=len(series) + 1)
        closes = 100 * np.exp(np.concatenate([[0.0], series.cumsum()]))
        columns = dict.fromkeys(["Open", "High", "Low", "Close"], closes)
        pd.DataFrame({"Date": days, **columns, "Volume": 1}).to_csv(prices, index=False)
        library = Datasets()
        job, _ = make_pair(words(prices, epochs), library, None)
        data = with_batching(library.fetch(job)[1], job.spec)
        module = get_task("stock").module(job.spec.to_dict(), data)
        fit(module, job.spec, data, clock, Console(file=sys.stderr), "ours")
    print([[*ours, data.sizes["train"]] for ours, _ in np.array(clock.seconds).tolist()])


if __name__ == "__main__":
    main()

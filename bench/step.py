"""Seconds per epoch of our whole training step against a bare PyTorch loop: same tensors, same model, same order, one run.

make bench [repeats=5] [threads=2]
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import nn

from upgate.data.stock import StockData
from upgate.model.stock import StockLearner
from upgate.run.callbacks import Curves, Keeper
from upgate.run.command import Library, make_job
from upgate.run.spec import RunSpec
from upgate.run.train import make_trainer, quiet

EPOCHS = 3


def ours(spec: RunSpec, data: StockData) -> float:
    """Median seconds of a training epoch under the Trainer, checkpoints and curves included, validation left out."""
    with tempfile.TemporaryDirectory() as folder:
        learner = StockLearner(spec.plain(), data.tensors.scaling)
        curves = Curves(lambda point, step: None)
        trainer = make_trainer(spec, {}, Path(folder), [curves, Keeper(Path(folder))])
        trainer.fit(learner, datamodule=data.loads(spec.batch_size, spec.seed))
    ends = [point["seconds"] for point in curves.points]
    return median(b - a for a, b in zip([0.0, *ends], ends, strict=False))


def bare(spec: RunSpec, data: StockData) -> float:
    """Median seconds of an epoch of the loop that one would write by hand for the same recipe."""
    net = StockLearner(spec.plain(), data.tensors.scaling).net.train()
    upgraded = spec.recipe["optimizer"]["name"] == "adamw"
    knobs = {k: v for k, v in spec.recipe["optimizer"].items() if k != "name"}
    optimizer = torch.optim.AdamW(net.parameters(), **knobs) if upgraded else torch.optim.SGD(net.parameters(), **knobs)
    net.taps["between"][:] = net.taps["head"][:] = [nn.Dropout(spec.recipe["regularization"]["dropout"]["p"])] if upgraded else []
    batches = data.loads(spec.batch_size, spec.seed).train_dataloader()
    seconds = []
    for _ in range(EPOCHS):
        since = time.perf_counter()
        for batch in batches:
            optimizer.zero_grad()
            F.mse_loss(net(batch), batch["y"]).backward()
            if upgraded:
                nn.utils.clip_grad_norm_(net.parameters(), spec.recipe["clip"]["max_norm"])
            optimizer.step()
        seconds.append(time.perf_counter() - since)
    return median(seconds)


def main(words: list[str]) -> None:
    asked = {"repeats": "5", "threads": "2"} | dict(word.split("=", 1) for word in words)
    torch.set_num_threads(int(asked["threads"]))
    quiet()
    library = Library()
    table = Table(
        title=f"seconds per epoch, embedded S&P 500, {asked['threads']} threads, median of {asked['repeats']} alternating repeats"
    )
    for heading in ("recipe", "ours", "bare loop", "ratio"):
        table.add_column(heading, justify="left" if heading == "recipe" else "right")
    for recipe in ("traditional", "upgraded"):
        words = ["task=stock", f"recipe={recipe}", f"trainer.max_epochs={EPOCHS}", "trainer.accelerator=cpu", "stopping=none"]
        job, _ = make_job([*words, "twin=false"], library, None)
        data = library.data(job)[1]
        pairs = [(ours(job.spec, data), bare(job.spec, data)) for _ in range(int(asked["repeats"]))]
        ratio = median(a / b for a, b in pairs)
        table.add_row(recipe, f"{median(a for a, _ in pairs):.3f}", f"{median(b for _, b in pairs):.3f}", f"{ratio:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Two claims about updating layers on their own, held against the clock and the bits: the same
weights, and fewer seconds.

python bench/layerwise_results.py [out=docs/results/layerwise.md] [optimizers=sgd,momentum,...]
[steps=200] [repeats=15] [hidden=64,128] [clock=processor|wall]

1. `layerwise=independent` against `joint`, steps on the embedded S&P 500: the largest difference of
any weight. It must be exactly 0. `discriminative` stands beside them: the comparison can see a
difference. 2. `layerwise=cyclic` on three LSTM layers: seconds of a step on each block over those
of a joint step, beside the formula. The seconds are those of a run's engagement; a joint step is
one of cyclic with all three blocks, which a test holds to joint bit for bit. Both take turns within
one process of one thread, so that whatever else slows the machine slows both; the processor's
clock, which is read in place of the wall's unless asked otherwise, stands still while other
processes run.
"""

import os
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from upgate.cli.arguments import read_options
from upgate.config.compose import choices
from upgate.experiment.jobs import make_pair
from upgate.generators import generator
from upgate.recipe.layerwise.blocks import Blocks
from upgate.recipe.layerwise.cost import cost_share
from upgate.run.datasets import Datasets
from upgate.run.provenance import git_state
from upgate.run.spec import RecipeSpec, RunSpec
from upgate.run.train import make_trainer, quiet, train, with_batching
from upgate.tasks.stock.module import StockModule

OWN = {
    "out": "docs/results/layerwise.md",
    "optimizers": ",".join(choices("optimizer")),
    "steps": "200",
    "repeats": "15",
    "hidden": "64,128",
    "clock": "processor",
}
PLACE = (
    "task=stock",
    "task.target=volatility",
    "twin=false",
    "threads=1",
    "trainer.accelerator=cpu",
)
RECIPE = (
    "recipe=traditional",
    "clip=layer",
    "clip.max_norm=1",
    "regularization=[dropout,l2]",
    "init=orthogonal",
)  # any optimizer goes
WAYS = ("joint", "independent", "discriminative")
L, WINDOW = 3, 20  # LSTM layers, and steps on one block
TOP_FIRST = (2, 1, 0)
EQUAL = "three equal layers, made-up input"
REAL = "S&P 500"
State = dict[str, Tensor]


def trained(
    optimizer: str, way: str, steps: str, library: Datasets
) -> tuple[State, str, dict[str, float]]:
    """Weights, their hash and the engagement after so many steps."""
    words = [
        *PLACE,
        *RECIPE,
        f"optimizer={optimizer}",
        f"layerwise={way}",
        f"trainer.max_steps={steps}",
    ]
    job, _ = make_pair(words, library, None)
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            job.spec,
            library.fetch(job)[1],
            Path(folder),
            lambda point, step: None,
            Console(quiet=True),
            way,
            {},
        )
        state = torch.load(Path(folder) / "best.ckpt", weights_only=True)["state_dict"]
    if outcome.diverged or outcome.metrics["steps"] != float(steps):
        raise SystemExit(
            f"optimizer={optimizer} layerwise={way} took {outcome.metrics['steps']:g} whole steps,"
            f" not {steps}"
        )
    return (
        {name: w for name, w in state.items() if name.startswith("net.")},
        outcome.weights,
        outcome.metrics,
    )


def largest(a: State, b: State) -> float:
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)


def differences(optimizer: str, steps: str, library: Datasets) -> str:
    """A row of the first table."""
    (joint, digest, metrics), (own, own_digest, _), (other, _, _) = (
        trained(optimizer, way, steps, library) for way in WAYS
    )
    equal = "equal" if digest == own_digest else "DIFFER"
    clipped = metrics["engagement/clipped_share"]
    return (
        f"| {optimizer} | {largest(joint, own):g} | {equal}, {digest[:12]} |"
        f" {largest(joint, other):.2g} | {clipped:.2f} |"
    )


def timed(spec: RunSpec, features: int, batches: Any) -> Blocks:
    """The layerwise part, with its timing, after one step per batch of `batches` on a new net."""
    plain = spec.to_dict()
    learner = StockModule(
        plain | {"task": plain["task"] | {"features": [str(i) for i in range(features)]}}, {}
    )
    with tempfile.TemporaryDirectory() as folder:
        make_trainer(spec, {"limit_val_batches": 0, "max_epochs": 1}, Path(folder), []).fit(
            learner, train_dataloaders=batches
        )
    assert isinstance(learner.recipe.layerwise, Blocks)
    return learner.recipe.layerwise


def batches_of(real: bool, hidden: int, spec: RunSpec, data: Any) -> tuple[int, Any]:
    """The number of features and as many batches as a cycle has steps: windows of prices, or noise
    as wide as a layer.
    """
    if real:
        some = [
            batch
            for _, batch in zip(
                range(L * WINDOW),
                with_batching(data, spec).train_dataloader(),
                strict=False,
            )
        ]
    else:
        g, shape = generator(0, "bench"), (spec.batch_size, spec.task.knobs["window"])
        some = [
            {"x": torch.randn(*shape, hidden, generator=g), "y": torch.randn(shape[0], generator=g)}
            for _ in range(L * WINDOW)
        ]
    return some[0]["x"].shape[-1], DataLoader(
        [some[i % len(some)] for i in range(L * WINDOW)], batch_size=None
    )  # type: ignore[arg-type]


def ratios(
    spec: RunSpec, features: int, batches: Any, repeats: int
) -> tuple[np.ndarray, np.ndarray, Blocks]:
    """Seconds of a step on each block, top first, over a joint step's, (repeats, L), and a joint
    step's.
    """
    recipe = spec.recipe.to_dict()
    joint = replace(
        spec,
        recipe=RecipeSpec.from_dict(recipe | {"layerwise": {**recipe["layerwise"], "active": L}}),
    )
    found, whole = [], []
    for _ in range(repeats + 1):
        all_on, one = (timed(each, features, batches) for each in (joint, spec))
        (seconds,) = (
            value for key, value in all_on.timing().items() if key.startswith("seconds_per_step/")
        )
        whole.append(seconds)
        found.append(
            [one.timing()[f"seconds_per_step/lstm.{place}"] / seconds for place in TOP_FIRST]
        )
    return np.array(found[1:]), np.array(whole[1:]), one  # the first pair is a warm-up


def costs(real: bool, hidden: int, repeats: int, library: Datasets) -> str:
    """A row of the second table."""
    words = [
        *PLACE,
        "recipe=traditional",
        "layerwise=cyclic",
        f"layerwise.steps={WINDOW}",
        f"model.num_layers={L}",
    ]
    job, _ = make_pair([*words, f"model.hidden_size={hidden}"], library, None)
    features, batches = batches_of(real, hidden, job.spec, library.fetch(job)[1])
    found, whole, one = ratios(job.spec, features, batches, repeats)
    formula = [one.timing()[f"cost_share/lstm.{place}"] for place in TOP_FIRST]
    kernel = [
        cost_share(one.sizes, range(place, L)) for place in TOP_FIRST
    ]  # from the lowest that is trained on, all pay
    cells = [cell(*numbers) for numbers in zip(found.T, formula, kernel, strict=True)]
    cycle = cell(found.mean(axis=1), float(np.mean(formula)), float(np.mean(kernel)))
    return (
        f"| {REAL if real else EQUAL}, I={features}, H={hidden} | {1000 * np.median(whole):.1f} |"
        f" {' | '.join([*cells, cycle])} |"
    )


def cell(found: np.ndarray, formula: float, kernel: float) -> str:
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
    return f"**{middle:.2f}** ({low:.2f} to {high:.2f}) / {formula:.2f} / {kernel:.2f}"


def frozen_backward(hidden: int, repeats: int) -> float:
    """Seconds of the backward pass through one LSTM with frozen weights over those with trained
    ones, median of pairs.
    """
    lstm, x = (
        nn.LSTM(hidden, hidden, batch_first=True),
        torch.randn(64, 60, hidden, generator=generator(0, "bench")).requires_grad_(),
    )

    def seconds(trained: bool) -> float:
        lstm.requires_grad_(trained).zero_grad()
        output, _ = lstm(x)
        since = time.perf_counter()
        output.sum().backward()
        return time.perf_counter() - since

    return float(np.median([seconds(False) / seconds(True) for _ in range(repeats * WINDOW)]))


HEAD = """# Layers on their own: the same weights, and how much cheaper

Made by `python bench/layerwise_results.py{words}`: {where}.

## `independent` is `joint`

{steps} steps on the embedded S&P 500 (log volatility, data {data}),
`{recipe}`: the largest difference of any weight
between two runs that differ in `layerwise` only. `independent` steps each layer inside the backward pass, and must differ by exactly 0;
`discriminative` shows that the comparison sees a difference where there is one.

| optimizer | independent against joint | hashes of the weights | discriminative against joint | share of steps clipped |
|---|--:|---|--:|--:|"""  # noqa: E501

MIDDLE = """
## `cyclic`: what a step costs

Seconds of a step on one block over those of a joint step, by the {clock}'s clock: **median** of {repeats} pairs (middle half) / the
formula / the formula with the weights' gradient computed in every layer that the backward pass goes through. Windows of 60, batches of 64,
one thread; forward pass, backward pass, clip and step, as a run's engagement has them. The formula counts multiplications
(`src/upgate/recipe/cost.py`); .53, .65 and .76 are its values for three equal layers.

| layers | joint step, ms | top only | middle only | bottom only | a whole cycle |
|---|--:|--:|--:|--:|--:|"""  # noqa: E501

END = """
The backward pass through one `nn.LSTM` takes {frozen} of its time when its weights are frozen. Where that is 1.00, the kernel
computes their gradient whether it is wanted or not: a frozen layer below the lowest one that is trained saves its whole backward pass, and
a frozen layer above saves nothing, so that the bottom layer alone costs what all layers cost."""  # noqa: E501


def where() -> str:
    """Code and machine, in a phrase."""
    git = git_state()
    code = (
        f"code {git['sha'][:7]}{' with uncommitted changes' if git['diff'] else ''}"
        if git
        else "code not in a checkout"
    )
    kind = torch.backends.cpu.get_cpu_capability()
    return (
        f"{code}, torch {torch.__version__}, CPU ({kind}), {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f} when it began"
    )


def page(asked: dict[str, str], words: list[str]) -> list[str]:
    library, lines = Datasets(), []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    data = make_pair(list(PLACE), library, None)[0].spec.data.removeprefix("sha256:")[:12]
    told = {
        "words": "".join(f" {word}" for word in words),
        "where": where(),
        "steps": asked["steps"],
        "recipe": " ".join(RECIPE),
        "data": data,
    }
    say(HEAD.format(**told))
    for optimizer in asked["optimizers"].split(","):
        say(differences(optimizer, asked["steps"], library))
    say(MIDDLE.format(**asked))
    for real in (False, True):
        for hidden in asked["hidden"].split(","):
            say(costs(real, int(hidden), int(asked["repeats"]), library))
    shares = {
        hidden: frozen_backward(int(hidden), int(asked["repeats"]))
        for hidden in asked["hidden"].split(",")
    }
    say(
        END.format(
            frozen=", ".join(f"{share:.2f} (H={hidden})" for hidden, share in shares.items())
        )
    )
    return lines


def main(words: list[str]) -> None:
    asked = read_options(OWN, words)
    torch.set_num_threads(1)
    clock = {"processor": time.process_time, "wall": time.perf_counter}[asked["clock"]]
    with warnings.catch_warnings(), patch.object(time, "perf_counter", clock):
        quiet()
        warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")  # none is wanted
        lines = page(asked, words)
    Path(asked["out"]).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The learning rate of every optimizer and target, all from one small search, on dates that no
reported score has seen.

python bench/learning_rates.py [targets=return,level,volatility] [optimizers=sgd,...]
[skip=none] [rates=7] [seeds=100,101] [processes=1] [file=runs/learning-rates.jsonl]
resumes; prints a table in Markdown

skip=reference starts from the reference and tries a tenth of the rates, for it leaves little to
learn; rates=4 leaves every second one out.

Seven rates for every optimizer, half a decade apart and so three decades wide; the three
development folds (walk-forward blocks before the holdout's test part); seeds that no result is
reported with. The score is the mean of log MSE ratio to persistence. sgd is searched in the
traditional recipe, the others in the upgraded one.
"""

import math
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
from trainings import Words, measure

from upgate.cli.arguments import read_options
from upgate.data.prices.features import Floats

ADAPTIVE = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1]
RATES = {
    "sgd": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    "rmsprop": ADAPTIVE,
    "adam": ADAPTIVE,
    "adamw": ADAPTIVE,
    "momentum": [3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3],
    "nesterov": [3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3],
    "nadam": ADAPTIVE,
    "radam": ADAPTIVE,
    "adagrad": [3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3],
    "lion": [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01],
    "muon": ADAPTIVE,
    "schedule_free": ADAPTIVE,
    "nt_asgd": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
}
BESIDE = {"schedule_free": ["schedule=constant"]}  # it is its own schedule
FOLDS = 3


def tried(optimizer: str, asked: Mapping[str, str]) -> list[float]:
    """The rates of an optimizer, from the lowest."""
    factor, step = 0.1 if asked["skip"] == "reference" else 1, 1 if asked["rates"] == "7" else 2
    return [float(f"{factor * rate:g}") for rate in RATES[optimizer][::step]]


def commands(target: str, optimizer: str, rate: float, asked: Mapping[str, str]) -> list[Words]:
    """The runs of a rate: each fold and seed."""
    recipe = (
        ["recipe=traditional"]
        if optimizer == "sgd"
        else ["recipe=upgraded", f"optimizer={optimizer}", *BESIDE.get(optimizer, [])]
    )
    source = ["task=stock", f"task.target={target}", f"model.skip={asked['skip']}"]
    source = [*source, "split=development"]
    words = [*source, "threads=1", *recipe]
    return [
        (*words, f"optimizer.lr={rate:g}", f"fold={fold}", f"seed={seed}")
        for fold, seed in product(range(FOLDS), asked["seeds"].split(","))
    ]


def best(scores: dict[float, Floats]) -> float:
    return min(scores, key=lambda rate: scores[rate].mean())


def row(optimizer: str, scores: dict[float, Floats]) -> str:
    """A row of the table: MSE ratio by rate, from the lowest, the best in bold."""
    bold = {rate: "**" * (rate == best(scores)) for rate in scores}
    means = {rate: float(np.exp(found.mean())) for rate, found in scores.items()}
    cells = [
        f"{rate:g}: {bold[rate]}{mean:{'.4f' if mean < 10 else '.4g'}}{bold[rate]}"
        for rate, mean in means.items()
    ]
    return f"| {optimizer} | {' | '.join(cells)} |"


def at_edge(scores: dict[float, Floats]) -> bool:
    """Whether the best rate is the lowest or the highest that was tried: the true best may lie
    beyond it.
    """
    return best(scores) in (min(scores), max(scores))


def as_good(scores: dict[float, Floats]) -> list[str]:
    """The rates that these runs cannot tell from the best: their mean paired difference is below
    two standard errors.
    """
    finite = {rate: found for rate, found in scores.items() if np.isfinite(found).all()}
    gaps = {
        rate: found - finite[best(scores)] for rate, found in finite.items() if rate != best(scores)
    }
    return [
        f"{rate:g}"
        for rate, gap in gaps.items()
        if gap.mean() < 2 * gap.std(ddof=1) / len(gap) ** 0.5
    ]


def main(words: list[str]) -> None:
    asked = {
        "targets": "return,level,volatility",
        "optimizers": ",".join(RATES),
        "skip": "none",
        "rates": "7",
        "seeds": "100,101",
        "processes": "1",
        "file": "runs/learning-rates.jsonl",
    }
    asked = read_options(asked, words)
    optimizers = asked["optimizers"].split(",")
    listed = {
        (target, optimizer, rate): commands(target, optimizer, rate, asked)
        for target, optimizer in product(asked["targets"].split(","), optimizers)
        for rate in tried(optimizer, asked)
    }
    every = [words for runs in listed.values() for words in runs]
    metrics = measure(every, Path(asked["file"]), int(asked["processes"]))
    scores = {
        place: np.log([metrics[words].get("test/mse_ratio", math.inf) for words in runs])
        for place, runs in listed.items()
    }
    for target in asked["targets"].split(","):
        found = {
            optimizer: {rate: scores[target, optimizer, rate] for rate in tried(optimizer, asked)}
            for optimizer in optimizers
        }
        show(target, found)


def show(target: str, found: dict[str, dict[float, Floats]]) -> None:
    """Print the table of a target: a row per optimizer."""
    count = max(map(len, found.values()))
    blank = " | ".join([""] * (count - 2))
    print(f"\n### {target}\n\n| optimizer | lowest rate | {blank} | highest rate |")
    print(f"|---|{'--:|' * count}")
    for optimizer, scores in found.items():
        print(row(optimizer, scores))
    edges = [optimizer for optimizer, scores in found.items() if at_edge(scores)]
    ties = [
        f"{optimizer} {' '.join(as_good(scores)) or 'none'}" for optimizer, scores in found.items()
    ]
    print(
        f"\nBest at an edge: {', '.join(edges) or 'none'}. Within two standard errors of the"
        f" best: {'; '.join(ties)}."
    )


if __name__ == "__main__":
    main(sys.argv[1:])

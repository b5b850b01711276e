"""The learning rate of every optimizer and target, all from one small search, on dates that no
reported score has seen.

python bench/learning_rates.py [targets=return,level,volatility] [root=runs/learning-rates]
resumes; prints a table in Markdown

Seven rates for every optimizer, half a decade apart and so three decades wide; the three
development folds (walk-forward blocks before the holdout's test part); two seeds. The score is the
mean of log MSE ratio to persistence. sgd is searched in the traditional recipe, the others in the
upgraded one.
"""

import math
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from upgate.cli.arguments import read_options
from upgate.cli.train import train_command
from upgate.data.prices.features import Floats
from upgate.store.store import Store

RATES = {
    "sgd": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    "rmsprop": [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1],
    "adam": [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1],
    "adamw": [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1],
}
FOLDS, SEEDS = (0, 1, 2), (100, 101)  # seeds that no result is reported with


def search(target: str, optimizer: str, root: str) -> dict[float, Floats]:
    """Log MSE ratios by learning rate, fold and seed; stored runs are not trained again."""
    rates = RATES[optimizer]
    recipe = (
        ["recipe=traditional"]
        if optimizer == "sgd"
        else ["recipe=upgraded", f"optimizer={optimizer}"]
    )
    axes = [
        f"optimizer.lr={','.join(map(str, rates))}",
        f"fold={','.join(map(str, FOLDS))}",
        f"seed={','.join(map(str, SEEDS))}",
    ]
    words = [
        "task=stock",
        f"task.target={target}",
        "split=development",
        "twin=false",
        "threads=1",
        *recipe,
        *axes,
        f"root={root}",
    ]
    train_command(words, True, None, Console(quiet=True))
    rows = [r for r in Store(Path(root).resolve()).rows(status="FINISHED") if not r.is_parent]
    scores: dict[float, dict[tuple[str, str], float]] = {rate: {} for rate in rates}
    for run in rows:
        if run.params["optimizer"] == optimizer and run.params["task.target"] == target:
            place = run.params["fold"], run.params["seed"]
            scores[float(run.params["optimizer.lr"])][place] = math.log(
                run.metrics["test/mse_ratio"]
            )
    assert all(len(found) == len(FOLDS) * len(SEEDS) for found in scores.values()), {
        k: len(v) for k, v in scores.items()
    }
    return {
        rate: np.array([found[place] for place in sorted(found)]) for rate, found in scores.items()
    }


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
    asked = read_options(
        {"targets": "return,level,volatility", "root": "runs/learning-rates"}, words
    )
    blank = " | ".join([""] * (len(RATES["sgd"]) - 2))
    for target in asked["targets"].split(","):
        print(
            f"\n### {target}\n\n| optimizer | lowest rate | {blank} | highest rate"
            f" |\n|---|{'--:|' * len(RATES['sgd'])}"
        )
        found = {}
        for optimizer in RATES:
            found[optimizer] = search(target, optimizer, asked["root"])
            print(row(optimizer, found[optimizer]), flush=True)
        edges = [optimizer for optimizer, scores in found.items() if at_edge(scores)]
        ties = [
            f"{optimizer} {' '.join(as_good(scores)) or 'none'}"
            for optimizer, scores in found.items()
        ]
        print(
            f"\nBest at an edge: {', '.join(edges) or 'none'}. Within two standard errors of the"
            f" best: {'; '.join(ties)}."
        )


if __name__ == "__main__":
    main(sys.argv[1:])

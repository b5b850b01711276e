"""The learning rate of every optimizer and target, all from one small search, on dates that no reported score has seen.

python bench/learning_rates.py [targets=return,level,volatility] [root=runs/learning-rates]   resumes; prints a table in Markdown

The same number of rates for every optimizer, a third of a decade apart around its library's default; the three development folds
(walk-forward blocks before the holdout's test part); two seeds. The score is the mean of log MSE ratio to persistence. sgd is searched in
the traditional recipe, the others in the upgraded one.
"""

import math
import sys
from pathlib import Path
from statistics import fmean

from rich.console import Console

from upgate.run.command import train_command
from upgate.run.store import Store

RATES = {
    "sgd": [0.01, 0.03, 0.1, 0.3, 1.0],
    "rmsprop": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    "adam": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    "adamw": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
}
FOLDS, SEEDS = (0, 1, 2), (100, 101)  # seeds that no result is reported with


def search(target: str, optimizer: str, root: str) -> dict[float, float]:
    """Mean log MSE ratio by learning rate; what is in the store is not trained again."""
    rates = RATES[optimizer]
    recipe = ["recipe=traditional"] if optimizer == "sgd" else ["recipe=upgraded", f"optimizer={optimizer}"]
    axes = [f"optimizer.lr={','.join(map(str, rates))}", f"fold={','.join(map(str, FOLDS))}", f"seed={','.join(map(str, SEEDS))}"]
    words = ["task=stock", f"task.target={target}", "split=development", "twin=false", "threads=1", *recipe, *axes, f"root={root}"]
    train_command(words, True, None, Console(quiet=True))
    rows = [r for r in Store(Path(root).resolve()).rows(status="FINISHED") if not r.is_parent]
    wanted = [r for r in rows if r.params["optimizer"] == optimizer and r.params["task.target"] == target]
    scores: dict[float, list[float]] = {rate: [] for rate in rates}
    for row in wanted:
        scores[float(row.params["optimizer.lr"])].append(math.log(row.metrics["test/mse_ratio"]))
    assert all(len(found) == len(FOLDS) * len(SEEDS) for found in scores.values()), {k: len(v) for k, v in scores.items()}
    return {rate: fmean(found) for rate, found in scores.items()}


def main(words: list[str]) -> None:
    asked = {"targets": "return,level,volatility", "root": "runs/learning-rates"} | dict(word.split("=", 1) for word in words)
    for target in asked["targets"].split(","):
        print(
            f"\n### {target}\n\nMSE ratio to persistence, geometric mean over {len(FOLDS)} folds and {len(SEEDS)} seeds; the best in bold\n"
        )
        print("| optimizer | " + " | ".join(["lowest rate", "", "middle", "", "highest rate"]) + " |\n|---|--:|--:|--:|--:|--:|")
        for optimizer in RATES:
            scores = search(target, optimizer, asked["root"])
            best = min(scores, key=lambda rate: scores[rate])
            cells = [f"{rate:g}: {'**' * (rate == best)}{math.exp(score):.4g}{'**' * (rate == best)}" for rate, score in scores.items()]
            print(f"| {optimizer} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Does `model.skip=reference` help prices, and do market features help volatility?

python bench/skip_results.py [sets=index,eight] [targets=return,level,volatility] [seeds=0,1]
[processes=1] [data=../shared/data/stock] [file=runs/skip.jsonl]
resumes; prints tables in Markdown

Three development folds decide: the blocks that they score lie before the holdout's test part. The
validation part of the holdout stands beside them, and so does its test part, which decides nothing.
Rates: those of conf/task/stock.yaml for model.skip=none, and with the skip a tenth and a hundredth
of them too.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from trainings import Metrics, Words, measure

from upgate.cli.arguments import read_options
from upgate.config.compose import compose

SETS = {
    "index": ("The S&P 500 index", "", ()),
    "eight": (
        "Eight US tickers from 2012",
        "us_daily_long_adj.parquet",
        (
            "data.tickers=[AAPL,MSFT,XOM,KO,PG,GE,IBM,SPY]",
            "data.start=2012",
            "trainer.max_epochs=4",
        ),
    ),
}
REFERENCE = {"return": "drift", "level": "persistence", "volatility": "har"}
CHANGES = "open_return,high_return,low_return,close_return,range_volatility,volume_change"
LAGS = "range_volatility_5,range_volatility_22"
MARKET = "market_volatility_1,market_return_1"
MARKET_LAGS = "market_volatility_5,market_volatility_22,market_return_5,market_return_22"
FEATURES = {
    "default": (),
    "lags": (f"task.features=[{CHANGES},{LAGS}]",),
    "market": (f"task.features=[{CHANGES},{MARKET}]",),
    "market and lags": (f"task.features=[{CHANGES},{LAGS},{MARKET},{MARKET_LAGS}]",),
}
FOLDS = 3
HEAD = (
    "recipe", "skip", "features", "rate", "**development folds**", "range over folds and seeds",
    "holdout: validation", "holdout: test",
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """A row of a table; `share`: of the learning rate in conf/task/stock.yaml."""

    recipe: str
    skip: str
    features: str
    share: float

    def words(self, source: Words) -> Words:
        """The overrides of its run; `source`: those that say what is trained on."""
        usual = compose([*source, f"recipe={self.recipe}", "model.skip=none"])["optimizer"]["lr"]
        return (
            *source,
            *FEATURES[self.features],
            f"recipe={self.recipe}",
            f"model.skip={self.skip}",
            f"optimizer.lr={usual * self.share:.3g}",
        )


def arms(name: str, target: str) -> list[Arm]:
    """The arms of a set and a target: features are a question of volatility alone."""
    features = ["default"]
    if target == "volatility":
        features += ["lags"] if name == "index" else ["lags", "market", "market and lags"]
    return [
        Arm(recipe, skip, feature, share)
        for recipe, skip, feature in product(
            ("traditional", "upgraded"), ("none", "reference"), features
        )
        for share in rate_shares(skip, feature)
    ]


def rate_shares(skip: str, features: str) -> tuple[float, ...]:
    """The learning rates of an arm, as shares of the usual one."""
    if skip == "none":
        return (1.0,)
    return (1.0, 0.1, 0.01) if features == "default" else (1.0, 0.1)


def source_words(name: str, target: str, asked: dict[str, str]) -> Words:
    """The overrides that say what is trained on."""
    _, file, words = SETS[name]
    data = ("data=prices", f"data.path={Path(asked['data']) / file}") if file else ("data=sp500",)
    return ("task=stock", f"task.target={target}", *data, *words, "threads=1")


def places(seeds: Sequence[str]) -> dict[str, list[Words]]:
    """Column -> the overrides of its splits and seeds."""
    folds = [("split=development", f"fold={fold}") for fold in range(FOLDS)]
    return {
        "development": [(*fold, f"seed={seed}") for fold, seed in product(folds, seeds)],
        "holdout": [("split=holdout", f"seed={seed}") for seed in seeds],
    }


def ratio(metrics: Metrics, part: str, reference: str) -> float:
    """MSE over the reference's, the geometric mean over tickers; inf of a run that diverged."""
    if not metrics:
        return math.inf
    beside = metrics[f"{part}/{reference}/mse_ratio"]
    return metrics[f"{part}/mse_ratio"] / beside


def cells(
    arm: Arm, source: Words, reference: str, seeds: Sequence[str], found: dict[Words, Metrics]
) -> Iterator[str]:
    """The row of an arm."""
    yield from (arm.recipe, arm.skip, arm.features, f"{arm.share:g}")
    runs = {
        column: [found[(*arm.words(source), *place)] for place in listed]
        for column, listed in places(seeds).items()
    }
    scores = [ratio(run, "test", reference) for run in runs["development"]]
    yield f"**{mean(scores)}**"
    yield f"{number(min(scores))} to {number(max(scores))}"
    for part in ("val", "test"):
        yield mean([ratio(run, part, reference) for run in runs["holdout"]])


def mean(scores: Sequence[float]) -> str:
    """The geometric mean."""
    return number(float(np.exp(np.mean(np.log(scores)))))


def number(value: float) -> str:
    return f"{value:.4f}" if value < 10 else f"{value:.4g}"


def main(words: list[str]) -> None:
    asked = {
        "sets": ",".join(SETS),
        "targets": ",".join(REFERENCE),
        "seeds": "0,1",
        "processes": "1",
        "data": "../shared/data/stock",
        "file": "runs/skip.jsonl",
    }
    asked = read_options(asked, words)
    seeds = asked["seeds"].split(",")
    every = [place for column in places(seeds).values() for place in column]
    tables = list(product(asked["sets"].split(","), asked["targets"].split(",")))
    commands = [
        (*arm.words(source_words(name, target, asked)), *place)
        for name, target in tables
        for arm in arms(name, target)
        for place in every
    ]
    found = measure(commands, Path(asked["file"]), int(asked["processes"]))
    for name, target in tables:
        source = source_words(name, target, asked)
        print(f"\n### {SETS[name][0]}, {target}: MSE over that of {REFERENCE[target]}\n")
        print(f"| {' | '.join(HEAD)} |\n|---|---|---|{'--:|' * (len(HEAD) - 3)}")
        for arm in arms(name, target):
            print(f"| {' | '.join(cells(arm, source, REFERENCE[target], seeds, found))} |")


if __name__ == "__main__":
    main(sys.argv[1:])

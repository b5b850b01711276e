"""Run and twin on many real stocks, for every target, beside persistence and HAR.

python bench/stock_results.py [sets=index,eight,sp500] [targets=return,level,volatility] [seeds=0]
[threads=1] [data=../shared/data/stock] [root=runs/stock-results]          resumes; prints tables in
Markdown

Learning rates are those of conf/task/stock.yaml, found on the index's development folds
(docs/results/learning-rates.md), not tuned here.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from upgate.cli.arguments import read_options
from upgate.cli.train import train_command
from upgate.config import compose as config
from upgate.config.schema import build
from upgate.data.prices.sources import load_prices
from upgate.data.prices.table import Prices
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.stock.datamodule import StockDataModule, StockTask


@dataclass(frozen=True)
class Stocks:
    """Prices to train on: a file (none: the embedded index) and the words that go with it."""

    title: str
    file: str
    words: tuple[str, ...]


EIGHT = "data.tickers=[AAPL,MSFT,XOM,KO,PG,GE,IBM,SPY]"
SETS = {
    "index": Stocks("The S&P 500 index", "", ()),
    "eight": Stocks(
        "Eight US tickers from 2005", "us_daily_long_adj.parquet", (EIGHT, "data.start=2005")
    ),
    "sp500": Stocks(
        "All 505 tickers",
        "sp500_all_stocks_5yr.parquet",
        ("data.bad=drop", "batch_size=512", "trainer.max_epochs=2"),
    ),
}
HEAD = (
    "target", "seed", "windows: train, validation, test", "tickers judged", "MSE: run", "twin", "persistence",  # noqa: E501
    "MSE ratio: run", "twin", "drift", "HAR", "run's tickers below persistence", "below HAR", "seconds: run, twin",  # noqa: E501
)  # fmt: skip


def command(stocks: Stocks, target: str, data: str) -> list[str]:
    """The overrides of `upgate train` that say what is trained on what; not where, nor the seed."""
    source = (
        ["data=prices", f"data.path={Path(data) / stocks.file}"] if stocks.file else ["data=sp500"]
    )
    return ["task=stock", f"task.target={target}", *source, *stocks.words]


def describe(prices: Prices) -> str:
    """What was read, in a sentence."""
    table = prices.table
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in prices.dropped.items()) or "none"
    days = f"{table['date'].min():%Y-%m-%d} to {table['date'].max():%Y-%m-%d}"
    return (
        f"{len(table):,} rows, {days}, tickers: {table['ticker'].nunique()}; rows dropped:"
        f" {dropped}."
    )


def windows(prices: Prices, asked: dict[str, Any]) -> tuple[str, str]:
    """How many windows each part has, and what was left out or scaled otherwise."""
    task = build(StockTask, asked["task"], "task").to_dict()
    tensors = StockDataModule(
        prices, task, asked["split"], asked["fold"], asked["data"]["bad"]
    ).tensors
    special = ", ".join(
        f"{what.replace('_', ' ')} {count:,}" for what, count in tensors.notes.items() if count
    )
    return ", ".join(f"{len(rows):,}" for rows in tensors.origin.values()), special


def trained(words: list[str], asked: dict[str, Any], prices: Prices) -> tuple[Row, Row]:
    """Train run and twin, or find them in the store."""
    if code := train_command(words, False, None, Console(quiet=True)):
        sys.exit(code)  # interrupted, or failed: the store has the traceback
    store = Store(Path(asked["root"]).resolve())
    run = next(
        row for row in store.rows(recipe="upgraded", status="FINISHED") if fits(row, asked, prices)
    )
    return run, store.finished([run.tags["upgate.twin_key"]])[run.tags["upgate.twin_key"]]


def fits(row: Row, asked: dict[str, Any], prices: Prices) -> bool:
    """Whether a stored run is the one that was asked for."""
    wanted = {
        "task.target": asked["task"]["target"],
        "seed": asked["seed"],
        "batch_size": asked["batch_size"],
        "optimizer.lr": asked["optimizer"]["lr"],
        "trainer.max_epochs": asked["trainer"]["max_epochs"],
    }
    return row.tags["upgate.data"] == prices.hash() and all(
        row.params[key] == str(value) for key, value in wanted.items()
    )


def cells(run: Row, twin: Row, root: str) -> Iterator[str]:
    """The numbers of a line of the table, from the tickers judged on."""
    tickers = pd.read_parquet(Path(root) / run.key[:16] / "tickers.parquet")
    yield str(len(tickers))
    yield from (
        shown(row, key) for row, key in ((run, "mse"), (twin, "mse"), (run, "persistence/mse"))
    )
    yield from (
        shown(row, key)
        for row, key in (
            (run, "mse_ratio"),
            (twin, "mse_ratio"),
            (run, "drift/mse_ratio"),
            (run, "har/mse_ratio"),
        )
    )
    for name in ("persistence", "har"):
        yield str(int((tickers["forecast"] < tickers[name]).sum())) if name in tickers else ""
    yield f"{run.metrics['seconds']:.0f}, {twin.metrics['seconds']:.0f}"


def shown(row: Row, key: str) -> str:
    """A test metric of a run to four digits; blank where there is none."""
    value = row.metrics.get(f"test/{key}")
    return (
        ""
        if value is None
        else f"{value:.4f}"
        if key.endswith("ratio") and value < 10
        else f"{value:.4g}"
    )


def measure(stocks: Stocks, asked: dict[str, str]) -> None:
    """Print the table of a set, a line per target and seed as it is trained."""
    words = command(stocks, "TARGET", asked["data"])
    print(
        f"\n### {stocks.title}\n\n`upgate train {' '.join(words)} seed=SEED"
        f" threads={asked['threads']}`\n"
    )
    prices = load_prices(config.compose(command(stocks, "return", asked["data"]))["data"])
    print(
        f"{describe(prices)}\n\n| {' | '.join(HEAD)} |\n|---|{'--:|' * (len(HEAD) - 1)}", flush=True
    )
    notes = {}
    for target in asked["targets"].split(","):
        for seed in asked["seeds"].split(","):
            words = [
                *command(stocks, target, asked["data"]),
                f"seed={seed}",
                f"threads={asked['threads']}",
                f"root={asked['root']}",
            ]
            whole = config.compose(words)
            sizes, notes[target] = windows(prices, whole)
            pair = trained(words, whole, prices)
            print(
                f"| {' | '.join([target, seed, sizes, *cells(*pair, asked['root'])])} |", flush=True
            )
    print(
        "\nTreated otherwise: "
        + "; ".join(f"{target}: {note or 'nothing'}" for target, note in notes.items())
        + "."
    )


def main(words: list[str]) -> None:
    asked = {
        "sets": ",".join(SETS),
        "targets": "return,level,volatility",
        "seeds": "0",
        "threads": "1",
        "data": "../shared/data/stock",
        "root": "runs/stock-results",
    }
    asked = read_options(asked, words)
    for name in asked["sets"].split(","):
        measure(SETS[name], asked)


if __name__ == "__main__":
    main(sys.argv[1:])

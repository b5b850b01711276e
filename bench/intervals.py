"""What share of the test part a run's intervals hold, on five sets of real prices.

python bench/intervals.py [data=../shared/data/stock] [root=runs/intervals]
resumes; prints a table in Markdown

Small runs, one seed: what is measured is the intervals, not how good the forecasts are.
"""

import sys
from pathlib import Path

from rich.console import Console

from upgate.cli.arguments import read_options
from upgate.cli.train import train_command
from upgate.stats.conformal import LEVELS
from upgate.store.record import Row
from upgate.store.store import Store

SETS = {  # title -> file (none: the embedded index) and the words that go with it
    "S&P 500 index, 1999 to 2018": ("", ()),
    "eight US tickers, from 2005": (
        "us_daily_long_adj.parquet",
        ("data.tickers=[AAPL,MSFT,XOM,KO,PG,GE,IBM,SPY]", "data.start=2005"),
    ),
    "ten US tickers, 2013 to 2018": (
        "sp500_all_stocks_5yr.parquet",
        ("data.tickers=[A,AAL,AAPL,ABT,ADBE,AMZN,BA,C,CVX,DIS]", "data.bad=drop"),
    ),
    "six US tickers, 2021 to 2026": (
        "yfinance_2021_2026.parquet",
        ("data.tickers=[AAPL,MSFT,GOOGL,AMZN,NVDA,JPM]",),
    ),
    "Shanghai and Shenzhen, from 2005": (
        "cn_index_daily.parquet",
        ("data.tickers=[sh000001,sz399001]", "data.start=2005", "data.bad=drop"),
    ),
}
BUDGET = (
    "task.window=20",
    "model.hidden_size=16",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "batch_size=256",
    "threads=1",
    "twin=false",
)
TARGETS = ("return", "level", "volatility")


def trained(title: str, target: str, data: str, root: str) -> Row:
    """The finished run, in a store of its set; one that is stored is not trained again."""
    file, words = SETS[title]
    source = ["data=prices", f"data.path={Path(data) / file}"] if file else []
    store = Path(root).resolve() / str(list(SETS).index(title))
    asked = ["task=stock", f"task.target={target}", *source, *words, *BUDGET, f"root={store}"]
    if code := train_command(asked, False, None, Console(quiet=True)):
        sys.exit(code)  # interrupted, or failed: the store has the traceback
    rows = Store(store).rows(status="FINISHED")
    return next(r for r in rows if not r.is_parent and r.params["task.target"] == target)


def main(words: list[str]) -> None:
    asked = read_options({"data": "../shared/data/stock", "root": "runs/intervals"}, words)
    print("| prices | target | test samples | in 80% | in 90% | in 95% | mean width of 90% |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for title in SETS:
        for target in TARGETS:
            metrics = trained(title, target, **asked).metrics
            held = [f"{metrics[f'test/coverage_{level}']:.3f}" for level in LEVELS]
            width = f"{metrics['test/width_90']:.3g}"
            samples = f"{int(metrics['test/samples']):,}"
            print(f"| {' | '.join([title, target, samples, *held, width])} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

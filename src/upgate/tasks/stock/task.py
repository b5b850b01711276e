"""The stock task, as the rest of the program sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from upgate.config.schema import build
from upgate.data.prices.sources import SOURCES, load_prices
from upgate.data.prices.table import Prices
from upgate.data.splits.chronological import split_of
from upgate.tasks import figures
from upgate.tasks.base import Judgement, Task, check_source
from upgate.tasks.stock.datamodule import StockDataModule, StockTask
from upgate.tasks.stock.metrics import judge
from upgate.tasks.stock.module import StockModule


class Stock(Task):
    name = "stock"
    columns = (
        ("mse_ratio", "MSE ratio", ".4f"),
        ("mse", "MSE", ".3g"),
        ("mae", "MAE", ".3g"),
        ("r2_oos", "R²", ".4f"),
        ("direction", "direction", ".3f"),
        ("price_mae", "price MAE", ".4g"),
    )
    references = ("persistence", "drift", "har")
    pictures = ("forecast.png", "curves.png")

    def plain(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return build(StockTask, asked, "task").plain()

    def split(self, asked: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
        return split_of(asked, task["horizon"])

    def load(self, source: Mapping[str, Any]) -> Prices:
        check_source(source, SOURCES, self.name)
        return load_prices(source)

    def data(
        self,
        table: Prices,
        task: Mapping[str, Any],
        split: Mapping[str, Any],
        fold: int,
        config: Mapping[str, Any],
    ) -> StockDataModule:
        return StockDataModule(
            table, dict(task), dict(split), fold, config["data"].get("bad", "refuse")
        )

    def learner(self, spec: dict[str, Any], data: StockDataModule) -> StockModule:
        return StockModule(spec, data.tensors.scaling)

    def judge(self, data: StockDataModule, part: str, output: Tensor) -> Judgement:
        judged = judge(data.tensors, part, output)
        return Judgement(judged.metrics, {"forecasts": judged.forecasts, "tickers": judged.tickers})

    def draw(
        self,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        twin: Path | None,
        name: str,
        spec: dict[str, Any],
    ) -> Sequence[str]:
        figures.save(
            figures.forecast(tables["forecasts"], spec["task"]["target"], name),
            folder / "forecast.png",
        )
        figures.save(
            figures.curves(tables["curve"], figures.kept(twin, "curve"), name),
            folder / "curves.png",
        )
        return self.pictures

    def profile(self, table: Prices) -> dict[str, Any]:
        days = table.table["date"]
        tickers = int(table.table["ticker"].nunique())
        return {
            "rows": len(days),
            "tickers": tickers,
            "from": f"{days.min():%Y-%m-%d}",
            "to": f"{days.max():%Y-%m-%d}",
        }

    def about(self, table: Prices) -> str:
        about = self.profile(table)
        plural = "s" * (about["tickers"] > 1)
        return f"{about['tickers']} ticker{plural}, {about['rows']:,} days, {about['from']} to {about['to']}; windows"

    def shown(self, metrics: Mapping[str, float]) -> list[tuple[str, str, str]]:
        in_price = "test/price_mae" in metrics  # then that is the error people ask for
        return [
            column for column in super().shown(metrics) if not (in_price and column[0] == "mae")
        ]

    def title(self, metrics: Mapping[str, float]) -> str:
        return f"test part, {int(metrics.get('test/samples', 0)):,} samples; MSE ratio: to persistence's, below 1 beats it"

    def sentence(self, metrics: Mapping[str, float]) -> str:
        ratio = metrics["test/mse_ratio"]
        return f"The run {'beats' if ratio < 1 else 'does not beat'} persistence ({ratio:.4f} of its MSE)"

    def gap(self, ours: float, theirs: float) -> str:
        change = 100 * (ours / theirs - 1)
        return f"its MSE ratio is {abs(change):.2f}% {'lower' if change < 0 else 'higher'} than"


TASK = Stock()

"""The stock task, as the rest of the program sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from torch import Tensor

from upgate.config.schema import build
from upgate.config.values import Section, SpecValues
from upgate.data.prices.sources import SOURCES, load_prices
from upgate.data.prices.table import Prices
from upgate.data.splits.chronological import SPLITS, check_chronological
from upgate.model.export.network import Network
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.store.registry import Input
from upgate.tasks import figures
from upgate.tasks.base import Declared, Evaluation, Fetch, StoredRun, Task, check_source
from upgate.tasks.blocks import Block
from upgate.tasks.registry import register_task
from upgate.tasks.search_blocks import BlockRequest
from upgate.tasks.stock.blocks import search_blocks
from upgate.tasks.stock.datamodule import StockDataModule, StockTask
from upgate.tasks.stock.explained import explain_days
from upgate.tasks.stock.export import export_prices
from upgate.tasks.stock.facts import StockFacts
from upgate.tasks.stock.figures import draw_forecast
from upgate.tasks.stock.intervals import fit_radii, measure_intervals
from upgate.tasks.stock.metrics import evaluate_forecasts
from upgate.tasks.stock.module import StockModule
from upgate.tasks.stock.path import HorizonPath, check_horizon
from upgate.tasks.stock.predict import INTERVAL, example_prices, predict_frame, predict_prices
from upgate.tasks.stock.texts import say


@register_task
class Stock(StockFacts, Task):
    skips = True
    table_type = Prices
    files = "prices"
    path = HorizonPath()
    predict_keys = ("data", "interval", path.key)
    inputs = (
        Input("date", "any", required=False),  # it may be the index
        Input("ticker", "any", required=False),
        *(Input(name, "any") for name in ("open", "high", "low", "close")),
        Input("volume", "any", required=False),
    )
    options: ClassVar[Mapping[str, float]] = {"interval": INTERVAL}

    def declarations(self) -> Mapping[str, Declared]:
        return {"task": {self.name: StockTask}, "data": SOURCES, "split": SPLITS}

    def settings(self, config: Section) -> dict[str, Any]:
        check_horizon(config.get("horizon"))
        return build(StockTask, config, "task").to_dict()

    def split(self, config: Section, settings: Section) -> dict[str, Any]:
        return check_chronological(config, settings["horizon"])

    def load(self, source: Section) -> Prices:
        check_source(source, SOURCES, self.name)
        return load_prices(source)

    def datamodule(
        self,
        table: Prices,
        settings: Section,
        split: Section,
        fold: int,
        config: Section,
    ) -> StockDataModule:
        return StockDataModule(
            table, dict(settings), dict(split), fold, config["data"].get("bad", "refuse")
        )

    def module(self, spec: SpecValues, data: StockDataModule) -> StockModule:
        skip = data.reference_skip[0] if "skip" in spec["model"] else None
        return StockModule(spec, data.tensors.scaling, skip)

    def finish(self, spec: SpecValues, data: StockDataModule, validation: Tensor) -> dict[str, Any]:
        """The radii of the intervals around forecasts."""
        return {"radii": fit_radii(data.tensors, validation)}

    def measure_finish(
        self, data: StockDataModule, part: str, output: Tensor, finish: Section
    ) -> dict[str, float]:
        if part == "validation":  # the radii's own: it would hold what was asked for
            return {}
        return measure_intervals(data.tensors, part, output, finish["radii"])

    def evaluate(self, data: StockDataModule, part: str, output: Tensor) -> Evaluation:
        return evaluate_forecasts(data.tensors, data.references(), part, output)

    def draw(
        self,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        twin: Path | None,
        name: str,
        spec: SpecValues,
    ) -> Sequence[str]:
        drawn = draw_forecast(
            tables["forecasts"],
            figures.stored(twin, "forecasts"),
            spec["task"]["target"],
            name,
        )
        figures.save_figure(drawn, folder / "forecast.png")
        super().draw(folder, tables, twin, name, spec)
        return self.pictures

    def search_blocks(self, request: BlockRequest) -> list[Block]:
        return search_blocks(request)

    def predict(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        return predict_prices(overrides, checkpoint, fetch)

    def predict_frame(
        self, frame: pd.DataFrame, checkpoint: Section, options: Mapping[str, Any]
    ) -> pd.DataFrame:
        return predict_frame(frame, checkpoint, options)

    def export(self, checkpoint: Section) -> Network:
        return export_prices(checkpoint)

    def explain(self, run: StoredRun, twin: StoredRun, w: Translator) -> list[Html]:
        return explain_days(run, twin, self.translator(w))

    def example(self, overrides: Sequence[str], checkpoint: Section, fetch: Fetch) -> pd.DataFrame:
        return example_prices(overrides, checkpoint, fetch)

    def profile(self, table: Prices) -> dict[str, Any]:
        days = table.table["date"]
        tickers = int(table.table["ticker"].nunique())
        about = {
            "rows": len(days),
            "tickers": tickers,
            "from": f"{days.min():%Y-%m-%d}",
            "to": f"{days.max():%Y-%m-%d}",
        }
        return about | ({"suspicious": table.suspicious} if table.suspicious else {})

    def describe(self, table: Prices) -> str:
        about = self.profile(table)
        period = {"first": about["from"], "last": about["to"]}
        tickers = say("one_ticker" if about["tickers"] == 1 else "many_tickers", n=about["tickers"])
        return say("about_prices", tickers=tickers, days=f"{about['rows']:,}", **period)

"""The LightningDataModule of prices: a table, a task and a fold in; batches out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from torch import Tensor

from upgate.config.compose import compose
from upgate.config.keywords import Part, keyword_overrides
from upgate.config.schema import PositiveInt, build
from upgate.data.datamodule import FoldDataModule
from upgate.data.loader import DeterministicLoader
from upgate.data.prices import windows
from upgate.data.prices.baselines import references
from upgate.data.prices.features import DEFAULT_FEATURES, FEATURES, MARKET, Floats, Panel
from upgate.data.prices.skip import Skip, fit_skip, skip_forecasts
from upgate.data.prices.sources import to_prices
from upgate.data.prices.table import Prices
from upgate.data.splits import chronological as splits
from upgate.errors import UserError, did_you_mean
from upgate.tasks.stock.texts import say

Target = Literal["return", "level", "volatility"]


@dataclass(frozen=True)
class StockTask:
    """What is forecast, from how much: `horizon` and `window` in trading days.

    features: null is the target's own set; market adds the mean over the tickers to it.
    """

    name: str
    target: Target
    horizon: PositiveInt
    window: PositiveInt
    features: Literal["market"] | list[str] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the features named. Raises UserError for an unknown feature."""
        names = DEFAULT_FEATURES[self.target]
        if self.features is not None:
            names = [*names, *MARKET] if self.features == "market" else list(self.features)
        for name in names:
            if name not in FEATURES:
                raise UserError(
                    say("feature_unknown", name=name, hint=did_you_mean(name, FEATURES))
                )
        if not names:
            raise UserError(say("no_features"))
        return {**vars(self), "features": list(names)}


def folds_of_dates(n: int, split: dict[str, Any], horizon: int) -> list[splits.Fold]:
    """The folds of a split's configuration over n dates; the gap is at least the horizon."""
    values = splits.check_chronological(split, horizon)
    return build(splits.SPLITS[values.pop("name")], {"n": n, **values}, "split")


class StockDataModule(FoldDataModule):
    """The tensors of one fold and their loaders.

    Raises UserError where the data cannot give a sample.
    """

    def __init__(
        self,
        prices: Prices,
        task: dict[str, Any],
        split: dict[str, Any],
        fold: int,
        bad: Literal["refuse", "drop"],
    ) -> None:
        super().__init__()
        self.settings = task
        panel = Panel.of(prices.table)
        available = folds_of_dates(len(panel.dates), split, task["horizon"])
        if fold >= len(available):
            last = len(available) - 1
            raise UserError(say("fold_not_there", fold=fold, split=str(split["name"]), last=last))
        self.fold = available[fold]
        self.tensors = windows.build_tensors(
            panel,
            fold=self.fold,
            window=task["window"],
            horizon=task["horizon"],
            target=task["target"],
            features=task["features"],
            bad=bad,
        )

        self._flat = _flat_tickers(self.tensors, task["target"])
        self._references: dict[str, Floats] = {}

    @classmethod
    def create(
        cls,
        prices: Prices | pd.DataFrame | Path | str | None = None,
        *,
        target: Target | None = None,
        horizon: int | None = None,
        window: int | None = None,
        features: Literal["market"] | Sequence[str] | None = None,
        split: Part | None = None,
        fold: int = 0,
        batch_size: int | None = None,
        seed: int = 0,
        skip: Literal["none", "reference"] | None = None,
        bad: Literal["refuse", "drop"] = "refuse",
    ) -> Self:
        """For a Trainer of one's own: the loaders of one fold.

        prices: a frame, file or folder of daily bars; None: the embedded S&P 500. What is None is
        as in `conf/`. Raises UserError.
        """
        task = {"target": target, "horizon": horizon, "window": window, "features": features}
        words = {"split": split, "batch_size": batch_size, "model": {"skip": skip}}
        config = compose(keyword_overrides({"task": {"name": "stock", **task}, **words}))
        settings = build(StockTask, config["task"], "task").to_dict()
        checked = splits.check_chronological(config["split"], settings["horizon"])
        data = cls(to_prices(prices, bad), settings, checked, fold, bad)
        return data.with_batching(
            config["batch_size"], seed, config["model"]["skip"] == "reference"
        )

    def references(self) -> dict[str, Floats]:
        """Each reference's forecast from every row, (N,) in target units; fitted at the first call.

        All runs on this fold share them.
        """
        if not self._references:
            self._references |= references(self.tensors.panel, self.tensors)
        return self._references

    @cached_property
    def reference_skip(self) -> tuple[Skip, Tensor]:
        """Where a network with model.skip=reference starts: fitted, and its forecasts (N,)."""
        fitted = fit_skip(self.tensors)
        return fitted, skip_forecasts(self.tensors.panel, fitted, self.tensors.scaling)

    def batches(self, part: str, batch_size: int, seed: int | None) -> DeterministicLoader:
        t = self.tensors
        skip = self.reference_skip[1] if self.skip else None
        take = windows.window_batches(t.x, t.y, t.window, skip)
        return DeterministicLoader(take, t.origin[part], batch_size, seed)

    @property
    def sizes(self) -> dict[str, int]:
        return {part: len(rows) for part, rows in self.tensors.origin.items()}

    @property
    def notes(self) -> dict[str, int]:
        notes = {what.replace("_", " "): count for what, count in self.tensors.notes.items()}
        flat = say("flat_tickers")
        return notes | ({flat: self._flat} if self._flat else {})


def _flat_tickers(tensors: windows.StockTensors, target: str) -> int:
    """The tickers whose price never moves in the test part.

    Raises UserError where in some part no ticker's does: persistence makes no error there, and
    nothing can be compared with it.
    """
    if target == "volatility":
        return 0
    panel = tensors.panel
    ahead = panel.ahead(panel.close, tensors.scaling["horizon"])
    flat = 0
    for part, origin in tensors.origin.items():
        row = origin.numpy()
        moves = np.bincount(panel.ticker[row], ahead[row] != panel.close[row])
        samples = np.bincount(panel.ticker[row])
        if len(row) and not moves.any():
            first = panel.tickers[int(samples.argmax())]
            raise UserError(say("never_moves", ticker=first, part=part))
        flat = int(((moves == 0) & (samples > 0)).sum())  # the test part is the last
    return flat

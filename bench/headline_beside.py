"""What stands beside a headline study's table: the network alone where it starts from a linear
model, and the volatility forecasts against HAR's, ticker by ticker.

Used by study_results.py. Reads the runs' own files; nothing is trained.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from upgate.data.prices.features import Floats
from upgate.stats.paired import paired
from upgate.stats.two_way import date_lags, two_way
from upgate.study.result import StudyResult

ALONE = "test/lstm/accuracy"


def folders(found: StudyResult, arm: str, root: Path) -> Mapping[int, list[Path]]:
    """Seed -> the folders of an arm's runs, one for each fold."""
    runs: dict[int, list[Path]] = {}
    for place, key in found.study.keys[arm].items():
        runs.setdefault(int(place.partition("/")[0]), []).append(root / key[:16])
    return runs


def lstm_alone(found: StudyResult, root: Path) -> list[str]:
    """The accuracy of the network without the linear model, arm by arm; empty where none is."""
    arms = [arm.name for arm in found.study.arms]
    scores = {arm: _metric(folders(found, arm, root), ALONE) for arm in arms}
    base = scores[found.study.baseline]
    if np.isnan(base).any():
        return []
    lines = [
        "The LSTM alone, without the linear model it is added to; over seeds only:\n",
        "| arm | accuracy, all texts | difference, points [95% interval] | p |\n|---|--:|--:|--:|",
    ]
    for arm, values in scores.items():
        cells = " | "
        if arm != found.study.baseline:
            one = paired(100 * (values - base))
            cells = f"{one.effect:+.2f} [{one.low:+.2f}, {one.high:+.2f}] | {one.p:.3f}"
        lines.append(f"| {arm} | {values.mean():.4f} | {cells} |")
    return [*lines, ""]


def _metric(runs: Mapping[int, list[Path]], name: str) -> Floats:
    """A metric by seed, the mean over folds, nan where it is not there."""
    read = partial(Path.read_text, encoding="utf-8")
    found = [
        np.mean([json.loads(read(one / "result.json"))["metrics"].get(name, np.nan) for one in of])
        for _, of in sorted(runs.items())
    ]
    return np.array(found)


def qlike(truth: Floats, forecast: Floats) -> Floats:
    """Loss of a variance forecast, both given as log volatility. Patton 2011."""
    ratio = np.exp(2 * (truth - forecast))
    return ratio - np.log(ratio) - 1


def beside_har(found: StudyResult, root: Path) -> list[str]:
    """The primary arm's volatility forecasts and HAR's: MSE by ticker, QLIKE, over seeds and dates;
    empty for another target.
    """
    if found.study.task != "stock":
        return []
    runs = folders(found, found.study.primary_arm, root)
    tables = [_forecasts(of) for _, of in sorted(runs.items())]
    if any("har" not in table for table in tables):
        return []
    ratios = [
        (table["forecast"] - table["truth"]).pow(2).groupby(table["ticker"]).mean()
        / (table["har"] - table["truth"]).pow(2).groupby(table["ticker"]).mean()
        for table in tables
    ]
    by_ticker = sum(ratios[1:], ratios[0]) / len(ratios)
    pooled = {loss: _beside(tables, loss) for loss in ("MSE", "QLIKE")}
    return [
        f"`{found.study.primary_arm}` against HAR, {len(tables)} seeds, {len(by_ticker)} tickers;"
        " QLIKE of the variance, neither forecast corrected for the logarithm:\n",
        "| loss | over HAR's | difference [95% interval over seeds and dates] | p |",
        "|---|--:|--:|--:|",
        *(f"| {loss} | {cells} |" for loss, cells in pooled.items()),
        "",
        f"The mean of the {len(tables)} seeds' forecasts: {_averaged(tables):.4f} of HAR's MSE.\n",
        f"MSE over HAR's, each ticker (lower in {int((by_ticker < 1).sum())} of {len(by_ticker)}): "
        + ", ".join(f"{ticker} {value:.3f}" for ticker, value in by_ticker.items())
        + ".\n",
    ]


def _forecasts(of: list[Path]) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(one / "forecasts.parquet") for one in of])


def _averaged(tables: list[pd.DataFrame]) -> float:
    """MSE of the mean forecast of all seeds, over HAR's."""
    day = ["label_date", "ticker"]
    mean = pd.concat(tables).groupby(day)[["forecast", "har", "truth"]].mean()
    errors = mean[["forecast", "har"]].sub(mean["truth"], axis=0).pow(2).mean()
    return float(errors["forecast"] / errors["har"])


def _beside(tables: list[pd.DataFrame], loss: str) -> str:
    """Cells of a loss: its ratio to HAR's, and the difference over seeds and dates."""
    daily = [
        table.assign(
            **{
                name: _loss(loss, table["truth"].to_numpy(), table[name].to_numpy())
                for name in ("forecast", "har")
            }
        )
        .groupby("label_date")[["forecast", "har"]]
        .mean()
        for table in tables
    ]
    both = np.stack([day.to_numpy() for day in daily])  # (seeds, dates, 2)
    mean = both.mean(axis=(0, 1))
    one = two_way(both[..., 0] - both[..., 1], date_lags(both.shape[1]))
    return (
        f"{mean[0] / mean[1]:.4f} | {one.effect:+.5f} [{one.low:+.5f}, {one.high:+.5f}]"
        f" | {one.p:.3f}"
    )


def _loss(name: str, truth: Floats, forecast: Floats) -> Floats:
    return (forecast - truth) ** 2 if name == "MSE" else qlike(truth, forecast)

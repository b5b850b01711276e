"""All tickers of a study in one number, from the forecasts of its runs."""

from collections.abc import Collection

import numpy as np
import pandas as pd
import pytest

from upgate.stats.verdict import FEWEST
from upgate.tasks.significance import Cell, StudyRuns
from upgate.tasks.stock.significance import (
    INTERVAL_DATES,
    date_losses,
    ticker_intervals,
    ticker_losses,
)
from upgate.tasks.stock.units import fold_deviations

TICKERS, FOLDS, DATES = ("AAPL", "KO", "XOM"), (0, 1), INTERVAL_DATES // 2


def forecasts(arm: str, cell: Cell) -> pd.DataFrame:
    """Errors of the arm are four fifths of the baseline's, but for some noise."""
    seed, fold = cell
    days = pd.date_range("2020-01-01", periods=DATES) + pd.Timedelta(days=DATES * fold)
    truth = np.random.default_rng(fold).normal(size=(len(TICKERS), DATES))
    own = np.random.default_rng([seed, fold, len(arm)]).normal(0, 0.1, truth.shape)
    share = 0.8 if arm == "upgraded" else 1.0
    keys = pd.MultiIndex.from_product([TICKERS, days], names=["ticker", "label_date"])
    columns = {"truth": truth.ravel(), "forecast": (truth - share * (truth + own)).ravel()}
    return pd.DataFrame(columns, index=keys).reset_index()


def study(
    seeds: int, diverged: Collection[tuple[str, Cell]] = (), folds: tuple[int, ...] = FOLDS
) -> StudyRuns:
    cells = [(seed, fold) for seed in range(seeds) for fold in folds]

    def table(arm: str, cell: Cell, _: str) -> pd.DataFrame | None:
        return None if (arm, cell) in diverged else forecasts(arm, cell)

    arms = {"traditional": cells, "upgraded": cells}
    return StudyRuns("traditional", arms, folds, 0.05, {"horizon": 1}, table)


def test_the_ratio_is_the_geometric_mean_over_tickers_seeds_and_folds() -> None:
    found = ticker_intervals(study(FEWEST), ["upgraded"])["upgraded"]
    logs = [
        np.log(ticker_losses(forecasts("upgraded", cell)).mean(axis=1))
        - np.log(ticker_losses(forecasts("traditional", cell)).mean(axis=1))
        for cell in study(FEWEST).cells["upgraded"]
    ]
    assert np.log(found.effect) == pytest.approx(np.mean(logs))
    assert found.low < found.effect < found.high < 1  # the arm is better
    assert found.effect == pytest.approx(0.64, rel=0.05)


def test_there_is_none_below_six_seeds_or_where_a_run_diverged() -> None:
    assert ticker_intervals(study(FEWEST - 1), ["upgraded"]) == {}
    for arm in ("traditional", "upgraded"):
        assert ticker_intervals(study(FEWEST, [(arm, (2, 1))]), ["upgraded"]) == {}


def test_there_is_none_over_few_dates() -> None:
    assert ticker_intervals(study(FEWEST, folds=(0,)), ["upgraded"]) == {}


def test_a_ticker_whose_price_never_moves_changes_no_score() -> None:
    made = forecasts("upgraded", (0, 0)).assign(persistence=0.0)
    dead = made[made["ticker"] == "KO"].assign(ticker="DEAD", truth=0.0, forecast=0.1)
    both = pd.concat([made, dead])
    pd.testing.assert_frame_equal(date_losses(both), date_losses(made))
    names = ["forecast", "persistence"]
    pd.testing.assert_frame_equal(fold_deviations(both, names), fold_deviations(made, names))
    pd.testing.assert_frame_equal(ticker_losses(both), ticker_losses(made))

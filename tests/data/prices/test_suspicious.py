"""Bars that jump as no market does are found, named and counted; real moves are not."""

import numpy as np
import pandas as pd
import pytest

from upgate.data.prices.suspicious import before_last_jump, describe_bars, find_suspicious
from upgate.data.prices.table import clean_prices

N = 300


def walk(seed: int = 0, spread: float = 0.012) -> pd.DataFrame:
    """A random walk of heavy-tailed returns, as daily ones are."""
    rng = np.random.default_rng(seed)
    close = 60 * np.exp(np.cumsum(spread * rng.standard_t(4, N) / np.sqrt(2)))
    open_ = np.concatenate([[60], close[:-1]]) * np.exp(spread / 3 * rng.standard_normal(N))
    high, low = np.maximum(open_, close) * 1.003, np.minimum(open_, close) / 1.003
    days = pd.bdate_range("2019-01-01", periods=N)
    columns = {"open": open_, "high": high, "low": low, "close": close}
    return pd.DataFrame({"ticker": "AAA", "date": days, **columns, "volume": 1e6})


def scaled(table: pd.DataFrame, rows: slice, factor: float) -> pd.DataFrame:
    table = table.copy()
    prices = ["open", "high", "low", "close"]
    table.loc[table.index[rows], prices] = table.loc[table.index[rows], prices] * factor
    return table


@pytest.mark.parametrize("seed", range(20))
def test_an_undisturbed_walk_is_not_suspicious(seed):
    assert not find_suspicious(walk(seed)).any().any()


@pytest.mark.parametrize("factor", [100, 0.01, 10, 0.1, 1.5, 2])
@pytest.mark.parametrize("length", [1, 5, 9])
def test_a_slip_is_found_on_each_of_its_days(factor, length):
    found = find_suspicious(scaled(walk(), slice(200, 200 + length), factor))
    assert np.flatnonzero(found.reversed).tolist() == list(range(200, 200 + length))
    assert not found.lasting.any()
    assert found.factor[200] == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("factor", [1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 10, 1 / 100, 2, 10, 100])
def test_a_split_is_found_on_its_day(factor):
    found = find_suspicious(scaled(walk(), slice(200, None), factor))
    assert np.flatnonzero(found.lasting).tolist() == [200]
    assert not found.reversed.any()


def test_a_real_crash_that_stays_is_not_called_a_split():
    assert not find_suspicious(scaled(walk(), slice(200, None), 0.7)).any().any()


@pytest.mark.parametrize(("column", "factor"), [("low", 0.1), ("high", 10), ("high", 100)])
def test_a_slip_in_one_price_of_a_bar(column, factor):
    table = walk()
    table.loc[150, column] *= factor
    assert np.flatnonzero(find_suspicious(table).within).tolist() == [150]


def test_the_first_and_the_last_bar_and_short_tickers():
    assert not find_suspicious(walk().iloc[:1]).any().any()
    assert not find_suspicious(walk().iloc[:2]).any().any()
    last = scaled(walk(), slice(N - 1, None), 100)
    assert find_suspicious(last).lasting[N - 1]
    first = scaled(walk(), slice(0, 1), 100)
    assert find_suspicious(first).lasting[1]


def test_each_ticker_is_judged_by_its_own_moves():
    calm, wild = walk(1, 0.0005).assign(ticker="A"), walk(2, 0.05).assign(ticker="B")
    both = pd.concat([calm, wild], ignore_index=True)
    both = scaled(scaled(both, slice(100, 101), 1.1), slice(N + 100, N + 101), 1.1)
    assert np.flatnonzero(find_suspicious(both).any()).tolist() == [100]


def test_the_sentence_names_ticker_day_and_factor():
    table = scaled(walk(), slice(200, None), 0.25)
    (said,) = describe_bars(table, find_suspicious(table))
    assert said.startswith("1 suspicious bar, jumps by a whole ratio that stay")
    assert f"AAA {table['date'][200]:%Y-%m-%d}, 1/" in said
    assert "near 1/4" in said
    assert before_last_jump(table, find_suspicious(table)).sum() == 200


def test_dropping_takes_only_what_no_market_does_unless_asked():
    table = scaled(scaled(walk(), slice(100, 101), 100), slice(200, None), 0.25)
    named = clean_prices(table, where="x")
    assert (len(named.table), named.suspicious, len(named.warnings)) == (N, 2, 2)
    dropped = clean_prices(table, where="x", bad="drop")
    assert (len(dropped.table), dropped.suspicious) == (N - 1, 1)
    assert dropped.dropped == {"suspicious": 1}

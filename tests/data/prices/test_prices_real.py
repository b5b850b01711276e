"""The real price files of ../shared/data: every row is read, or dropped for a reason, or refused in
a sentence.
"""

import csv
import io
import time
from pathlib import Path

import pandas as pd
import pytest

from helpers.project import SHARED_DATA, needs_shared_data
from upgate.data.prices.reader import read_prices
from upgate.errors import UserError

pytestmark = needs_shared_data


def price_rows(path: Path) -> int:
    """Count, in another way, the lines that hold five numbers after their first cell."""
    text = path.read_text("utf-8-sig")
    rows = [[cell.replace(",", "") for cell in row[1:6]] for row in csv.reader(io.StringIO(text))]
    return sum(
        all(cell.replace(".", "", 1).isdigit() for cell in row) and len(row) == 5 for row in rows
    )


RAW = {
    "sandp_5yr_DHR_with_nan.csv": ("DHR_with_nan", 1240, {"incomplete": 2, "impossible bar": 1}),
    "yahoo_web_export_AMZN_blank_last_row.csv": ("AMZN", 2805, {"blank": 1}),
    "yahoo_web_export_GS_dividend_rows.csv": ("GS", 2805, {"dividend": 44}),
    "yahoo_web_export_WMT_split_rows.csv": ("WMT", 2805, {"dividend": 44, "split": 1}),
    "yfinance_multiheader_AAPL.csv": ("AAPL", 1254, {}),
    "yfinance_multiheader_EURUSD_zero_volume.csv": ("EURUSD=X", 1266, {"impossible bar": 34}),
    "yfinance_multiheader_HSI.csv": ("^HSI", 1226, {}),
    "yfinance_multiheader_RELIANCE.NS_nan_last_row.csv": ("RELIANCE.NS", 1237, {"incomplete": 1}),
}


@pytest.mark.parametrize("name", RAW)
def test_real_raw_files(name):
    path = SHARED_DATA / "raw" / name
    ticker, rows, dropped = RAW[name]
    if "impossible bar" in dropped:
        with pytest.raises(UserError, match="do not both lie between low"):
            read_prices(path)
    prices = read_prices(path, bad="drop")
    assert (len(prices.table), prices.dropped) == (rows, dropped)
    assert rows + dropped.get("impossible bar", 0) == price_rows(path)
    assert (prices.table["ticker"].iloc[0] in ticker) or ticker in prices.table["ticker"].iloc[0]


STOCK = {
    "cn_index_daily": (22_292, 3, {}),
    "sp500_all_stocks_5yr": (619_017, 505, {"incomplete": 11, "impossible bar": 12}),
    "us_daily_long_adj": (301_868, 30, {}),
    "yfinance_2021_2026": (26_154, 20, {"incomplete": 1, "impossible bar": 34}),
}


@pytest.mark.parametrize("name", STOCK)
def test_real_parquet_files_in_good_time(name):
    path = SHARED_DATA / "stock" / f"{name}.parquet"
    rows, tickers, dropped = STOCK[name]
    if "impossible bar" in dropped:
        with pytest.raises(UserError, match="do not both lie between low"):
            read_prices(path)
    started = time.process_time()  # of the CPU: other work of the machine counts for nothing
    prices = read_prices(path, bad="drop")
    assert time.process_time() - started < 2  # 0.3 s for the 619,040 rows on a quiet machine
    table = prices.table
    assert (len(table), table["ticker"].nunique(), prices.dropped) == (rows, tickers, dropped)
    assert rows + sum(dropped.values()) == len(pd.read_parquet(path, columns=[]))
    assert not table.duplicated(["ticker", "date"]).any()
    assert table.equals(table.sort_values(["ticker", "date"], ignore_index=True))
    assert (table[["open", "high", "low", "close"]] > 0).all(axis=None)


def test_the_same_prices_as_csv_have_the_same_hash(tmp_path):
    path = SHARED_DATA / "stock" / "cn_index_daily.parquet"
    pd.read_parquet(path).sample(frac=1, random_state=0).to_csv(tmp_path / "x.csv", index=False)
    assert read_prices(tmp_path / "x.csv").hash() == read_prices(path).hash()


def test_one_ticker_of_a_file_with_faults_elsewhere():
    prices = read_prices(
        SHARED_DATA / "stock" / "sp500_all_stocks_5yr.parquet",
        tickers=["AAPL", "T"],
        start="2014",
        end="2017-06",
    )
    assert prices.table["ticker"].unique().tolist() == ["AAPL", "T"]
    assert prices.dropped == {}
    assert (
        f"{prices.table['date'].min():%F} {prices.table['date'].max():%F}"
        == "2014-01-02 2017-06-30"
    )

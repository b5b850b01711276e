"""`data=akshare`: Eastmoney's prices of China's shares, funds and indices."""

from datetime import date
from pathlib import Path

import pandas as pd

from upgate.data.prices.china import Adjust, Code, load_china
from upgate.data.prices.parameters import Bad, Day, Suspicious, Tickers
from upgate.data.prices.table import Prices

COLUMNS = {
    "日期": "date",
    "开盘": "open",
    "最高": "high",
    "最低": "low",
    "收盘": "close",
    "成交量": "volume",
}


def load_akshare(
    tickers: Tickers = None,
    start: Day = None,
    end: Day = None,
    adjust: Adjust = "hfq",
    folder: Path | str = "data",
    refresh: bool = False,
    bad: Bad = "refuse",
    suspicious: Suspicious = None,
) -> Prices:
    """The prices of `tickers` from `start` to `end`, inclusive; volumes in lots of a hundred.

    Raises UserError.
    """
    options = tickers, start, end, adjust, folder, refresh, bad, suspicious
    return load_china("akshare", ask_akshare, *options)


def ask_akshare(code: Code, first: date, last: date, adjust: Adjust) -> pd.DataFrame:
    """akshare's rows of one security; an index has no dividends."""
    import akshare

    days = {"start_date": f"{first:%Y%m%d}", "end_date": f"{last:%Y%m%d}"}
    if code.kind == "index":
        symbol = f"{code.exchange.lower()}{code.digits}"
        return pd.DataFrame(akshare.stock_zh_index_daily_em(symbol=symbol, **days))
    history = akshare.fund_etf_hist_em if code.kind == "fund" else akshare.stock_zh_a_hist
    adjustment = "" if adjust == "none" else adjust
    rows = history(symbol=code.digits, period="daily", adjust=adjustment, **days)
    return pd.DataFrame(rows.rename(columns=COLUMNS))

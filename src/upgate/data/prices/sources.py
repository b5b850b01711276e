"""A choice of `conf/data/` -> `Prices`. The keys of a source are its function's parameters."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from upgate.config.schema import build
from upgate.config.values import Section
from upgate.data.prices.akshare import load_akshare
from upgate.data.prices.baostock import load_baostock
from upgate.data.prices.parameters import Bad, Day, Decimal, Suspicious, Tickers, as_list
from upgate.data.prices.reader import read_prices
from upgate.data.prices.table import Prices, clean_prices
from upgate.data.prices.yahoo import load_yahoo
from upgate.data.texts import say
from upgate.errors import UserError, did_you_mean

UNNAMED = "prices"  # the ticker of a data frame without a column of tickers


def load_prices(config: Section) -> Prices:
    """The prices of a configuration with the keys of `conf/data/<source>.yaml`."""
    source = config["source"]
    if source not in SOURCES:
        raise UserError(say("no_price_source", source=source, hint=did_you_mean(source, SOURCES)))
    values = {key: value for key, value in config.items() if key != "source"}
    return build(SOURCES[source], values, "data")


def to_prices(prices: Prices | pd.DataFrame | Path | str | None, bad: Bad = "refuse") -> Prices:
    """The prices that Python gives: a frame, a file or folder; None: the embedded S&P 500.

    A frame has the columns of a price file, its days in one of them or in its index; without a
    column of tickers it is one ticker, `prices`.
    """
    if prices is None:
        return load_sp500(bad=bad)
    if isinstance(prices, pd.DataFrame):
        frame = with_days(prices)
        return clean_prices(frame, where="the data frame", bad=bad, ticker=UNNAMED)
    return prices if isinstance(prices, Prices) else load_files(prices, bad=bad)


def with_days(prices: pd.DataFrame) -> pd.DataFrame:
    """The frame with its days in a column, where they are its index."""
    if isinstance(prices.index, pd.DatetimeIndex):
        return prices.rename_axis(index="date").reset_index()
    return prices


def load_sp500(start: Day = None, end: Day = None, bad: Bad = "refuse") -> Prices:
    """The S&P 500 index, 1999-01-04 to 2018-12-31, as the only ticker SP500.

    It is a file inside the `arch` package, read in place: importing `arch` for it takes 1.3 s.
    """
    spec = find_spec("arch")
    if spec is None or spec.origin is None:
        raise UserError(say("arch_missing"))
    path = Path(spec.origin).parent / "data" / "sp500" / "sp500.csv.gz"
    prices = _read_once(path, bad, start, end)
    return replace(
        prices,
        table=prices.table.assign(ticker="SP500"),
        source="S&P 500 index, embedded in the arch package",
    )


@lru_cache(maxsize=4)
def _read_once(path: Path, bad: Bad, start: Day, end: Day) -> Prices:
    """A file that does not change while a process lives; its table is to be copied."""
    return read_prices(path, bad=bad, start=start, end=end)


def load_files(
    path: Path | str | None = None,
    tickers: Tickers = None,
    start: Day = None,
    end: Day = None,
    bad: Bad = "refuse",
    decimal: Decimal = None,
    suspicious: Suspicious = None,
) -> Prices:
    """The prices of the user's file or folder; of all its tickers where none is named."""
    if path in (None, "", "???"):
        raise UserError(say("prices_need_path"))
    if tickers == []:
        raise UserError(say("no_tickers"))
    return read_prices(
        str(path),
        tickers=[str(ticker) for ticker in as_list(tickers)] or None,
        bad=bad,
        start=start,
        end=end,
        decimal=decimal,
        suspicious=suspicious,
    )


SOURCES: dict[str, Callable[..., Prices]] = {
    "sp500": load_sp500,
    "yahoo": load_yahoo,
    "akshare": load_akshare,
    "baostock": load_baostock,
    "prices": load_files,
}

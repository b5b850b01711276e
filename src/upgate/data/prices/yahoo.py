"""Yahoo's prices through yfinance: downloaded once into a snapshot."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from upgate.data.prices.headers import stack_tickers
from upgate.data.prices.parameters import Bad, Day, Suspicious, Tickers, as_list
from upgate.data.prices.reader import read_prices, to_period
from upgate.data.prices.snapshot import (
    MIN_ROWS,
    OFFLINE,
    Request,
    last_day,
    load_snapshot,
    way_out,
)
from upgate.data.prices.table import Prices
from upgate.data.texts import say
from upgate.errors import UserError

# What yfinance gives with auto_adjust=True, actions=False.
FIELDS = ["Open", "High", "Low", "Close", "Volume"]


def load_yahoo(
    tickers: Tickers = None,
    start: Day = None,
    end: Day = None,
    folder: Path | str = "data",
    refresh: bool = False,
    bad: Bad = "refuse",
    suspicious: Suspicious = None,
) -> Prices:
    """The prices of `tickers` from `start` to `end`, inclusive, of the snapshot in `folder`.

    Where there is none, or with `refresh`, it is downloaded, up to yesterday (UTC) at most: the bar
    of a day in progress is never taken. No answer, a short one, a rate limit, or a snapshot that
    was altered raise UserError.
    """
    request = {
        "tickers": sorted({str(ticker).upper() for ticker in as_list(tickers)}),
        "start": str(start or ""),
        "end": str(end or ""),
    }
    if not request["tickers"]:
        raise UserError(say("yahoo_needs_tickers"))
    path, day = load_snapshot("yahoo", request, folder, refresh, download_prices)
    source = f"Yahoo, {', '.join(request['tickers'])}, downloaded on {day} ({path})"
    return replace(read_prices(path, bad=bad, suspicious=suspicious), source=source)


def download_prices(request: Request, note: Path) -> pd.DataFrame:
    """A row per ticker and day: date, `FIELDS`, ticker; adjusted for splits and dividends."""
    import yfinance  # 0.6 s

    start = to_period(request["start"], "start")
    last = last_day(request, datetime.now(UTC).date())
    with _logged() as messages:
        answer = yfinance.download(
            request["tickers"],
            start=start.start_time.date() if start else None,
            end=last + timedelta(days=1),  # which Yahoo excludes
            period="max",  # else a missing start means one month
            interval="1d",
            auto_adjust=True,
            actions=False,
            group_by="ticker",
            multi_level_index=True,
            threads=False,  # one after the other: quick requests are what Yahoo limits
            progress=False,
            timeout=20,
        )
    return to_rows(answer, request["tickers"], " ".join(messages), note)


def to_rows(answer: pd.DataFrame | None, tickers: list[str], log: str, note: Path) -> pd.DataFrame:
    """yfinance's (Ticker, Price) columns as rows.

    Raises UserError where a ticker, a field or most days are missing; `log` tells why.
    """
    rows = pd.DataFrame({"ticker": []})
    if answer is not None and len(answer):
        rows = stack_tickers(answer.reset_index())
    counts: Any = rows.dropna(subset="Close")["ticker"].value_counts() if "Close" in rows else {}
    if short := [ticker for ticker in tickers if counts.get(ticker, 0) < MIN_ROWS]:
        raise UserError(
            say(
                "gave_few_prices",
                names=", ".join(short),
                reason=_reason(log),
                way_out=way_out(note),
            )
        )
    if not set(FIELDS) <= set(rows) or ("Adj Close" in rows and rows["Adj Close"].notna().any()):
        names = ", ".join(map(str, rows.columns))
        raise UserError(say("yfinance_columns", columns=names, fields=", ".join(FIELDS)))
    return rows[["date", *FIELDS, "ticker"]].reset_index(drop=True)


def _reason(log: str) -> str:
    if "RateLimit" in log or "Too Many Requests" in log:
        return say("too_many_requests")
    if OFFLINE.search(log):
        return say("cannot_reach")
    if "no timezone found" in log or "No data found" in log:
        return say("unknown_symbol")
    return " ".join(log.split())[:200] or say("short_answer")


class Collector(logging.Handler):
    """Appends the messages of a logger to a list."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect what yfinance logs meanwhile.

    It swallows every exception, a rate limit too: only the log tells.
    """
    messages: list[str] = []
    logger, handler = logging.getLogger("yfinance"), Collector(messages)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate

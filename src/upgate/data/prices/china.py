"""Shares, funds and indices of mainland China: their codes, and what its free services have alike.

`data=akshare` (Eastmoney) and `data=baostock` can be reached from there, where Yahoo cannot.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from upgate import messages
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

# As traded; or for dividends and splits: the past moved to today's price (its history changes with
# every dividend), or the present to the first one's (it does not).
Adjust = Literal["none", "qfq", "hfq"]
CODE = re.compile(r"(?:(SH|SZ|BJ)\.?)?(\d{1,6})(?:\.(SH|SS|SZ|BJ))?", re.IGNORECASE)
FIELDS = ("date", "open", "high", "low", "close", "volume")
CHINA = timezone(timedelta(hours=8))
FIRST = date(1990, 1, 1)  # before the first bar of either exchange


@dataclass(frozen=True)
class Code:
    """A security: its exchange (SH, SZ, BJ) and six digits."""

    exchange: str
    digits: str

    def __str__(self) -> str:
        return f"{self.digits}.{self.exchange}"

    @property
    def kind(self) -> Literal["share", "fund", "index"]:
        index = "000" if self.exchange == "SH" else "399"
        if self.digits.startswith(index):
            return "index"
        fund = "5" if self.exchange == "SH" else "1"
        return "fund" if self.exchange != "BJ" and self.digits.startswith(fund) else "share"


def read_code(ticker: object) -> Code:
    """600519, 600519.SH, sh.600519 or SH600519; without an exchange the one that has such shares,
    so that an index needs it. Raises UserError.
    """
    found = CODE.fullmatch(str(ticker).strip())
    if not found or (found[1] and found[3]):
        raise UserError(say("no_code", ticker=str(ticker)))
    digits = found[2].zfill(6)  # Hydra reads 000858 as a number
    exchange = (found[1] or found[3] or _exchange(digits)).upper().replace("SS", "SH")
    return Code(exchange, digits)


def _exchange(digits: str) -> str:
    if digits[0] in "48" or digits.startswith("92"):
        return "BJ"
    return "SH" if digits[0] in "569" else "SZ"


Answer = Callable[[Code, date, date, Adjust], pd.DataFrame]  # first and last day, included


def load_china(
    service: str,
    answer: Answer,
    tickers: Tickers,
    start: Day,
    end: Day,
    adjust: Adjust,
    folder: Path | str,
    refresh: bool,
    bad: Bad,
    suspicious: Suspicious,
) -> Prices:
    """The prices of a service, of the snapshot in `folder` or downloaded up to yesterday.

    answer: rows of one security with the columns `FIELDS`. Raises UserError.
    """
    request = {
        "tickers": sorted({str(read_code(ticker)) for ticker in as_list(tickers)}),
        "start": str(start or ""),
        "end": str(end or ""),
        "adjust": adjust,
    }
    if not request["tickers"]:
        raise UserError(say("service_needs_tickers", service=service))
    download = partial(_download, service, answer)
    path, day = load_snapshot(service, request, folder, refresh, download)
    source = f"{service}, {', '.join(request['tickers'])}, downloaded on {day} ({path})"
    return replace(read_prices(path, bad=bad, suspicious=suspicious), source=source)


def _download(service: str, answer: Answer, request: Request, note: Path) -> pd.DataFrame:
    first = to_period(request["start"], "start")
    last = last_day(request, datetime.now(CHINA).date())
    days = first.start_time.date() if first else FIRST, last
    frames = []
    for name in request["tickers"]:
        with _faults_of(service, name, note):
            rows = answer(read_code(name), *days, request["adjust"])
        frames.append(_check_rows(rows, service, name, note).assign(ticker=name))
    return pd.concat(frames, ignore_index=True)


@contextmanager
def _faults_of(service: str, name: str, note: Path) -> Iterator[None]:
    """Whatever a service's package raises, in one sentence: it lets every fault of the wire out."""
    try:
        yield
    except UserError:
        raise
    except ModuleNotFoundError as error:
        package = messages.say("package", name=str(error.name))
        raise UserError(
            messages.say("needs_extra", what=f"data={service}", packages=package, extra=service)
        ) from error
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        reason = say("cannot_reach") if OFFLINE.search(fault) else " ".join(fault.split())[:200]
        raise UserError(
            say("gave_no_prices", service=service, names=name, reason=reason, way_out=way_out(note))
        ) from error


def _check_rows(rows: pd.DataFrame, service: str, name: str, note: Path) -> pd.DataFrame:
    if len(rows) < MIN_ROWS:
        raise UserError(say("unknown_code", service=service, name=name, way_out=way_out(note)))
    if missing := [field for field in FIELDS if field not in rows]:
        raise UserError(
            say(
                "columns_without",
                service=service,
                columns=", ".join(map(str, rows.columns)),
                missing=", ".join(missing),
            )
        )
    numbers = rows[list(FIELDS[1:])].apply(pd.to_numeric, errors="coerce")
    return numbers.assign(date=pd.to_datetime(rows["date"]))

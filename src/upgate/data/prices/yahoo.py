"""Yahoo's prices through yfinance: downloaded once into a snapshot with its sha256.

A snapshot is a parquet file whose name holds its own hash, and a json note, named by the request,
that points to it. The note is replaced last and in one step, so an interrupted download leaves the
old snapshot, or none, but never half of one. Adjusted prices differ between two downloads (a
dividend moves all earlier prices), so nothing is downloaded again unless `refresh` says so.
"""

import hashlib
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from upgate.data.prices.headers import stack_tickers
from upgate.data.prices.parameters import Bad, Day, Suspicious, Tickers, as_list
from upgate.data.prices.reader import read_prices, to_period
from upgate.data.prices.table import Prices
from upgate.errors import UserError
from upgate.files import hash_file, is_intact, write_atomic, write_text

# What yfinance gives with auto_adjust=True, actions=False.
FIELDS = ["Open", "High", "Low", "Close", "Volume"]
# Rows; a ticker with fewer is a failed answer (Yahoo then often sends today's price alone).
MIN_ROWS = 5


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
        raise UserError("data=yahoo needs data.tickers, such as data.tickers=[AAPL,MSFT]")
    note = Path(folder).expanduser() / f"{_name(request)}.json"
    if refresh or not note.exists():
        save_snapshot(download_prices(request, note), note, request)
    path, day = verified(note)
    source = f"Yahoo, {', '.join(request['tickers'])}, downloaded on {day} ({path})"
    return replace(read_prices(path, bad=bad, suspicious=suspicious), source=source)


def _name(request: dict) -> str:
    """A request's name: its tickers without `^=&.`, unsafe in file names, and a hash."""
    tickers = "-".join(re.sub(r"[^A-Z0-9]+", "", ticker) for ticker in request["tickers"])
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return f"yahoo-{tickers[:40]}-{digest[:8]}"


def download_prices(request: dict, note: Path) -> pd.DataFrame:
    """A row per ticker and day: date, `FIELDS`, ticker; adjusted for splits and dividends."""
    import yfinance  # 0.6 s

    start, end = to_period(request["start"], "start"), to_period(request["end"], "end")
    today = datetime.now(UTC).date()
    after = today  # Yahoo excludes the end
    if end:
        after = min(end.end_time.date() + timedelta(days=1), today)
    with _logged() as messages:
        answer = yfinance.download(
            request["tickers"],
            start=start.start_time.date() if start else None,
            end=after,
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
            f"Yahoo gave no or almost no prices for {', '.join(short)}: "
            f"{_reason(log)}; {_way_out(note)}"
        )
    if not set(FIELDS) <= set(rows) or ("Adj Close" in rows and rows["Adj Close"].notna().any()):
        names = ", ".join(map(str, rows.columns))
        raise UserError(
            f"yfinance's columns are {names}, not {', '.join(FIELDS)}: "
            "install the version in constraints.txt"
        )
    return rows[["date", *FIELDS, "ticker"]].reset_index(drop=True)


def _reason(log: str) -> str:
    if "RateLimit" in log or "Too Many Requests" in log:
        return "it limits the number of requests, try again in some hours"
    if re.search("resolve|DNSError|Connection|[Tt]imeout|timed out|SSLError|ProxyError", log):
        return "it cannot be reached from here"
    if "no timezone found" in log or "No data found" in log:
        return "it does not know the symbol (it writes ^GSPC, BRK-B, 600519.SS)"
    return " ".join(log.split())[:200] or "its answer was short"


def _way_out(note: Path) -> str:
    if note.exists():
        day = read_note(note)["downloaded"]
        return f"the snapshot of {day} is still there, leave out data.refresh=true to use it"
    snapshots = sorted(note.parent.glob("yahoo-*.parquet"))
    if snapshots:
        return (
            f"use a snapshot that is there, data=prices data.path={snapshots[-1]}, "
            "or the embedded data=sp500"
        )
    return "use the embedded data=sp500"


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


def save_snapshot(rows: pd.DataFrame, note: Path, request: dict) -> None:
    """Write the snapshot, then its note, each completely or not at all. Raises UserError."""
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = note.with_name(f"{note.stem}-{digest[:8]}.parquet")
    values = {"file": path.name, "sha256": digest, "downloaded": f"{date.today()}", **request}
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: file.write(buffer.getvalue()))
        write_text(note, json.dumps(values, indent=1) + "\n")
    except OSError as error:
        raise UserError(
            f"the snapshot {path} cannot be written ({error.strerror or error}); set data.folder"
        ) from error


def read_note(note: Path) -> dict[str, str]:
    """The snapshot's file name, its sha256 and the day of its download. Raises UserError."""
    try:
        values = json.loads(note.read_text()) if is_intact(note) else {}
        return {key: str(values[key]) for key in ("file", "sha256", "downloaded")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{note} is damaged; delete it to download again") from error


def verified(note: Path) -> tuple[Path, str]:
    """The snapshot's path and the day of its download. Raises UserError for an altered one."""
    values = read_note(note)
    path, day = note.with_name(values["file"]), values["downloaded"]
    if not path.exists() or hash_file(path) != values["sha256"]:
        raise UserError(
            f"the snapshot {path} is gone or altered since {day}; "
            "data.refresh=true downloads it again"
        )
    return path, day

"""Yahoo's prices through yfinance: downloaded once into a snapshot with its sha256, read from there ever after.

A snapshot is a parquet file whose name holds its own hash, and a json note, named by the request, that points to it. The
note is replaced last and in one step, so an interrupted download leaves the old snapshot, or none, but never half of one.
Adjusted prices differ between two downloads (a dividend moves all earlier prices), so nothing is downloaded unasked.
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

from upgate.data.prices.formats import stack_tickers
from upgate.data.prices.parameters import Bad, Day, Tickers, listed
from upgate.data.prices.reader import read_prices, to_period
from upgate.data.prices.table import Prices
from upgate.errors import UserError
from upgate.files import write_atomic

FIELDS = [
    "Open",
    "High",
    "Low",
    "Close",
    "Volume",
]  # what yfinance gives with auto_adjust=True, actions=False
FEWEST = (
    5  # rows; a ticker with less is a failed answer (Yahoo then often sends today's price alone)
)


def load_yahoo(
    tickers: Tickers = None,
    start: Day = None,
    end: Day = None,
    folder: Path | str = "data",
    refresh: bool = False,
    bad: Bad = "refuse",
) -> Prices:
    """Return the prices of `tickers` from `start` to `end`, both included, out of the snapshot in `folder`.

    Where there is none, or with `refresh`, it is downloaded, up to yesterday (UTC) at most: the bar of a day in progress is
    never taken. No answer, a short one, a rate limit, or a snapshot that was altered raise `UserError`.
    """
    request = {
        "tickers": sorted({str(ticker).upper() for ticker in listed(tickers)}),
        "start": str(start or ""),
        "end": str(end or ""),
    }
    if not request["tickers"]:
        raise UserError("data=yahoo needs data.tickers, such as data.tickers=[AAPL,MSFT]")
    note = Path(folder) / f"{_name(request)}.json"
    if refresh or not note.exists():
        save(download(request, note), note, request)
    path, day = verified(note)
    prices = read_prices(path, bad=bad)
    return replace(
        prices, source=f"Yahoo, {', '.join(request['tickers'])}, downloaded on {day} ({path})"
    )


def _name(request: dict) -> str:
    """Name a request: its tickers without `^=&.`, unsafe in file names, and a hash that tells requests apart."""
    tickers = "-".join(re.sub(r"[^A-Z0-9]+", "", ticker) for ticker in request["tickers"])
    return f"yahoo-{tickers[:40]}-{hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8]}"


def download(request: dict, note: Path) -> pd.DataFrame:
    """Return a row per ticker and day: date, the five `FIELDS`, ticker; adjusted for splits and dividends."""
    import yfinance  # 0.6 s

    start, end = (
        to_period(request["start"] or None, "start"),
        to_period(request["end"] or None, "end"),
    )
    today = datetime.now(UTC).date()
    with _said() as said:
        answer = yfinance.download(
            request["tickers"],
            start=start.start_time.date() if start else None,
            end=min(end.end_time.date() + timedelta(days=1), today)
            if end
            else today,  # Yahoo leaves the end out
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
    return rows_of(answer, request["tickers"], " ".join(said), note)


def rows_of(answer: pd.DataFrame | None, tickers: list[str], said: str, note: Path) -> pd.DataFrame:
    """Turn yfinance's (Ticker, Price) columns into rows; hold them to every ticker, five fields, enough days."""
    rows = (
        stack_tickers(answer.reset_index())
        if answer is not None and len(answer)
        else pd.DataFrame({"ticker": []})
    )
    counts: Any = rows.dropna(subset="Close")["ticker"].value_counts() if "Close" in rows else {}
    if short := [ticker for ticker in tickers if counts.get(ticker, 0) < FEWEST]:
        raise UserError(
            f"Yahoo gave no or almost no prices for {', '.join(short)}: {_reason(said)}; {_way_out(note)}"
        )
    if not set(FIELDS) <= set(rows) or ("Adj Close" in rows and rows["Adj Close"].notna().any()):
        names = ", ".join(map(str, rows.columns))
        raise UserError(
            f"yfinance's columns are {names}, not {', '.join(FIELDS)}: install the version in constraints.txt"
        )
    return rows[["date", *FIELDS, "ticker"]].reset_index(drop=True)


def _reason(said: str) -> str:
    if "RateLimit" in said or "Too Many Requests" in said:
        return "it limits the number of requests, try again in some hours"
    if re.search("resolve|DNSError|Connection|[Tt]imeout|timed out|SSLError|ProxyError", said):
        return "it cannot be reached from here"
    if "no timezone found" in said or "No data found" in said:
        return "it does not know the symbol (it writes ^GSPC, BRK-B, 600519.SS)"
    return " ".join(said.split())[:200] or "its answer was short"


def _way_out(note: Path) -> str:
    if note.exists():
        return f"the snapshot of {told_by(note)['downloaded']} is still there, leave out data.refresh=true to use it"
    snapshots = sorted(note.parent.glob("yahoo-*.parquet"))
    if snapshots:
        return f"use a snapshot that is there, data=prices data.path={snapshots[-1]}, or the embedded data=sp500"
    return "use the embedded data=sp500"


@contextmanager
def _said() -> Iterator[list[str]]:
    """Collect what yfinance logs meanwhile: it swallows every exception, a rate limit too, and only the log tells."""
    messages: list[str] = []
    logger, handler = logging.getLogger("yfinance"), logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def save(rows: pd.DataFrame, note: Path, request: dict) -> None:
    """Write the snapshot, then its note, each as a whole or not at all."""
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = note.with_name(f"{note.stem}-{digest[:8]}.parquet")
    told = {"file": path.name, "sha256": digest, "downloaded": f"{date.today()}", **request}
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: file.write(buffer.getvalue()))
        write_atomic(note, lambda file: file.write((json.dumps(told, indent=1) + "\n").encode()))
    except OSError as error:
        raise UserError(
            f"the snapshot {path} cannot be written ({error.strerror or error}); set data.folder"
        ) from error


def told_by(note: Path) -> dict[str, str]:
    """Return the note's content, with the snapshot's file name, its sha256 and the day of its download."""
    try:
        told = json.loads(note.read_text())
        return {key: str(told[key]) for key in ("file", "sha256", "downloaded")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{note} is damaged; delete it to download again") from error


def verified(note: Path) -> tuple[Path, str]:
    """Return the snapshot's path and the day of its download; raise `UserError` where it is gone or altered."""
    told = told_by(note)
    path = note.with_name(told["file"])
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != told["sha256"]:
        raise UserError(
            f"the snapshot {path} is gone or altered since {told['downloaded']}; data.refresh=true downloads it again"
        )
    return path, told["downloaded"]

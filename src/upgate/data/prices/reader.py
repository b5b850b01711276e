"""Any file or folder of daily prices -> `Prices`: csv, tsv or txt, each plain or gzipped, and parquet."""

import csv
import gzip
import io
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import date
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa

from upgate.data.prices.formats import plain, stack_tickers
from upgate.data.prices.table import Bars, Prices, check_bars, finish, name_rows
from upgate.errors import UserError, did_you_mean

# What is read in a folder; a single file may have any name.
SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet")
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # Excel's "Unicode text"
UNREADABLE = (
    *(OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error),
    *(pa.ArrowException, pd.errors.ParserError, pd.errors.ParserWarning),
)

Day = str | int | date | None


def read_prices(
    path: str | Path,
    *,
    tickers: list[str] | None = None,
    bad: str = "refuse",
    start: Day = None,
    end: Day = None,
) -> Prices:
    """Read a file, or all price files of a folder; keep `tickers` (all if None) from `start` to `end`, both included.

    A table without a ticker column is taken for one ticker, named as its file. `start` and `end` are days, months or
    years ("2018" as `end` is its last day). Where a file has a close and an adjusted close, the plain one is kept: it is
    on the same basis as open, high and low. Only the rows asked for are checked, as `prices.clean` says; a file that is
    missing, empty or unreadable, or without the tickers or days asked for, raises `UserError`.
    """
    path = Path(path)
    files = list_files(path)
    names = [] if files == [path] else [file.name for file in files]
    sieves = [
        name_rows(read_file(file), where=str(file), bad=bad, ticker=stem(file)) for file in files
    ]
    select(sieves, str(path), tickers, start, end)
    for sieve in sieves:
        check_bars(sieve)
    return finish(join(sieves, names, str(path)))


def list_files(path: Path) -> list[Path]:
    """Return the file itself or a folder's price files by name; raise `UserError` where there is none."""
    if path.is_dir():
        files = [
            file
            for file in sorted(path.iterdir())
            if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")
        ]
        if not files:
            raise UserError(f"the folder {path} holds no price file ({', '.join(SUFFIXES)})")
        return files
    if not path.exists():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(
            f"there is no file {path}" + (did_you_mean(path.name, beside) if beside else "")
        )
    return [path]


def stem(file: Path) -> str:
    """Return the file's name without the endings that are read here: a ticker such as BRK.B keeps its dot."""
    ending = next(
        (
            suffix
            for suffix in sorted(SUFFIXES, key=len, reverse=True)
            if file.name.lower().endswith(suffix)
        ),
        "",
    )
    return file.name[: len(file.name) - len(ending)]


def select(sieves: list[Bars], where: str, tickers: list[str] | None, start: Day, end: Day) -> None:
    """Keep the rows asked for; a ticker that none of the tables has, or a span without rows, raises `UserError`."""
    known = set().union(*(sieve.frame["ticker"].unique() for sieve in sieves))
    for ticker in tickers or ():
        if known and ticker not in known:  # a table without rows is told of later
            near = next((name for name in known if name.casefold() == ticker.casefold()), ticker)
            raise UserError(f"{where} has no ticker '{ticker}'{did_you_mean(near, known)}")
    first, last = to_period(start, "start"), to_period(end, "end")
    days = pd.concat([sieve.frame["date"] for sieve in sieves])
    for sieve in sieves:
        keep = pd.Series(True, index=sieve.frame.index)
        if tickers:
            keep &= sieve.frame["ticker"].isin(tickers)
        if first is not None:
            keep &= sieve.frame["date"] >= first.start_time
        if last is not None:
            keep &= sieve.frame["date"] <= last.end_time
        sieve.frame = sieve.frame[keep]
    if len(days) and all(sieve.frame.empty for sieve in sieves):
        span = f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
        raise UserError(
            f"{where} has no row from {start or 'its start'} to {end or 'its end'}; its days are {span}"
        )


def to_period(day: Day, name: str) -> pd.Period | None:
    """Return the day, month or year that the key `name` asks for."""
    if day is None or day == "":
        return None
    try:
        if not re.fullmatch(
            r"\d{4}(-\d{1,2}){0,2}|\d{8}", text := str(day).removesuffix(" 00:00:00")
        ):
            raise ValueError(day)  # pandas would read much more, 1/2/2015 too
        return pd.Period(text)
    except ValueError as error:
        raise UserError(
            f"data.{name} is '{day}', which is no day; write it as 2010-12-31"
        ) from error


def join(sieves: list[Bars], names: Iterable[str], where: str) -> Bars:
    """Put the tables of a folder together; a row is then named by its file's name and its number."""
    if not names:
        return sieves[0]
    frame = pd.concat([sieve.frame for sieve in sieves], keys=names)
    return Bars(frame, where, sieves[0].bad, sum((sieve.dropped for sieve in sieves), Counter()))


def read_file(file: Path) -> pd.DataFrame:
    """Return a file's table as it stands, its rows named by their number in the file (the line, for text)."""
    try:
        content = file.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        if content.startswith(b"PAR1"):
            return _parquet(pd.read_parquet(io.BytesIO(content)))
        if not content.strip():
            raise UserError(f"{file} is empty")
        if b"\0" in content[:4096] and not content.startswith(UTF16):
            raise UserError(f"{file} is neither text nor parquet; save it as csv")
        return _table(_decode(content))
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{file} cannot be read as csv or parquet: {reason}") from error


def _parquet(frame: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()  # the dates, as yfinance and many others keep them
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return stack_tickers(frame) if frame.columns.nlevels == 2 else frame


def _decode(content: bytes) -> str:
    if content.startswith(UTF16):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(
            "gb18030"
        )  # NetEase, and Excel on a Chinese machine; holds GBK and GB2312


def _table(text: str) -> pd.DataFrame:
    """Parse text with one header row, or with the two or three that yfinance writes, in either order."""
    separator = "\t" if "\t" in text.split("\n", 1)[0] else ","
    top = islice(csv.reader(io.StringIO(text), delimiter=separator), 3)
    head = _header([[cell.strip() for cell in row] or [""] for row in top])
    frame = _cells(text, separator, width=len(head[0]), skip=len(head))
    if len(head) == 1:
        return frame.set_axis(head[0], axis=1)
    return stack_tickers(frame.set_axis(pd.MultiIndex.from_arrays(head[:2]), axis=1))


def _header(top: list[list[str]]) -> list[list[str]]:
    """Return how many of the first three rows are header: fields and tickers, and perhaps a row that says Date alone."""
    dated = len(top) == 3 and plain(top[2][0]) == "date" and not any(top[2][1:])
    if len(top) > 1 and len(top[0]) == len(top[1]) > 1:
        first, words = (
            plain(top[1][0]),
            pd.to_numeric(pd.Series(top[1][1:], dtype=str), errors="coerce").isna().all(),
        )
        if first in ("ticker", "price") or (first == "" and (dated or (words and all(top[1][1:])))):
            return top if dated else top[:2]
    return top[:1]


def _cells(text: str, separator: str, width: int, skip: int) -> pd.DataFrame:
    """Return all cells as text, so that 000858 keeps its zeros; a line longer than the header raises `ParserError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # it tells of cells left out
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, header=None, names=range(width + 1), skiprows=skip, index_col=False,
            dtype=str, keep_default_na=False, skip_blank_lines=False,
        )  # fmt: skip
    frame = frame.fillna("")
    frame.index = pd.RangeIndex(skip + 1, skip + 1 + len(frame))
    long = frame[width].str.strip() != ""  # a comma at the end of the lines is common and harmless
    if long.any():
        raise pd.errors.ParserError(
            f"line {frame.index[int(long.to_numpy().argmax())]} has more cells than the header"
        )
    return frame.drop(columns=width)

"""Any file or folder of daily prices -> `Prices`: csv, tsv, txt, gzipped or not, and parquet."""

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

from upgate.data.prices.formats import normalize_name, stack_tickers
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
    """Read a file, or all price files of a folder; keep `tickers` from `start` to `end`, inclusive.

    None keeps all. A table without a ticker column is taken for one ticker, named as its file.
    `start` and `end` are days, months or years ("2018" as `end` is its last day). Where a file has
    a close and an adjusted close, the plain one is kept: it is on the same basis as open, high and
    low. Only the kept rows are checked, as `clean_prices` says; a file that is missing, empty or
    unreadable, or without the requested tickers or days, raises UserError.
    """
    path = Path(path)
    files = list_files(path)
    names = [] if files == [path] else [file.name for file in files]
    cleaners = [
        name_rows(read_file(file), where=str(file), bad=bad, ticker=stem(file)) for file in files
    ]
    select_rows(cleaners, str(path), tickers, start, end)
    for cleaner in cleaners:
        check_bars(cleaner)
    return finish(join_files(cleaners, names, str(path)))


def list_files(path: Path) -> list[Path]:
    """The file itself, or a folder's price files by name. Raises UserError where there is none."""
    if path.is_dir():
        visible = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")]
        files = [file for file in visible if file.name.lower().endswith(SUFFIXES)]
        if not files:
            raise UserError(f"the folder {path} holds no price file ({', '.join(SUFFIXES)})")
        return files
    check_exists(path)
    return [path]


def check_exists(path: Path) -> None:
    """Raise UserError, with the nearest name in the folder, where there is no such file."""
    if path.exists():
        return
    names = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, names) if names else ""
    raise UserError(f"there is no file {path}{hint}")


def stem(file: Path) -> str:
    """The file's name without a suffix of `SUFFIXES`: a ticker such as BRK.B keeps its dot."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if file.name.lower().endswith(suffix):
            return file.name[: len(file.name) - len(suffix)]
    return file.name


def select_rows(
    cleaners: list[Bars], where: str, tickers: list[str] | None, start: Day, end: Day
) -> None:
    """Keep the requested rows.

    Raises UserError for a ticker that no table has, and for a span without rows.
    """
    _check_tickers(cleaners, where, tickers or [])
    first, last = to_period(start, "start"), to_period(end, "end")
    days = pd.concat([cleaner.frame["date"] for cleaner in cleaners])
    for cleaner in cleaners:
        keep = pd.Series(True, index=cleaner.frame.index)
        if tickers:
            keep &= cleaner.frame["ticker"].isin(tickers)
        if first is not None:
            keep &= cleaner.frame["date"] >= first.start_time
        if last is not None:
            keep &= cleaner.frame["date"] <= last.end_time
        cleaner.frame = cleaner.frame[keep]
    if len(days) and all(cleaner.frame.empty for cleaner in cleaners):
        span = f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
        raise UserError(
            f"{where} has no row from {start or 'its start'} to {end or 'its end'}; "
            f"its days are {span}"
        )


def _check_tickers(cleaners: list[Bars], where: str, tickers: list[str]) -> None:
    """Raise UserError for a ticker that no table has; a table without rows is reported later."""
    known = set().union(*(cleaner.frame["ticker"].unique() for cleaner in cleaners))
    for ticker in tickers:
        if known and ticker not in known:
            near = next((name for name in known if name.casefold() == ticker.casefold()), ticker)
            raise UserError(f"{where} has no ticker '{ticker}'{did_you_mean(near, known)}")


def to_period(day: Day, name: str) -> pd.Period | None:
    """The day, month or year of the key `name`; None where it has no value. Raises UserError."""
    if day is None or day == "":
        return None
    text = str(day).removesuffix(" 00:00:00")
    try:
        if not re.fullmatch(r"\d{4}(-\d{1,2}){0,2}|\d{8}", text):
            raise ValueError(day)  # pandas would read much more, 1/2/2015 too
        return pd.Period(text)
    except ValueError as error:
        raise UserError(
            f"data.{name} is '{day}', which is no day; write it as 2010-12-31"
        ) from error


def join_files(cleaners: list[Bars], names: Iterable[str], where: str) -> Bars:
    """The tables of a folder together; a row is then named by its file's name and its number."""
    if not names:
        return cleaners[0]
    frame = pd.concat([cleaner.frame for cleaner in cleaners], keys=names)
    return Bars(
        frame, where, cleaners[0].bad, sum((cleaner.dropped for cleaner in cleaners), Counter())
    )


def read_file(file: Path) -> pd.DataFrame:
    """A file's table as it is; rows are named by their number in the file (the line, for text)."""
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
        # NetEase, and Excel on a Chinese machine; it includes GBK and GB2312.
        return content.decode("gb18030")


def _table(text: str) -> pd.DataFrame:
    """Parse text with one header row, or with the two or three of yfinance, in either order."""
    separator = "\t" if "\t" in text.split("\n", 1)[0] else ","
    top = islice(csv.reader(io.StringIO(text), delimiter=separator), 3)
    head = _header([_stripped(row) for row in top])
    frame = _read_cells(text, separator, width=len(head[0]), skip=len(head))
    if len(head) == 1:
        return frame.set_axis(head[0], axis=1)
    return stack_tickers(frame.set_axis(pd.MultiIndex.from_arrays(head[:2]), axis=1))


def _stripped(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row] or [""]


def _header(top: list[list[str]]) -> list[list[str]]:
    """Those of the first three rows that are header.

    Fields and tickers, and perhaps a row that holds Date alone.
    """
    dated = len(top) == 3 and normalize_name(top[2][0]) == "date" and not any(top[2][1:])
    if len(top) > 1 and len(top[0]) == len(top[1]) > 1:
        first, rest = normalize_name(top[1][0]), top[1][1:]
        numbers = pd.to_numeric(pd.Series(rest, dtype=str), errors="coerce")
        names = bool(numbers.isna().all()) and all(rest)
        if first in ("ticker", "price") or (first == "" and (dated or names)):
            return top if dated else top[:2]
    return top[:1]


def _read_cells(text: str, separator: str, width: int, skip: int) -> pd.DataFrame:
    """All cells as text, so that 000858 keeps its zeros.

    A line longer than the header raises ParserError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of cells that are left out
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None,
            names=range(width + 1),
            skiprows=skip,
            index_col=False,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
        )
    frame = frame.fillna("")
    frame.index = pd.RangeIndex(skip + 1, skip + 1 + len(frame))
    long = frame[width].str.strip() != ""  # a comma at the end of the lines is common and harmless
    if long.any():
        line = frame.index[int(long.to_numpy().argmax())]
        raise pd.errors.ParserError(f"line {line} has more cells than the header")
    return frame.drop(columns=width)

"""Any file, folder or archive of daily prices -> `Prices`.

csv, tsv, txt or json, compressed or not, parquet and feather.
"""

import csv
import io
import re
import warnings
from collections.abc import Mapping
from itertools import islice, product
from pathlib import Path, PurePosixPath

import pandas as pd

from upgate import arrow
from upgate.data import contents
from upgate.data.archives import LARGEST, open_archive, read_bounded
from upgate.data.contents import TEXTS, check_exists, check_links, open_content
from upgate.data.json_records import is_json, read_json_records
from upgate.data.prices.days import read_days
from upgate.data.prices.headers import (
    find_fields,
    find_price_columns,
    is_price_header,
    normalize_name,
    stack_named,
    stack_tickers,
)
from upgate.data.prices.parameters import Day, Decimal, Suspicious
from upgate.data.prices.series import join_series
from upgate.data.prices.table import Bars, Prices, check_bars, finish, name_rows
from upgate.data.texts import say
from upgate.errors import UserError, did_you_mean

# What is read in a folder; a single file may have any name.
PACKED = tuple(f"{text}{gz}" for text in TEXTS for gz in (".gz", ".bz2", ".xz"))
SUFFIXES = (*TEXTS, *PACKED, ".parquet", *arrow.SUFFIXES)
SEPARATORS = "\t;,|"
ABOVE = 40  # lines that may stand above the header
USUAL = ("Date", "Open", "High", "Low", "Close", "Volume")  # the usual order of columns
NUMBER = re.compile(r"[+-]?[$€£¥]?\d[\d.,' ]*")
UNREADABLE = (*contents.UNREADABLE, pd.errors.ParserError, pd.errors.ParserWarning)


def read_prices(
    path: str | Path,
    *,
    tickers: list[str] | None = None,
    bad: str = "refuse",
    start: Day = None,
    end: Day = None,
    decimal: Decimal = None,
    suspicious: Suspicious = None,
) -> Prices:
    """Read a file, or all price files of a folder; keep `tickers` from `start` to `end`, inclusive.

    None keeps all. A table without a ticker column is taken for one ticker, named as its file.
    `start` and `end` are days, months or years ("2018" as `end` is its last day). Where a file has
    a close and an adjusted close, the plain one is kept: it is on the same basis as open, high and
    low. `decimal`: the mark of decimals, where cells leave it open. `suspicious`: None, drop or
    accept, as `finish` says. Only the kept rows are checked, as `clean_prices` says; a file that is
    missing, empty or unreadable, or without the requested tickers or days, raises UserError.
    """
    path = Path(path).expanduser()
    cleaners = {}
    for name, content in list_contents(path).items():
        where = f"{path}, {name}" if path.is_file() and name != path.name else str(path)
        where = str(path / name) if path.is_dir() else where
        raw = read_price_content(content, where)
        cleaners[name] = name_rows(raw, where=where, bad=bad, ticker=stem(name), decimal=decimal)
    said = join_series(cleaners, {name: stem(name) for name in cleaners}, path)
    bars = list(cleaners.values())
    select_rows(bars, str(path), tickers, start, end)
    for cleaner in bars:
        check_bars(cleaner)
    joined = join_files(cleaners, str(path))
    joined.warnings += said
    joined.dubious = suspicious
    return finish(joined)


def list_contents(path: Path) -> dict[str, bytes]:
    """The content of a file, or of the price files of a folder or archive, by name.

    Raises UserError where there is none.
    """
    check_exists(path)
    try:
        if path.is_dir():
            check_links(files := sorted(path.iterdir()))
            members = {file.name: file.read_bytes for file in files if file.is_file()}
        else:
            archive = open_archive(path)
            if archive is None:
                with path.open("rb") as file:
                    return {path.name: read_bounded(file, LARGEST, str(path))}
            members = dict(sorted(archive.items()))
        wanted = {name: read for name, read in members.items() if is_wanted(name)}
        if not wanted:
            kind = say("folder") if path.is_dir() else say("archive")
            known = ", ".join((*TEXTS, ".parquet", *arrow.SUFFIXES))
            raise UserError(say("no_price_file", kind=kind, path=str(path), known=known))
        return {name: read() for name, read in wanted.items()}
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def is_wanted(name: str) -> bool:
    """Whether a member of an archive or folder may hold prices: no hidden file."""
    hidden = any(part.startswith((".", "__")) for part in PurePosixPath(name).parts)
    return name.lower().endswith(SUFFIXES) and not hidden


def _unreadable(where: object, error: Exception) -> UserError:
    reason = " ".join(str(error).split()).rstrip(".")
    return UserError(say("unreadable_prices", where=str(where), reason=reason))


def stem(name: str) -> str:
    """A file's name without a suffix of `SUFFIXES`: a ticker such as BRK.B keeps its dot."""
    last = PurePosixPath(name).name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if last.lower().endswith(suffix):
            return last[: len(last) - len(suffix)]
    return last


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
        span = say("span", start=f"{days.min():%Y-%m-%d}", end=f"{days.max():%Y-%m-%d}")
        raise UserError(
            say(
                "no_rows_between",
                where=where,
                start=str(start) if start else say("its_start"),
                end=str(end) if end else say("its_end"),
                span=span,
            )
        )


def _check_tickers(cleaners: list[Bars], where: str, tickers: list[str]) -> None:
    """Raise UserError for a ticker that no table has; a table without rows is reported later."""
    known = set().union(*(cleaner.frame["ticker"].unique() for cleaner in cleaners))
    for ticker in tickers:
        if known and ticker not in known:
            near = next((name for name in known if name.casefold() == ticker.casefold()), ticker)
            raise UserError(
                say("no_ticker", where=where, ticker=ticker, hint=did_you_mean(near, known))
            )


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
        raise UserError(say("no_day", name=name, day=str(day))) from error


def join_files(cleaners: Mapping[str, Bars], where: str) -> Bars:
    """The tables of a folder together; a row is then named by its file's name and its number."""
    bars = list(cleaners.values())
    if len(bars) == 1:
        return bars[0]
    joined = Bars(pd.concat([one.frame for one in bars], keys=list(cleaners)), where, bars[0].bad)
    for one in bars:
        joined.dropped.update(one.dropped)
        joined.warnings += one.warnings
    return joined


def read_price_content(content: bytes, where: str) -> pd.DataFrame:
    """A file's table as it is; rows are named by their number in the file (the line, for text).

    Raises UserError.
    """
    try:
        opened = open_content(content, where)
        return read_text(opened, where) if isinstance(opened, str) else _table(opened)
    except UNREADABLE as error:
        raise _unreadable(where, error) from error


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()  # the dates, as yfinance and many others keep them
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return stack_tickers(frame) if frame.columns.nlevels == 2 else stack_named(frame)


def read_text(text: str, where: str) -> pd.DataFrame:
    """Parse text with one header row, or with the two or three of yfinance, in either order.

    Lines above the header are left out.
    """
    if is_json(text):
        return stack_named(read_json_records(text, where))
    if "\r" in text:  # of an old Mac alone, else beside \n
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    above, separator = find_header(text, where)
    lines = text.split("\n", above)[above]
    top = islice(csv.reader(io.StringIO(lines), delimiter=separator), 3)
    head = _header([_stripped(row) for row in top])
    if len(head) == 1 and not is_price_header(head[0]):
        find_price_columns(head[0], where)  # a table of something else: its rows do not matter
    frame = _read_cells(lines, separator, width=len(head[0]), skip=len(head))
    is_cut = _is_cut(lines, separator)
    frame = frame[: -1 if is_cut else None]
    frame.index += above
    if len(head) == 1:
        frame = stack_named(frame.set_axis(head[0], axis=1))
    else:
        frame = stack_tickers(frame.set_axis(pd.MultiIndex.from_arrays(head[:2]), axis=1))
    frame.attrs |= {"separator": separator, "is_cut": is_cut}
    return frame


def _is_cut(text: str, separator: str) -> bool:
    """Whether the last line is the beginning of a bar: its last number may lack digits."""
    *_, before, last = ["", *text[-2000:].rsplit("\n", 2)[-2:]]
    cells = _cells_of_line(last, separator)
    if not 1 < len(cells) < len(_cells_of_line(before, separator)):
        return False
    return bool(read_days(pd.Series(cells[:3])).day.notna().any())


def find_header(text: str, where: str) -> tuple[int, str]:
    """The number of lines above the header, and the separator of its cells.

    Where no line names the columns of daily prices: the line above the first bar, else the first
    line, and the separator that cuts it into most cells. Raises UserError for a bar that stands
    above the header, or has none: its columns may be in any order.
    """
    lines = text.split("\n", ABOVE)[:ABOVE]
    for i, separator in product(range(len(lines)), SEPARATORS):
        if separator not in lines[i]:
            continue
        top = [_cells_of_line(line, separator) for line in lines[i : i + 3]]
        if is_price_header(top[0]) or len(_header(top)) > 1:
            return i, separator
        if _is_bar(top[0]):
            if i and len(_cells_of_line(lines[i - 1], separator)) == len(top[0]):
                return i - 1, separator  # names of a language that is not known
            raise UserError(
                say("at_line", where=where, line=i + 1, fault=_no_header(top[0], separator))
            )
    all_lines = text.split("\n")
    first = next(i for i, line in enumerate(all_lines) if line.strip())
    return first, max(SEPARATORS, key=all_lines[first].count)


def _is_bar(cells: list[str]) -> bool:
    """Whether a line is a day and at least four numbers."""
    numbers = sum(bool(NUMBER.fullmatch(cell)) for cell in cells)
    return (
        len(cells) > 4
        and numbers >= 4
        and any(read_days(pd.Series([cell])).day.notna().all() for cell in cells[:3])
    )


def _no_header(bar: list[str], separator: str) -> str:
    """What to do about a row of prices that has no header."""
    wanted = say("name_for_each", count=len(bar))
    if len(bar) in (5, 6):
        wanted = say("usual_names", names=f"{separator.join(USUAL[: len(bar)])!r}")
    return say("no_header", row=separator.join(bar)[:60], wanted=wanted)


def _cells_of_line(line: str, separator: str) -> list[str]:
    return _stripped(next(csv.reader([line], delimiter=separator), []))


def _stripped(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row] or [""]


def _header(top: list[list[str]]) -> list[list[str]]:
    """Those of the first three rows that are header.

    Fields and tickers, and perhaps a row that holds Date alone.
    """
    dated = len(top) == 3 and normalize_name(top[2][0]) == "date" and not any(top[2][1:])
    if len(top) > 1 and len(top[0]) == len(top[1]) > 1 and not _are_units(*top[:2]):
        first, rest = normalize_name(top[1][0]), top[1][1:]
        numbers = pd.to_numeric(pd.Series(rest, dtype=str), errors="coerce")
        names = bool(numbers.isna().all()) and all(rest)
        if first in ("ticker", "price") or (first == "" and (dated or names)):
            return top if dated else top[:2]
    return top[:1]


def _are_units(fields: list[str], units: list[str]) -> bool:
    """Whether a row below the header holds units, not tickers: the volume's has no close."""
    found = find_fields(fields)
    return {"close", "volume"} <= found.keys() and units[found["volume"]] not in (
        unit for name, unit in zip(fields, units, strict=True) if "close" in find_fields([name])
    )


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

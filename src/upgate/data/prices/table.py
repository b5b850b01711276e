"""The canonical table of daily prices: what it holds, what is refused, and its identity."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from upgate.data.cleaning import TableCleaner, format_row_name
from upgate.data.contents import plain_cells
from upgate.data.prices import suspicious
from upgate.data.prices.days import check_daily, exchange_days, read_days, to_text
from upgate.data.prices.headers import (
    ADJUSTED,
    ALIASES,
    find_fields,
    find_price_columns,
    price_name,
)
from upgate.data.prices.numbers import (
    COMMA,
    MARKS,
    POINT,
    Ambiguous,
    all_grouped,
    find_currencies,
    find_mark,
    groups_by_blanks,
    has_large_integer,
    has_small_integer,
    proves_point,
    to_numbers,
)
from upgate.data.texts import say
from upgate.errors import UserError

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
# Rows of Yahoo's web table that hold no price.
EVENTS = {"dividend": "dividend|distribution|capital gain", "split": "split"}
COLUMNS = ("ticker", "date", *NUMBERS)
YEARS = (1600, 2200)  # of markets; other calendars, and flipped bits of a day, are outside
# Relative: adjusted prices are off by 1e-15, float32 ones by 1e-7, the least real fault seen by
# 1.2e-5.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Prices:
    """Daily bars, sorted by (ticker, date), one row each; positive, low <= open, close <= high.

    `table`: ticker (str), date (datetime64[s], midnight), open high low close volume (float64;
    volume NaN where the source has none). `source`: a phrase that says where they came from.
    `dropped`: reason -> rows left out, if any. `warnings`: sentences on what may be read wrong.
    `suspicious`: the number of bars that jump as no market does.
    """

    table: pd.DataFrame
    source: str
    dropped: dict[str, int]
    warnings: tuple[str, ...] = ()
    suspicious: int = 0

    def hash(self) -> str:
        """The sha256 of the values, in hex: the same on every machine and for every file format."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        codes, names = pd.factorize(self.table["ticker"], sort=True)
        digest = hashlib.sha256("\0".join([*COLUMNS, *names]).encode())
        digest.update(codes.astype("<i4").tobytes())
        digest.update(self.table["date"].to_numpy("datetime64[D]").astype("<i8").tobytes())
        for column in NUMBERS:
            values = self.table[column].to_numpy("<f8")
            unique = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, no -0.0
            digest.update(unique.tobytes())
        return digest.hexdigest()


@dataclass
class Bars(TableCleaner):
    """Rows of prices, named by ticker and day too.

    `decimal`: point, comma, or None to find it; `separator`: of the file's cells; `dubious`: what
    becomes of suspicious bars, None for naming them; `warnings`: what may be read wrong.
    """

    decimal: str | None = None
    separator: str = ","
    dubious: str | None = None
    warnings: list[str] = field(default_factory=list)

    def row_name(self, row: pd.Series) -> str:
        day = row["date"]
        if isinstance(day, pd.Timestamp):
            day = day.strftime("%Y-%m-%d")
        bar = f"{row['ticker']} {day}"
        return say("row_of_bar", row=super().row_name(row), bar=bar)


def clean_prices(raw: pd.DataFrame, *, where: str, bad: str = "refuse", ticker: str = "") -> Prices:
    """The canonical table of a frame with any of the known column names and forms.

    `where` names the table in errors and becomes the source; its index names the rows. `ticker`:
    for a table without a column of tickers.
    What is no price is dropped and counted: dividend, split, blank and incomplete rows, exact
    repeats. What cannot be right raises UserError, or is dropped and counted where `bad` is "drop":
    an unreadable date or number, no ticker, a price <= 0, a volume < 0, an impossible bar, two
    different bars of one day (both are dropped: nothing says which is right).
    """
    cleaner = name_rows(raw, where=where, bad=bad, ticker=ticker)
    check_bars(cleaner)
    return finish(cleaner)


def name_rows(
    raw: pd.DataFrame, *, where: str, bad: str, ticker: str = "", decimal: str | None = None
) -> Bars:
    """Name the columns and parse each row's day and ticker; numbers stay raw.

    ticker: for a table without a column of tickers.
    """
    if bad not in ("refuse", "drop"):
        raise UserError(say("bad_refuse_or_drop", bad=bad))
    positions = find_price_columns(raw.columns, where)
    frame = raw.iloc[:, list(positions.values())].set_axis(list(positions), axis=1)
    frame = frame.apply(lambda column: plain_cells(column, where))
    if "ticker" in frame:
        frame["ticker"] = to_tickers(frame["ticker"])
    else:
        frame["ticker"] = pd.Series(ticker, index=frame.index, dtype=str)
    days = read_days(frame["date"])
    check_daily(frame["ticker"], days, where)
    day, warning = exchange_days(days, where)
    frame = frame.assign(day=day).reindex(columns=[*COLUMNS, "day"])
    warnings = [warning, *_passed_over(raw, positions, where)]
    cleaner = Bars(frame, where, bad, decimal=decimal)
    cleaner.separator = raw.attrs.get("separator", ",")
    if raw.attrs.get("is_cut"):
        cleaner.dropped["cut off"] += 1
    cleaner.warnings += [text for text in warnings if text]
    _name_days(cleaner)
    cleaner.reject(
        (cleaner.frame["ticker"] == "").to_numpy(), "no ticker", lambda row: say("row_no_ticker")
    )
    return cleaner


def _passed_over(raw: pd.DataFrame, positions: dict[str, int], where: str) -> list[str]:
    """Sentences on columns that a user would expect to be read."""
    names = list(map(str, raw.columns))
    others = [i for i in range(len(names)) if i not in positions.values()]
    sentences: list[str] = []
    if "volume" not in positions:
        left = say("not_read", names=", ".join(names[i] for i in others[:8])) if others else ""
        sentences.append(say("no_volumes", where=where, left=left))
    close = positions["close"]
    closes = (*ADJUSTED, price_name(names[close]))  # Yahoo's page has two of one name
    adjusted = [i for i in others if price_name(names[i]) in closes]
    if adjusted and _differ(raw.iloc[:, adjusted[0]], raw.iloc[:, close]):
        name = names[adjusted[0]].strip()
        second = "" if price_name(name) in ADJUSTED else say("the_second")
        sentences.append(say("other_basis", where=where, second=second, name=name))
    return sentences


def _differ(one: pd.Series, other: pd.Series) -> bool:
    return not one.astype(str).equals(other.astype(str))


def to_tickers(values: pd.Series) -> pd.Series:
    """Codes as text with their leading zeros.

    Without the apostrophe or the `="..."` that guards these in spreadsheets.
    """
    codes, distinct = pd.factorize(values)
    names = (
        pd.Series(distinct)
        .astype(str)
        .str.strip()
        .str.strip("'\"=")
        .str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    )
    return pd.Series(np.append(names.to_numpy(object), "")[codes], index=values.index, dtype=str)


def _name_days(cleaner: Bars) -> None:
    """Leave out rows without a day: blank ones, comments, and those that cannot be read."""
    undated = cleaner.frame["day"].isna().to_numpy()
    if undated.any():
        rows = cleaner.frame.loc[undated]
        blank, comment = undated.copy(), undated.copy()
        blank[undated] = (rows[["date", *PRICES]].apply(to_text) == "").all(axis=1)
        comment[undated] = rows["date"].astype(str).str.lstrip().str.startswith("#")
        cleaner.drop(blank, "blank")
        cleaner.drop(comment[~blank], "comment")
        undated = undated[~(blank | comment)]
        header = undated.copy()
        header[undated] = _repeat_header(cleaner.frame[undated], cleaner.where)
        cleaner.drop(header, "header")
        cleaner.reject(
            undated[~header],
            "unreadable date",
            lambda _: say("no_date"),
        )
    cleaner.frame = cleaner.frame.assign(date=cleaner.frame["day"])[list(COLUMNS)]
    year = cleaner.frame["date"].dt.year
    cleaner.reject(~year.between(*YEARS).to_numpy(), "impossible year", _describe_year)


def _describe_year(row: pd.Series) -> str:
    """With the year of our calendar where another one explains it."""
    year = row["date"].year
    for calendar, shift in ((say("buddhist"), -543), (say("iranian"), 621)):
        if 1900 <= year + shift <= 2100:
            return say("other_calendar", year=year, calendar=calendar, other=year + shift)
    return say("no_such_year", year=year)


def _repeat_header(rows: pd.DataFrame, where: str) -> np.ndarray:
    """Which rows name the columns again, as files do that were put together from several.

    Raises UserError where one names them in another order than the header.
    """
    texts = rows[["date", *NUMBERS]].apply(to_text)
    again = ~texts.apply(lambda column: column.str.contains(r"\d")).any(axis=1)
    names = texts["date"].map(price_name)
    again &= names.isin(ALIASES["date"]) & (names != "")
    for number, row in texts[again].iterrows():
        own = [name for name in row.index if row[name] and name not in find_fields([row[name]])]
        if own:
            raise UserError(
                say(
                    "second_header",
                    where=where,
                    row=format_row_name(number),
                    cell=f"{row[own[0]]!r}",
                    column=own[0],
                )
            )
    return again.to_numpy(bool)


def check_bars(cleaner: Bars) -> None:
    """Make numbers of the price and volume columns and let only possible bars through."""
    read_numbers(cleaner)
    cleaner.drop(cleaner.frame[list(PRICES)].isna().any(axis=1).to_numpy(), "incomplete")
    cleaner.reject(
        (cleaner.frame[list(PRICES)] <= 0).any(axis=1).to_numpy(), "price <= 0", _describe_low
    )
    cleaner.reject(
        (cleaner.frame["volume"] < 0).to_numpy(),
        "volume < 0",
        lambda row: say("negative_volume", volume=f"{row['volume']:g}"),
    )
    cleaner.reject(_impossible(cleaner.frame), "impossible bar", _describe_bar)


def read_numbers(cleaner: Bars) -> None:
    """Convert prices and volumes to float64; rows with text in them are events, or unreadable."""
    check_currencies(cleaner)
    message = np.full(len(cleaner.frame), "", dtype=object)
    columns = {}
    marks = find_marks(cleaner)
    for column in NUMBERS:
        columns[column], unread = to_numbers(cleaner.frame[column], marks[column])
        if unread.any():
            cells = cleaner.frame.loc[unread, column].astype(str).str.strip()
            message[unread] += (f" {column} '" + cells + "'").to_numpy(object)
    cleaner.frame = cleaner.frame.assign(**columns)
    if not (message != "").any():
        return
    messages = pd.Series(message, index=cleaner.frame.index, dtype=str)
    cleaner.frame = cleaner.frame.assign(message=messages)
    for event, form in EVENTS.items():
        cleaner.drop(cleaner.frame["message"].str.contains(form, case=False).to_numpy(bool), event)
    cleaner.reject(
        (cleaner.frame["message"] != "").to_numpy(),
        "unreadable number",
        lambda row: say("not_numbers", cells=str(row["message"])),
    )
    cleaner.frame = cleaner.frame.drop(columns="message")


def check_currencies(cleaner: Bars) -> None:
    """Raise UserError where the prices of one ticker are in two currencies."""
    if len(find_currencies([cleaner.frame[column] for column in PRICES])) < 2:
        return
    for ticker, frame in cleaner.frame.groupby("ticker", sort=False, dropna=False):
        cells = list(find_currencies([frame[column] for column in PRICES]).values())
        if len(cells) > 1:
            raise UserError(
                say(
                    "several_currencies",
                    where=cleaner.where,
                    ticker=str(ticker),
                    first=cells[0],
                    second=cells[1],
                )
            )


def find_marks(cleaner: Bars) -> dict[str, str]:
    """The decimal mark of each column: the prices decide together, else the volume.

    Raises UserError where nothing decides: a guess would be wrong by a factor of 1000.
    """
    prices, volume = [cleaner.frame[column] for column in PRICES], cleaner.frame["volume"]
    own = _mark_of_volume(volume)
    mark, cell = (MARKS[cleaner.decimal] if cleaner.decimal else None), None
    try:
        mark = mark or find_mark(prices)
    except Ambiguous as error:
        mark = own or (POINT if proves_point(volume) else None)
        mark = COMMA if groups_by_blanks(volume) else mark
        cell = None if mark else str(error)
    if mark is None and cell is None:
        cell, comma = _doubtful_points(prices, volume, own), cleaner.separator == ","
        if cell and comma and own != COMMA and all_grouped([volume]) is None:
            # decimal points are the usual ones there: three places of a currency
            cleaner.warnings.append(say("read_as_decimals", where=cleaner.where, cell=cell))
            cell = None
    if cell is not None:
        raise UserError(say("which_mark", where=cleaner.where, cell=str(cell)))
    mark = mark or POINT
    return {**dict.fromkeys(PRICES, mark), "volume": own or mark}


def _mark_of_volume(volume: pd.Series) -> str | None:
    """What the volume proves: by its own marks, or by 1.234 beside 567, as volumes are whole."""
    try:
        mark = find_mark([volume])
    except Ambiguous:  # 9,000 beside prices like 12.5
        return None
    if mark is None and all_grouped([volume]) and has_small_integer(volume):
        return COMMA
    return mark


def _doubtful_points(prices: list[pd.Series], volume: pd.Series, own: str | None) -> str | None:
    """A cell like 1.234 if all are so, unless its program puts no mark between thousands."""
    cell = all_grouped(prices)
    if cell is None:
        return None if own else all_grouped([volume])
    grouped = own == COMMA or all_grouped([volume]) is not None
    return cell if grouped or not has_large_integer(volume) else None


def _impossible(frame: pd.DataFrame) -> np.ndarray:
    o, h, l, c = (frame[column].to_numpy() for column in PRICES)
    return (
        (np.minimum(o, c) < l * (1 - ROUNDING))
        | (np.maximum(o, c) > h * (1 + ROUNDING))
        | (l > h * (1 + ROUNDING))
    )


def _describe_low(row: pd.Series) -> str:
    column = next(column for column in PRICES if row[column] <= 0)
    return say("price_above_0", column=column, value=f"{row[column]:g}")


def _describe_bar(row: pd.Series) -> str:
    o, h, l, c = (f"{row[column]:.10g}" for column in PRICES)
    return say("impossible_bar", open=o, close=c, low=l, high=h)


def finish(cleaner: Bars) -> Prices:
    """Sort, drop repeats, look for bars that jump, and make the `Prices`."""
    cleaner.frame = _sorted(cleaner.frame)
    key: Any = ["ticker", "date"]
    if cleaner.frame.duplicated(key).any():
        cleaner.drop(cleaner.frame.duplicated(list(COLUMNS)).to_numpy(), "repeated")
        twice = cleaner.frame.duplicated(key, keep=False).to_numpy()
        cleaner.reject(twice, "two bars of one day", lambda row: say("day_twice"))
    if cleaner.frame.empty:
        raise UserError(say("no_prices", where=cleaner.where, dropped=cleaner.describe_dropped()))
    _warn_of_copies(cleaner)
    count = _judge_suspicious(cleaner)
    table = cleaner.frame.reset_index(drop=True)
    return Prices(table, cleaner.where, dict(cleaner.dropped), tuple(cleaner.warnings), count)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    codes, _ = pd.factorize(frame["ticker"], sort=True)
    return frame.iloc[np.lexsort((frame["date"].to_numpy(), codes))]


def _warn_of_copies(cleaner: Bars) -> None:
    """Say which tickers have the same bars: a file that was saved twice counts double."""
    seen: dict[bytes, str] = {}
    for ticker, bars in cleaner.frame.groupby("ticker", sort=True):
        values = bars["date"].to_numpy().tobytes() + bars["close"].to_numpy().tobytes()
        first = seen.setdefault(values, str(ticker))
        if first != ticker and len(bars) > 1:
            cleaner.warnings.append(
                say(
                    "same_days",
                    where=cleaner.where,
                    first=first,
                    ticker=str(ticker),
                    count=f"{len(bars):,}",
                )
            )


def _judge_suspicious(cleaner: Bars) -> int:
    """Name, drop or accept the suspicious bars; the number of those that are kept.

    bad="drop" leaves out only what no market does: a jump by half or more that is undone.
    """
    found = suspicious.find_suspicious(cleaner.frame)
    if not found.any().any():
        return 0
    if cleaner.dubious == "drop":
        before = suspicious.before_last_jump(cleaner.frame, found)
        gone = (found.reversed | found.within)[~before]
        cleaner.drop(before, "before a lasting jump")
        cleaner.drop(gone, "suspicious")
        found.lasting[:] = False  # nothing is left to jump from
        found = found.of(~before).of(~gone)
    elif cleaner.dubious is None and cleaner.bad == "drop":
        gone = found.reversed & (np.abs(np.log(found.factor)) > suspicious.HALF)
        cleaner.drop(gone, "suspicious")
        found = found.of(~gone)
    if cleaner.dubious != "accept":
        cleaner.warnings += suspicious.describe_bars(cleaner.frame, found)
    return int(found.any().sum())

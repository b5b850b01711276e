"""The forms in which daily prices are written: names of columns, forms of dates and numbers.

Seen in files from Yahoo, yfinance, Kaggle, Nasdaq, Sina, Eastmoney, NetEase and Tushare. A form is
decided by the full column, never cell by cell; dates and tickers are parsed once per distinct
value, so half a million rows cost little.
"""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from upgate.errors import UserError

NUMBERS = ("open", "high", "low", "close", "volume")

# The first alias that occurs wins, and of two columns of one name the left one (Yahoo's
# `Close,Close` is close, adjusted close). "Adj Close" is absent on purpose: a close must be on the
# same basis as its open, high and low.
ALIASES = {
    "ticker": ("ticker", "symbol", "tscode", "code", "股票代码", "证券代码", "代码", "name"),
    "date": (
        "date",
        "tradedate",
        "datetime",
        "timestamp",
        "day",
        "time",
        "日期",
        "交易日期",
        "时间",
        "index",
        "unnamed0",
        "",
    ),
    "open": ("open", "openprice", "开盘", "开盘价", "今开"),
    "high": ("high", "highprice", "最高", "最高价"),
    "low": ("low", "lowprice", "最低", "最低价"),
    "close": ("close", "closeprice", "closelast", "收盘", "收盘价", "price"),
    "volume": ("volume", "vol", "成交量"),
}

# In the order of trial, after `/`, `.` and 年月日 have become `-`. Month first, as most such files
# are American.
DATE_FORMS = (
    *("%Y-%m-%d", "%Y%m%d", "%m-%d-%Y", "%d-%m-%Y", "%m-%d-%y", "%d-%m-%y"),
    *("%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y"),
)

MISSING = ("", "-", "--", "none", "nan", "null", "n/a", "<na>")
# 72,366,500 and $210.00 and 57.42M
GROUPED = re.compile(r"^\$?(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)([KMB]?)$")
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9}
# Rows of Yahoo's web table that hold no price.
EVENTS = {"dividend": "dividend|distribution|capital gain", "split": "split"}


def normalize_name(name: object) -> str:
    """A column's name in lower case, without blanks (no-break ones too), marks, bracketed units."""
    return re.sub(r"[(（].*|[\W_]", "", str(name)).casefold()


def find_price_columns(names: Iterable[object], where: str) -> dict[str, int]:
    """The position of each canonical column.

    Raises UserError if one other than ticker and volume is missing.
    """
    names = list(names)
    normalized = [normalize_name(name) for name in names]
    positions = {}
    for field, aliases in ALIASES.items():
        alias = _first(aliases, normalized)
        if alias is not None:
            positions[field] = normalized.index(alias)
    if lacking := {"date", "open", "high", "low", "close"} - positions.keys():
        shown = ", ".join(repr(str(name)[:30]) for name in names[:12])
        raise UserError(
            f"{where} is no table of daily prices: "
            f"it has no column for {', '.join(sorted(lacking))}, only {shown}"
        )
    return positions


def _first(aliases: Iterable[str], names: list[str]) -> str | None:
    return next((alias for alias in aliases if alias in names), None)


def stack_tickers(wide: pd.DataFrame) -> pd.DataFrame:
    """Columns (field, ticker) or (ticker, field), as yfinance makes them, to rows with a ticker.

    The first column holds the dates. With several tickers, rows without any value are left out:
    they only fill up the other tickers' days.
    """
    fields, tickers = _level(wide, 0), _level(wide, 1)
    if "close" not in map(normalize_name, fields):
        fields, tickers = tickers, fields
    parts = []
    for ticker in dict.fromkeys(tickers):
        columns = [i for i, name in enumerate(tickers) if name == ticker]
        part = wide.iloc[:, [i + 1 for i in columns]].set_axis([fields[i] for i in columns], axis=1)
        if len(columns) < len(tickers):
            part = part[~(part.isna() | (part == "")).all(axis=1)]
        part = part.loc[:, ~part.columns.duplicated()]
        part.insert(0, "date", wide.iloc[:, 0].loc[part.index])
        parts.append(part.assign(ticker=ticker))
    return pd.concat(parts)


def _level(wide: pd.DataFrame, level: int) -> list[str]:
    """The names of a level of the columns, without the first column's."""
    return [str(name).strip() for name in wide.columns.get_level_values(level)[1:]]


def to_text(values: pd.Series) -> pd.Series:
    """The values as stripped text: '' where missing, integral floats as integers (20130104.0)."""
    codes, distinct = pd.factorize(values)
    text = pd.Series(distinct).astype(str).str.strip().str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    text = text.mask(text.str.casefold().isin(MISSING), "")
    by_code = np.append(text.to_numpy(object), "")  # code -1, a missing value, takes the last
    return pd.Series(by_code[codes], index=values.index, dtype=str)


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


def to_days(values: pd.Series) -> pd.Series:
    """Dates, datetime64[s]; NaT where there is none or it cannot be read.

    A time zone is dropped: the day is the local one of the exchange. Text is read by the first form
    that fits every value of the column, else by the one that fits most; so 1/2/2015 is 2 January,
    unless the column also holds a value like 27/2/2015. Two-digit years are 1969 to 2068.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_localize(None)
    if values.dtype.kind == "M":
        return values.dt.normalize().astype("datetime64[s]")
    codes, distinct = pd.factorize(to_text(values))
    time_of_day = r"[ T]\d{1,2}:\d\d.*$"  # and an offset
    text = pd.Series(distinct, dtype=str).str.replace(time_of_day, "", regex=True)
    text = text.str.replace(r"[/.年月]", "-", regex=True).str.removesuffix("日")
    best, fewest = pd.Series(pd.NaT, index=text.index, dtype="datetime64[s]"), len(text) + 1
    for form in DATE_FORMS:
        days = _parse(text, form)
        misses = int(days[text != ""].isna().sum())
        if misses < fewest:
            best, fewest = days, misses
        if misses == 0:
            break
    return pd.Series(best.to_numpy()[codes], index=values.index)


def _parse(text: pd.Series, form: str) -> pd.Series:
    if form == "%Y%m%d":
        text = text.where(text.str.len() == 8)  # else 2013014 would pass
    days = pd.to_datetime(text, format=form, errors="coerce").astype("datetime64[s]")
    if "%y" in form:  # over more than 70 years it wraps: 2-Jan-62 would become 2062
        days = days.mask(days > days.min() + np.timedelta64(70 * 366, "D"))
    return days


def to_numbers(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The values as float64, NaN where missing, and a mask of cells that are no finite number.

    A comma is read only as a mark between thousands; `1,5` is not a number.
    """
    if values.dtype.kind in "iuf":
        numbers = values.to_numpy("float64", na_value=np.nan)
        return numbers, np.isinf(numbers)
    text = values.fillna("").astype(str).str.strip()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy("float64").copy()
    odd = np.isnan(numbers) & ~text.str.casefold().isin(MISSING).to_numpy()
    if odd.any():
        parts = text[odd].str.extract(GROUPED)
        numbers[odd] = pd.to_numeric(parts[0].str.replace(",", "")) * parts[1].map(UNITS)
    return numbers, np.isinf(numbers) | odd & np.isnan(numbers)

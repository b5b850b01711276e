"""The forms in which daily prices are written: what columns are called, how dates and numbers look.

Seen in files from Yahoo, yfinance, Kaggle, Nasdaq, Sina, Eastmoney, NetEase and Tushare. A form is decided by the whole
column, never cell by cell; dates and tickers are parsed once per distinct value, so half a million rows cost little.
"""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from upgate.errors import UserError

NUMBERS = ("open", "high", "low", "close", "volume")

# The first alias that occurs wins, and of two columns of one name the left one (Yahoo's `Close,Close` is close, adjusted
# close). "Adj Close" is absent on purpose: a close must be on the same basis as its open, high and low.
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

# In the order of trial, after `/`, `.` and 年月日 have become `-`. Month first, as most such files are American.
DATE_FORMS = (
    *("%Y-%m-%d", "%Y%m%d", "%m-%d-%Y", "%d-%m-%Y", "%m-%d-%y", "%d-%m-%y"),
    *("%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y"),
)

MISSING = ("", "-", "--", "none", "nan", "null", "n/a", "<na>")
GROUPED = re.compile(
    r"^\$?(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)([KMB]?)$"
)  # 72,366,500 and $210.00 and 57.42M
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9}
EVENTS = {
    "dividend": "dividend|distribution|capital gain",
    "split": "split",
}  # rows of Yahoo's web table that hold no price


def plain(name: object) -> str:
    """Return a column's name in lower case, without blanks (no-break ones too), marks and bracketed units."""
    return re.sub(r"[(（].*|[\W_]", "", str(name)).casefold()


def find_columns(names: Iterable[object], where: str) -> dict[str, int]:
    """Return the position of each canonical column; raise `UserError` if one other than ticker and volume is missing."""
    names = list(names)
    plains = [plain(name) for name in names]
    found = {
        field: plains.index(hit)
        for field, all_ in ALIASES.items()
        if (hit := _first(all_, plains)) is not None
    }
    if lacking := {"date", "open", "high", "low", "close"} - found.keys():
        shown = ", ".join(repr(str(name)[:30]) for name in names[:12])
        raise UserError(
            f"{where} is no table of daily prices: it has no column for {', '.join(sorted(lacking))}, only {shown}"
        )
    return found


def _first(aliases: Iterable[str], plains: list[str]) -> str | None:
    return next((alias for alias in aliases if alias in plains), None)


def stack_tickers(wide: pd.DataFrame) -> pd.DataFrame:
    """Turn columns (field, ticker) or (ticker, field), as yfinance makes them, into rows with a `ticker` column.

    The first column holds the dates. With several tickers, rows without any value are left out: they only fill up
    the other tickers' days.
    """
    levels = [
        [str(name).strip() for name in wide.columns.get_level_values(level)[1:]] for level in (0, 1)
    ]
    fields, tickers = levels if "close" in map(plain, levels[0]) else levels[::-1]
    parts = []
    for ticker in dict.fromkeys(tickers):
        places = [i for i, name in enumerate(tickers) if name == ticker]
        part = wide.iloc[:, [i + 1 for i in places]].set_axis([fields[i] for i in places], axis=1)
        if len(places) < len(tickers):
            part = part[~(part.isna() | (part == "")).all(axis=1)]
        part = part.loc[:, ~part.columns.duplicated()]
        part.insert(0, "date", wide.iloc[:, 0].loc[part.index])
        parts.append(part.assign(ticker=ticker))
    return pd.concat(parts)


def to_text(values: pd.Series) -> pd.Series:
    """Return the values as stripped text, '' where missing, whole floats as integers (a date 20130104.0)."""
    codes, distinct = pd.factorize(values)
    text = pd.Series(distinct).astype(str).str.strip().str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    text = text.mask(text.str.casefold().isin(MISSING), "")
    return pd.Series(
        np.append(text.to_numpy(object), "")[codes], index=values.index, dtype=str
    )  # code -1, a missing value, takes the last


def to_tickers(values: pd.Series) -> pd.Series:
    """Return codes as text with their leading zeros, without the apostrophe or `="..."` that guards these in spreadsheets."""
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
    """Return plain dates, datetime64[s]; NaT where there is none or it cannot be read.

    A time zone is dropped: the day is the one on the wall of the exchange. Text is read by the first form that fits every
    value of the column, else by the one that fits most; so 1/2/2015 is 2 January, unless the column also holds a value
    like 27/2/2015. Two-digit years are 1969 to 2068.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_localize(None)
    if values.dtype.kind == "M":
        return values.dt.normalize().astype("datetime64[s]")
    codes, distinct = pd.factorize(to_text(values))
    text = pd.Series(distinct, dtype=str).str.replace(
        r"[ T]\d{1,2}:\d\d.*$", "", regex=True
    )  # a time of day, an offset
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
    if "%y" in form:  # a column over more than 70 years has wrapped: 2-Jan-62 would become 2062
        days = days.mask(days > days.min() + np.timedelta64(70 * 366, "D"))
    return days


def to_numbers(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the values as float64, NaN where missing, and a mask of the cells that are no finite number.

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

"""Names of the columns of daily prices, in files of many programs and countries."""

import re
import unicodedata
from collections.abc import Iterable

import pandas as pd

from upgate.data.texts import say
from upgate.errors import UserError

# The first alias that occurs wins, and of two columns of one name the left one (Yahoo's
# `Close,Close` is close, adjusted close). "Adj Close" is absent on purpose: a close must be on the
# same basis as its open, high and low.
ALIASES = {
    "ticker": (
        *("ticker", "symbol", "tscode", "tic", "code", "股票代码", "证券代码", "代码", "證券代號"),
        *("stock", "instrument", "security", "asset", "pair", "isin", "ric", "company", "name"),
    ),
    "date": (
        *("date", "tradedate", "tradingdate", "datetime", "timestamp", "day", "opentime", "dt"),
        *("time", "unix", "unixtimestamp", "epoch", "日期", "交易日期", "时间", "日付", "날짜"),
        *("일자", "datum", "fecha", "data", "дата", "tarih", "index", "unnamed0", "t", ""),
    ),
    "open": (
        *(
            "open",
            "openprice",
            "pxopen",
            "开盘",
            "开盘价",
            "今开",
            "開盤價",
            "始値",
            "시가",
            "오픈",
        ),
        *("eroffnung", "eroffnungskurs", "erster", "ouv", "ouverture", "apertura", "abertura"),
        *("откр", "ценаоткрытия", "otwarcie", "acılıs", "openen", "o"),
    ),
    "high": (
        *("high", "highprice", "pxhigh", "最高", "最高价", "最高價", "高値", "고가", "hoch"),
        *("tageshoch", "haut", "plushaut", "maximo", "maxima", "massimo", "max", "макс"),
        *("максцена", "najwyzszy", "yuksek", "hoog", "h"),
    ),
    "low": (
        *("low", "lowprice", "pxlow", "最低", "最低价", "最低價", "安値", "저가", "tief"),
        *("tagestief", "bas", "plusbas", "minimo", "minima", "min", "мин", "минцена"),
        *("najnizszy", "dusuk", "laag", "l"),
    ),
    "close": (
        *("close", "closeprice", "closingprice", "closelast", "pxlast", "收盘", "收盘价", "收盤價"),
        *("終値", "종가", "schluss", "schlusskurs", "clot", "cloture", "dernier", "cierre"),
        *("ultimo", "chiusura", "fechamento", "закр", "ценазакрытия", "zamkniecie", "simdi"),
        *("laatste", "price", "цена", "last", "lastprice", "settle", "c"),
    ),
    "volume": (
        *("volume", "vol", "pxvolume", "成交量", "成交股數", "出来高", "거래량", "volumen"),
        *("объем", "wolumen", "hac", "totaltradedquantity", "totaltradequantity", "tradevolume"),
        *("noofshares", "sharestraded", "stucke", "v"),
    ),
}
FIELDS = ("open", "high", "low", "close", "volume")
NEEDED = frozenset({"date", "open", "high", "low", "close"})
ADJUSTED = ("adjclose", "adjusted", "adjustedclose", "adj")
BRACKET = re.compile(r"[(（].*")  # a unit
TUPLE = re.compile(r"""^\(\s*['"](.*?)['"]\s*,\s*['"](.*?)['"]\s*\)$""")


def normalize_name(name: object) -> str:
    """A column's name in lower case, without blanks (no-break ones too), marks, bracketed units."""
    return re.sub(r"[\W_]", "", BRACKET.sub("", str(name))).casefold()


def price_name(name: object) -> str:
    """The same without accents and a number in front, as in `1. open` and `Máximo`."""
    plain = unicodedata.normalize("NFKD", re.sub(r"^\s*\d+\.\s+", "", str(name)))
    latin = re.sub(r"(?<=[a-zA-Zа-яА-Я])[\u0300-\u036f]+", "", plain)
    return normalize_name(unicodedata.normalize("NFC", latin).replace("ł", "l"))


def find_fields(names: Iterable[object]) -> dict[str, int]:
    """The position of each canonical column that occurs: Volume is before Volume (USD)."""
    names = list(names)
    normalized = [price_name(name) for name in names]
    positions = {}
    for field, aliases in ALIASES.items():
        alias = next((alias for alias in aliases if alias in normalized), None)
        if alias is not None:
            same = [i for i, name in enumerate(normalized) if name == alias]
            plain = [i for i in same if not BRACKET.search(str(names[i]))]
            positions[field] = (plain or same)[0]
    if "volume" not in positions:  # Volume BTC, volumefrom: the traded thing's name behind it
        found = [i for i, name in enumerate(normalized) if name.startswith("volume")]
        positions |= {"volume": found[0]} if found else {}
    return positions


def find_price_columns(names: Iterable[object], where: str) -> dict[str, int]:
    """The position of each canonical column.

    Raises UserError if one other than ticker and volume is missing.
    """
    names = list(names)
    positions = find_fields(names)
    if lacking := NEEDED - positions.keys():
        shown = ", ".join(repr(str(name)[:30]) for name in names[:12])
        raise UserError(
            say("no_price_columns", where=where, lacking=", ".join(sorted(lacking)), names=shown)
        )
    return positions


def is_price_header(names: Iterable[object]) -> bool:
    """Whether the names hold all that daily bars need, of one ticker or of several."""
    names = list(names)
    return find_fields(names).keys() >= NEEDED or bool(split_names(names))


def split_names(names: Iterable[object]) -> list[tuple[str, str]]:
    """(field, ticker) of names such as ('Close', 'AAA'), AAA.Close and Close_AAA.

    Empty unless some ticker has an open, high, low and close. Columns of no ticker have "".
    """
    pairs = [_split_name(str(name).strip()) for name in names]
    fields: dict[str, set[str]] = {}
    for field, ticker in pairs:
        fields.setdefault(ticker, set()).add(field)
    whole = [ticker for ticker in fields if ticker and fields[ticker] >= NEEDED - {"date"}]
    dated = any(not ticker and find_fields([field]).keys() & {"date"} for field, ticker in pairs)
    return pairs if whole and dated else []


def _split_name(name: str) -> tuple[str, str]:
    found = TUPLE.match(name)
    cuts = [(found[1], found[2])] if found else []
    for separator in (".", "_", " ", "|", ":", "-", "/"):
        first, _, rest = name.partition(separator)
        before, _, last = name.rpartition(separator)
        cuts += [(first, rest), (last, before)]
    for one, other in cuts:
        for field, ticker in ((one, other), (other, one)):
            canonical = find_fields([field]).keys() & set(FIELDS)
            if ticker and canonical and len(field) > 1:
                return canonical.pop(), ticker
            if ticker and price_name(field) in ADJUSTED:
                return "adjusted", ticker
    return (found[1] or found[2], "") if found else (name, "")


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


def stack_named(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with names of field and ticker together, as `split_names` knows them, to rows."""
    pairs = split_names(frame.columns)
    if not pairs or find_fields(frame.columns).keys() >= NEEDED:
        return frame
    date = next(
        i
        for i, (field, ticker) in enumerate(pairs)
        if not ticker and "date" in find_fields([field])
    )
    chosen = [i for i, (_, ticker) in enumerate(pairs) if ticker]
    columns = pd.MultiIndex.from_tuples([("date", ""), *(pairs[i] for i in chosen)])
    return stack_tickers(frame.iloc[:, [date, *chosen]].set_axis(columns, axis=1))

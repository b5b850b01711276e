"""Price files of drawn content in drawn forms: the drawn table is read, or one sentence is said.

Never another number, never another day, never a traceback.
"""

import gzip
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from helpers.fuzz import cases
from helpers.fuzz_files import damaged, encode, pack
from upgate.data.prices.reader import read_prices
from upgate.data.prices.table import Prices
from upgate.errors import UserError

HEADERS = {
    "English": "Date,Open,High,Low,Close,Volume",
    "Chinese": "日期,开盘,最高,最低,收盘,成交量",
    "Taiwanese": "日期,開盤價,最高價,最低價,收盤價,成交股數",
    "Japanese": "日付,始値,高値,安値,終値,出来高",
    "Korean": "날짜,시가,고가,저가,종가,거래량",
    "German": "Datum,Eröffnung,Hoch,Tief,Schluss,Volumen",
    "Spanish": "Fecha,Apertura,Máximo,Mínimo,Cierre,Volumen",
    "French": "Date,Ouverture,Plus Haut,Plus Bas,Clôture,Volume",
    "Russian": "Дата,Откр.,Макс.,Мин.,Цена,Объём",
    "Polish": "Data,Otwarcie,Najwyższy,Najniższy,Zamknięcie,Wolumen",
    "Turkish": "Tarih,Açılış,Yüksek,Düşük,Şimdi,Hac.",
}
OLD_ENCODINGS = {
    "Chinese": ["gb18030"],
    "Taiwanese": ["big5hkscs"],
    "Japanese": ["cp932", "euc_jp"],
    "Korean": ["cp949"],
    "German": ["cp1252"],
    "Spanish": ["cp1252"],
    "French": ["cp1252"],
    "Russian": ["cp1251", "koi8_r", "cp866"],
    "Polish": ["cp1250"],
    "Turkish": ["cp1254"],
}
UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"),
    *("%d/%m/%y", "%m/%d/%y", "%y-%m-%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%A, %d %B %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y年%m月%d日", "%y%m%d"),
)
EPOCHS = (1, 10**3, 10**6, 10**9)
THOUSANDS = ("", "", "", ",", ".", " ", "\u00a0", "\u202f", "'")


@dataclass(frozen=True)
class Form:
    """How a file is written."""

    language: str
    encoding: str
    separator: str
    decimal: str
    thousands: str
    places: int
    date: str | int
    line_end: str
    packing: str
    quote_all: bool
    newest_first: bool
    above: str
    below: str
    has_volume: bool
    adjusted: bool


@st.composite
def forms(draw: st.DrawFn) -> Form:
    language = draw(st.sampled_from(sorted(HEADERS)))
    decimal = draw(st.sampled_from(".,"))
    return Form(
        language,
        encoding=draw(st.sampled_from(UNICODE + OLD_ENCODINGS.get(language, []))),
        separator=draw(st.sampled_from(",;\t|")),
        decimal=decimal,
        thousands=draw(st.sampled_from([mark for mark in THOUSANDS if mark != decimal])),
        places=draw(st.sampled_from([0, 1, 2, 2, 3, 4])),
        date=draw(st.sampled_from(DATES + EPOCHS)),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        packing=draw(st.sampled_from(["", "", "gz", "bz2", "xz", "zip", "tar"])),
        quote_all=draw(st.booleans()),
        newest_first=draw(st.booleans()),
        above=draw(st.sampled_from(["", "", "# by a broker\n", "sep=;\n", "Currency, USD\n\n"])),
        below=draw(st.sampled_from(["", "\n", "\n\n", "\n# end"])),
        has_volume=draw(st.booleans()),
        adjusted=draw(st.booleans()),
    )


@st.composite
def tables(draw: st.DrawFn, places: st.SearchStrategy[int]) -> pd.DataFrame:
    """Bars of consecutive business days: some are missing; prices in units of their last place."""
    unit = 10 ** draw(places)
    first = draw(st.dates(date(1972, 1, 3), date(2026, 6, 1)))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 3]), min_size=6, max_size=20))
    days = pd.bdate_range(first, periods=1 + sum(steps))[np.cumsum([0, *steps[:-1]])]
    level = draw(st.sampled_from([1, 7, 45, 320, 999, 1200, 25_000, 1_100_000])) * unit
    rows = []
    for _ in steps:
        level = max(level + draw(st.integers(-level // 25, level // 25)), 10)
        spread = draw(st.tuples(*[st.integers(0, level // 50)] * 3))
        o, h, l, c = level + spread[0], level + sum(spread), level, level + spread[1]
        rows.append([o / unit, h / unit, l / unit, c / unit, draw(st.integers(0, 10**9))])
    frame = pd.DataFrame(rows, columns=["open", "high", "low", "close", "volume"], dtype=float)
    frame.insert(0, "date", days)
    return frame


def write_number(value: float, form: Form, places: int) -> str:
    text = f"{value:,.{places}f}" if form.thousands else f"{value:.{places}f}"
    return text.translate(str.maketrans({",": form.thousands, ".": form.decimal}))


def write_day(day: pd.Timestamp, form: str | int) -> str:
    if isinstance(form, int):
        return str(int(day.timestamp()) * form)
    return day.strftime(form)


def write_file(table: pd.DataFrame, form: Form) -> str:
    """The table as text in this form."""

    def line(cells: list[str]) -> str:
        odd = (form.separator, '"')
        quote = [form.quote_all or any(mark in cell for mark in odd) for cell in cells]
        return form.separator.join(f'"{c}"' if q else c for c, q in zip(cells, quote, strict=True))

    header = HEADERS[form.language].split(",")[: 6 if form.has_volume else 5]
    lines = [line(header + ["Adj Close"] * form.adjusted)]
    for row in table.iloc[:: -1 if form.newest_first else 1].itertuples(index=False):
        prices = [write_number(x, form, form.places) for x in row[1:5]]
        volume = [write_number(row.volume, form, 0)] if form.has_volume else []
        more = [write_number(row.close * 0.9, form, form.places)] if form.adjusted else []
        lines.append(line([write_day(row.date, form.date), *prices, *volume, *more]))
    text = form.above + "\n".join(lines) + form.below
    return text.replace("\n", form.line_end)


def read(content: bytes, packing: str = "") -> Prices | None:
    """What the reader makes of a file; None where it says one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = pack(content, packing, Path(folder))
        try:
            return read_prices(path)
        except UserError as error:
            said = str(error)
            assert said.strip() and "\n" not in said and "Traceback" not in said
            return None


@st.composite
def files(draw: st.DrawFn) -> tuple[pd.DataFrame, Form]:
    form = draw(forms())
    return draw(tables(st.just(form.places))), form


@given(files())
@cases(40)
def test_a_price_file_gives_the_drawn_bars_or_a_sentence(file: tuple[pd.DataFrame, Form]) -> bool:
    table, form = file
    text = write_file(table, form)
    prices = read(encode(text, form.encoding), form.packing)
    if prices is None:
        return False
    if prices.warnings and "may be" in " ".join(prices.warnings):
        return False  # it says that the days may be others
    got = prices.table
    kept = table if len(got) == len(table) else None
    assert kept is not None, f"{len(got)} of {len(table)} bars, {prices.dropped}"
    assert got["date"].tolist() == kept["date"].tolist(), text
    columns = ["open", "high", "low", "close"] + ["volume"] * form.has_volume
    expected = kept[columns].to_numpy()
    assert np.allclose(got[columns].to_numpy(), expected, rtol=1e-9, atol=1e-12), text
    assert form.has_volume or got["volume"].isna().all()
    return True


PLAIN = pd.DataFrame(
    {
        "date": pd.bdate_range("2019-10-22", periods=8),
        **{name: np.arange(8) / 4 + 60 for name in ("open", "high", "low", "close")},
        "volume": np.arange(8) * 100.0 + 1000,
    }
)
SEEDS = [
    PLAIN.to_csv(index=False).encode(),
    PLAIN.to_csv(index=False, sep=";", decimal=",").encode("utf-16"),
    PLAIN.to_json(orient="records", date_format="iso").encode(),
    PLAIN.assign(ticker="AAA").to_csv(index=False, sep="\t").encode(),
    ("日期,开盘,最高,最低,收盘\n" + PLAIN.iloc[:, :5].to_csv(index=False, header=False)).encode(
        "gb18030"
    ),
    gzip.compress(PLAIN.to_csv(index=False).encode()),
]


@given(damaged(SEEDS) | st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@cases(40)
def test_a_damaged_price_file_is_read_or_refused_in_a_sentence(content: bytes) -> bool:
    prices = read(content)
    if prices is None:
        return False
    numbers = prices.table[["open", "high", "low", "close"]].to_numpy()
    assert np.isfinite(numbers).all() and (numbers > 0).all()
    assert prices.table["date"].notna().all() and not prices.table.duplicated("date").all()
    return True

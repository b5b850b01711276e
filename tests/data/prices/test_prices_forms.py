"""Prices as they are written in other countries and by other programs: the same bars, or refused.

Each form was once read wrong, or not at all, or is a sibling of such a one.
"""

import re

import numpy as np
import pandas as pd
import pytest

from upgate.data.prices.reader import read_prices
from upgate.errors import UserError

# Eight bars, from a Tuesday on, so that weekends and orders can decide.
DAYS = pd.bdate_range("2019-10-22", periods=8)
CLOSES = (1059.99, 1060.79, 1060.9, 1061.65, 1062.26, 1060.82, 1061.01, 1062.5)
BARS = [(1060.5, 1070.25, 1050.75, close, 82293600 + i) for i, close in enumerate(CLOSES)]


def table(
    separator: str = ",",
    header: str = "Date,Open,High,Low,Close,Volume",
    date: str = "%Y-%m-%d",
    number: str = "{:.2f}",
    volume: str = "{}",
) -> str:
    lines = [header.replace(",", separator)]
    for day, bar in zip(DAYS, BARS, strict=True):
        cells = [day.strftime(date), *(number.format(x) for x in bar[:4]), volume.format(bar[4])]
        quoted = [f'"{cell}"' if separator in cell else cell for cell in cells]
        lines.append(separator.join(quoted))
    return "\n".join(lines) + "\n"


def swapped(text: str) -> str:
    return text.translate(str.maketrans(",.", ".,"))


def german(number: float) -> str:
    return swapped(f"{number:,.2f}")


def with_numbers(write, separator=";", **form) -> str:
    lines = table(separator=separator, **form).splitlines()
    for i, bar in enumerate(BARS, 1):
        day, *_, volume = lines[i].split(separator)
        lines[i] = separator.join([day, *(write(x) for x in bar[:4]), volume])
    return "\n".join(lines) + "\n"


def epochs(unit: int, hour: int = 0) -> str:
    text = table()
    for day in DAYS:
        seconds = int(day.timestamp()) + 3600 * hour
        text = text.replace(f"{day:%Y-%m-%d}", str(seconds * unit))
    return text


def worded(months: str, form: str) -> str:
    """Dates in words: the names of October and November in some language."""
    october, november = months.split()
    text = table()
    for day in DAYS:
        month = october if day.month == 10 else november
        text = text.replace(f"{day:%Y-%m-%d}", form.format(d=day.day, m=month, y=day.year))
    return text


NAMED = "Date,{0},{1},{2},{3},{4}"
FORMS = {
    "semicolons": table(";"),
    "bars": table("|"),
    "tabs": table("\t"),
    "old Mac": table().replace("\n", "\r"),
    "Windows": table().replace("\n", "\r\n"),
    "lines above": f"# Source: broker\n\n'Currency', USD\n{table()}",
    "Excel's line": f"sep=;\n{table(';')}",
    "an address above": f"https://www.example.com\n{table()}",
    "comments below": f"{table()}# end of file\n",
    "decimal commas": with_numbers(lambda x: f"{x:.2f}".replace(".", ",")),
    "German": with_numbers(german, date="%d.%m.%Y"),
    "French": with_numbers(lambda x: f"{x:,.2f}".replace(",", "\u202f").replace(".", ",")),
    "Swiss": with_numbers(lambda x: f"{x:,.2f}".replace(",", "'")),
    "quoted commas": with_numbers(lambda x: f'"{x:.2f}"'.replace(".", ","), separator=","),
    "points everywhere": table(";", volume="{:,}").replace(",", "."),
    "rupees": with_numbers(lambda x: f"₹ {x:,.2f}"),
    "euros": with_numbers(lambda x: f"{german(x)} €"),
    "seconds": epochs(1),
    "milliseconds": epochs(1000),
    "microseconds": epochs(10**6),
    "nanoseconds": epochs(10**9),
    "midnight in New York": epochs(1, 5),
    "midnight in Tokyo": epochs(1, -9),
    "midnight in Auckland": epochs(1000, -13),
    "times of Greenwich": table(date="%Y-%m-%dT00:00:00Z"),
    "compact": table(date="%Y%m%d"),
    "day in words": table(date="%d %b %Y"),
    "month in words": table(date="%B %d, %Y"),
    "weekday in words": table(date="%A, %d %B %Y"),
    "hyphened": table(date="%d-%b-%Y"),
    "Spanish": worded("octubre noviembre", "{d} de {m} de {y}"),
    "French words": worded("oct. nov.", "{d} {m} {y}"),
    "German words": worded("Oktober November", "{d}. {m} {y}"),
    "Russian words": worded("октября ноября", "{d} {m} {y} г."),
    "day first, two digits": table(date="%d/%m/%y"),
    "year first, two digits": table(date="%y-%m-%d"),
    "six digits": table(date="%y%m%d"),
    "Japanese": table(header="日付,始値,高値,安値,終値,出来高", date="%Y年%m月%d日"),
    "Korean": table(header="날짜,시가,고가,저가,종가,거래량"),
    "Traditional Chinese": table(header="日期,開盤價,最高價,最低價,收盤價,成交股數"),
    "German names": table(header="Datum,Eröffnung,Hoch,Tief,Schluss,Volumen"),
    "Spanish names": table(header="Fecha,Apertura,Máximo,Mínimo,Cierre,Volumen"),
    "Portuguese names": table(header="Data,Abertura,Máxima,Mínima,Último,Vol."),
    "French names": table(header="Date,Ouverture,Plus Haut,Plus Bas,Clôture,Volume"),
    "Russian names": table(header="Дата,Откр.,Макс.,Мин.,Цена,Объём"),
    "Turkish names": table(header="Tarih,Açılış,Yüksek,Düşük,Şimdi,Hac."),
    "Polish names": table(header="Data,Otwarcie,Najwyższy,Najniższy,Zamknięcie,Wolumen"),
    "Italian names": table(header="Data,Apertura,Massimo,Minimo,Ultimo,Vol."),
    "Dutch names": table(header="Datum,Openen,Hoog,Laag,Laatste,Vol."),
    "Italian words": worded("ottobre novembre", "{d} {m} {y}"),
    "Polish words": worded("października listopada", "{d} {m} {y}"),
    "Turkish words": worded("Ekim Kasım", "{d} {m} {y}"),
    "Portuguese words": worded("outubro novembro", "{d} de {m} de {y}"),
    "Dutch words": worded("oktober november", "{d} {m} {y}"),
    "Alpha Vantage": table(header="timestamp,1. open,2. high,3. low,4. close,5. volume"),
    "Bloomberg": table(header="Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME"),
    "MetaTrader": table("\t", "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "%Y.%m.%d"),
    "Polygon": table(header="t,o,h,l,c,v"),
    "quantmod": table(header="Index,AAA.Open,AAA.High,AAA.Low,AAA.Close,AAA.Volume"),
    "yfinance, flattened": table(
        header="Date,Open_BRK-B,High_BRK-B,Low_BRK-B,Close_BRK-B,Volume_BRK-B"
    ),
    "tuples": table(header="Date,Open,High,Low,Close,Volume").replace(
        "Date,Open,High,Low,Close,Volume",
        ",".join(
            f"\"('{name}', '{'' if name == 'Date' else 'AAA'}')\""
            for name in ("Date", "Open", "High", "Low", "Close", "Volume")
        ),
    ),
    "a coin's volume": table(header="date,open,high,low,close,Volume BTC"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_bars_in_every_form(form, tmp_path):
    (tmp_path / "AAA.csv").write_text(FORMS[form], encoding="utf-8", newline="")
    prices = read_prices(tmp_path / "AAA.csv")
    assert prices.table["date"].tolist() == list(DAYS)
    bars = prices.table[["open", "high", "low", "close", "volume"]].to_numpy()
    assert np.array_equal(bars, np.array(BARS, float))


MILLISECONDS = DAYS.as_unit("ms").asi8


def frame() -> pd.DataFrame:
    return pd.DataFrame(BARS, columns=["open", "high", "low", "close", "volume"]).assign(date=DAYS)


@pytest.mark.parametrize(
    "write",
    [
        lambda f: f.to_json(orient="records", date_format="iso"),
        lambda f: f.assign(date=MILLISECONDS).to_json(orient="records", lines=True),
        lambda f: f.to_json(orient="columns", date_format="iso"),
        lambda f: f'{{"data": {f.assign(date=MILLISECONDS).to_json(orient="records")}}}',
    ],
)
def test_records_of_json(write, tmp_path):
    (tmp_path / "AAA.json").write_text(write(frame()))
    prices = read_prices(tmp_path / "AAA.json")
    (tmp_path / "AAA.csv").write_text(table())
    assert prices.hash() == read_prices(tmp_path / "AAA.csv").hash()


def bars_of(number: str, volume: str = "5", separator: str = ";", date: str = "2019-10-22") -> str:
    row = separator.join([date, *[number] * 4, volume])
    return f"{separator.join(('Date', 'Open', 'High', 'Low', 'Close', 'Volume'))}\n{row}\n"


MARKS = {
    # a number as it is written, the volume beside it -> the number that it is
    ("0,551", "0"): 0.551,
    ("1,5", "0"): 1.5,
    ("1,2345", "0"): 1.2345,
    ("1234,567", "0"): 1234.567,
    ("1.234,5", "0"): 1234.5,
    ("1,234.5", "0"): 1234.5,
    ("1.234.567", "0"): 1234567,
    ("1,234,567", "0"): 1234567,
    ("12,34,567", "0"): 1234567,
    ("1,234", "1,234,567"): 1234,
    ("1,234", "1.234.567"): 1.234,
    ("1,234", "12.5M"): 1234,
    ("1,234", "12,5M"): 1.234,
    (",5", "0"): 0.5,
    ("110.551", "12345678"): 110.551,
    ("1,234", "12 345"): 1.234,
    ("1.234,5", "9.786"): 1234.5,
    ("1.5e3", "0"): 1500,
}


@pytest.mark.parametrize(("number", "volume"), MARKS)
def test_which_mark_is_of_decimals(number, volume, tmp_path):
    (tmp_path / "x.csv").write_text(bars_of(number, volume))
    assert read_prices(tmp_path / "x.csv").table["close"][0] == MARKS[number, volume]


@pytest.mark.parametrize(
    ("number", "volume"),
    [
        *(("1,234", "0"), ("1.234", "0"), ("1.234", "1.234.567"), ("1.234", "9.786")),
        *(("1,234", "567"), ("1,234", "9,000")),
    ],
)
def test_what_may_be_a_thousand_times_more_is_refused(number, volume, tmp_path):
    (tmp_path / "x.csv").write_text(bars_of(number, volume))
    with pytest.raises(UserError, match=r"may be of decimals or of thousands; say .*data.decimal"):
        read_prices(tmp_path / "x.csv")
    comma = read_prices(tmp_path / "x.csv", decimal="comma").table["close"][0]
    point = read_prices(tmp_path / "x.csv", decimal="point").table["close"][0]
    assert (comma, point) == ((1.234, 1234.0) if "," in number else (1234.0, 1.234))


def test_a_volume_of_three_places_beside_whole_prices_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text(bars_of("567", "9.786"))
    with pytest.raises(UserError, match=r"'9.786' may be of decimals or of thousands"):
        read_prices(tmp_path / "x.csv")
    assert read_prices(tmp_path / "x.csv", decimal="comma").table["volume"][0] == 9786


NO_NUMBERS = ["1,23.5", "1.2.3", "12,3,4", "1,2345,678", "0,123,456", "5x", "100'07", "100 23"]


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_number_is_refused(number, tmp_path):
    (tmp_path / "x.csv").write_text(bars_of(number))
    with pytest.raises(UserError, match="not a number"):
        read_prices(tmp_path / "x.csv")


def test_month_or_day_first_is_decided_by_the_order_of_the_rows(tmp_path):
    days = ["5/11/2019", "6/11/2019", "7/11/2019", "8/11/2019", "11/11/2019", "12/11/2019"]
    rows = "".join(f"{day},1,1,1,1,1\n" for day in days)
    (tmp_path / "x.csv").write_text(f"Date,Open,High,Low,Close,Volume\n{rows}")
    assert set(read_prices(tmp_path / "x.csv").table["date"].dt.month) == {11}


def test_days_that_may_be_one_early_are_named(tmp_path):
    sundays = table(date="%Y-%m-%d")
    for day in DAYS:
        sundays = sundays.replace(f"{day:%Y-%m-%d}", f"{day - pd.Timedelta('1D'):%Y-%m-%d}")
    rows = sundays.splitlines()
    (tmp_path / "x.csv").write_text("\n".join(rows))
    (said,) = read_prices(tmp_path / "x.csv").warnings
    assert "fall on Sundays and none on Fridays" in said


@pytest.mark.parametrize(
    ("years", "sentence"),
    [
        (543, "a bar of the year 2562 cannot be; of the Buddhist calendar it is 2019"),
        (-621, "a bar of the year 1398 cannot be; of the Iranian calendar it is 2019"),
        (30_000, "no date"),
    ],
)
def test_years_of_no_market_are_refused(years, sentence, tmp_path):
    (tmp_path / "x.csv").write_text(table().replace("2019-", f"{2019 + years}-"))
    with pytest.raises(UserError, match=sentence):
        read_prices(tmp_path / "x.csv")


def test_days_of_a_spreadsheet_that_counts_from_1904_are_named(tmp_path):
    text = table()
    for day in DAYS:
        text = text.replace(f"{day:%Y-%m-%d}", str((day - pd.Timestamp("1904-01-01")).days))
    (tmp_path / "x.csv").write_text(text)
    (said,) = read_prices(tmp_path / "x.csv").warnings
    assert "on Saturdays and none on Mondays" in said and "counts from 1904" in said


def test_a_last_line_that_is_cut_off_is_left_out_and_counted(tmp_path):
    text = table()
    for cut in (text.rindex(","), text.rindex(",") - 2, text.rindex(",") - 10):
        (tmp_path / "x.csv").write_text(text[:cut])
        prices = read_prices(tmp_path / "x.csv")
        assert prices.dropped == {"cut off": 1} and len(prices.table) == len(DAYS) - 1


def test_a_long_cell_makes_no_long_sentence(tmp_path):
    (tmp_path / "x.csv").write_text(table().replace("2019-10-24", "2019" + "x" * 10_000))
    with pytest.raises(UserError, match="no date") as caught:
        read_prices(tmp_path / "x.csv")
    assert len(str(caught.value)) < 700


def test_a_unit_in_brackets_is_not_before_the_plain_name(tmp_path):
    text = table(header="Date,Open,High,Low,Close,Volume (USD),Volume")
    lines = [text.splitlines()[0], *(f"{line},7" for line in text.splitlines()[1:])]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    assert set(read_prices(tmp_path / "x.csv").table["volume"]) == {7}


@pytest.mark.parametrize("step", ["1h", "5min", "4h"])
def test_bars_within_a_day_are_refused(step, tmp_path):
    times = pd.date_range("2019-10-22 09:00", periods=60, freq=step)
    rows = "".join(f"{time},1,1,1,1,{i}\n" for i, time in enumerate(times))
    (tmp_path / "x.csv").write_text(f"Date,Open,High,Low,Close,Volume\n{rows}")
    for bad in ("refuse", "drop"):
        with pytest.raises(UserError, match="holds bars within a day"):
            read_prices(tmp_path / "x.csv", bad=bad)


# ---- several files, several tickers


def halves(folder, *names):
    lines = table().splitlines(keepends=True)
    for i, name in enumerate(names):
        (folder / name).write_text(lines[0] + "".join(lines[1 + 4 * i : 5 + 4 * i]))


@pytest.mark.parametrize(
    ("names", "ticker"),
    [
        (("AAA_2019.csv", "AAA_2020.csv"), "AAA"),
        (("BRK-B 2019-10.csv", "BRK-B 2019-11.csv"), "BRK-B"),
        (("AAA_part1.csv", "AAA_part2.csv"), "AAA"),
        (("AAA_2019Q3.csv", "AAA_2019Q4.csv"), "AAA"),
        (("2019.csv", "2020.csv"), "folder"),
    ],
)
def test_files_that_follow_each_other_are_one_ticker(names, ticker, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    halves(folder, *names)
    prices = read_prices(folder)
    assert prices.table["ticker"].unique().tolist() == [ticker]
    assert prices.table["date"].tolist() == list(DAYS)
    assert f"one ticker, {ticker}" in prices.warnings[0]
    assert len(read_prices(folder, tickers=[ticker]).table) == 8


def test_files_of_the_same_days_stay_apart(tmp_path):
    for name in ("AAA_2019.csv", "AAA_2020.csv"):
        (tmp_path / name).write_text(table())
    prices = read_prices(tmp_path)
    assert prices.table["ticker"].nunique() == 2
    said = " ".join(prices.warnings)
    assert "overlap in time" in said
    assert "AAA_2019 and AAA_2020 have the same 8 days and closes" in said


def test_columns_passed_over_are_said(tmp_path):
    text = table(header="Date,Open,High,Low,Close,Adj Close")
    (tmp_path / "x.csv").write_text(text)
    said = " ".join(read_prices(tmp_path / "x.csv").warnings)
    assert "no column of volumes (not read: Adj Close)" in said
    assert "Adj Close is not read" in said
    (tmp_path / "x.csv").write_text(text.replace("Adj Close", "Close"))
    assert "the second Close is not read" in " ".join(read_prices(tmp_path / "x.csv").warnings)


@pytest.mark.parametrize("content", ["\x1c", "\n \u00a0\n", "\ufeff"])
def test_a_file_of_blanks_alone_is_empty(content, tmp_path):
    (tmp_path / "AAA.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="is empty"):
        read_prices(tmp_path / "AAA.csv")


def test_no_header_below_many_blank_lines_is_told(tmp_path):
    (tmp_path / "AAA.csv").write_text("\n" * 50 + "a;b\n1;2\n")
    with pytest.raises(UserError, match=r"no column for close, date, .*only 'a', 'b'"):
        read_prices(tmp_path / "AAA.csv")


def test_points_that_may_be_of_thousands_are_told_where_commas_separate(tmp_path):
    path = tmp_path / "AAA.csv"
    rows = [f"{day:%Y-%m-%d},1.210,1.230,1.200,1.22{i}" for i, day in enumerate(DAYS)]
    path.write_text("\n".join(["Date,Open,High,Low,Close", *rows]))
    doubtful = read_prices(path)
    assert doubtful.table["close"][0] == 1.22 and "may be of thousands" in doubtful.warnings[-1]
    assert "thousands" not in " ".join(read_prices(path, decimal="point").warnings)
    assert read_prices(path, decimal="comma").table["close"][0] == 1220
    path.write_text(path.read_text().replace(",", ";"))  # of a country of decimal commas
    with pytest.raises(UserError, match=r"'1\.210' may be of decimals or of thousands"):
        read_prices(path)


HEADER, *ROWS = table().splitlines()
SWAPPED = "Date,Close,High,Low,Open,Volume"
WITHOUT_HEADER = {
    "none": (ROWS, "line 1: .* first: 'Date,Open,High,Low,Close,Volume'"),
    "no volume": ([row.rpartition(",")[0] for row in ROWS], "'Date,Open,High,Low,Close' where"),
    "tabs": ([row.replace(",", "\t") for row in ROWS], r"first: 'Date\\tOpen"),
    "a ticker in front": ([f"AAA,{row}" for row in ROWS], "a name for each of its 7 columns"),
    "days last": ([",".join(reversed(row.split(","))) for row in ROWS], "no column for"),
    "below a comment": (["# bars", *ROWS], "line 2: .* without a header above it"),
    "on the second line": ([ROWS[0], HEADER, *ROWS[1:]], "line 1: .* without a header above it"),
    "in the middle": ([*ROWS[:4], HEADER, *ROWS[4:]], "line 1: .* without a header above it"),
    "at the end, as sort puts it": ([*ROWS, HEADER], "line 1: .* without a header above it"),
    "a second one": ([HEADER, *ROWS[:4], SWAPPED, *ROWS[4:]], "row 6: .*'Close' below the open"),
    "a row of units": (
        [HEADER, "(day),(EUR),(EUR),(EUR),(EUR),(pcs)", *ROWS],
        "row 2, .*: no date",
    ),
    "unknown names": (["Dag,Start,Topp,Botn,Slutt,Antal", *ROWS], "only 'Dag', 'Start'"),
}


@pytest.mark.parametrize("kind", WITHOUT_HEADER)
def test_a_file_whose_header_is_not_above_its_bars_is_refused(kind, tmp_path):
    rows, message = WITHOUT_HEADER[kind]
    path = tmp_path / "AAA.csv"
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(UserError, match=message):
        read_prices(path)
    if kind != "a row of units":
        with pytest.raises(UserError, match=message):
            read_prices(path, bad="drop")


@pytest.mark.parametrize("again", [HEADER, HEADER.lower(), HEADER.removesuffix(",Volume")])
def test_a_header_that_is_repeated_is_left_out_and_counted(again, tmp_path):
    path = tmp_path / "AAA.csv"
    path.write_text("\n".join([HEADER, again, *ROWS[:4], again, *ROWS[4:]]) + "\n")
    prices = read_prices(path)
    assert prices.dropped == {"header": 2}
    np.testing.assert_array_equal(prices.table["close"], CLOSES)


TWO, ONE = ("$ €", "USD €", "£ GBX", "元 ¥"), ("$ USD", "円 JPY")


@pytest.mark.parametrize("names", TWO + ONE)
def test_one_series_has_one_currency(names, tmp_path):
    first, second = names.split()
    lines = table(number=f"{first} {{:.2f}}").splitlines()
    lines[5:] = table(number=f"{second} {{:.2f}}").splitlines()[5:]
    path = tmp_path / "AAA.csv"
    path.write_text("\n".join(lines) + "\n")
    if names in ONE:
        assert read_prices(path).table["close"].tolist() == list(CLOSES)
        return
    message = rf"AAA are in several currencies, as in '{re.escape(first)} 10.*'{second} 10"
    with pytest.raises(UserError, match=message):
        read_prices(path)
    for name, rows in {"A": lines[1:5], "B": lines[5:]}.items():  # each ticker has its own
        (tmp_path / f"{name}.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    path.unlink()
    assert read_prices(tmp_path).table["ticker"].nunique() == 2
    whole = pd.DataFrame([row.split(",") for row in lines[1:]], columns=lines[0].split(","))
    whole.insert(0, "Ticker", ["A"] * 4 + ["B"] * 4)
    whole.to_csv(tmp_path / "all.csv", index=False)
    assert read_prices(tmp_path / "all.csv").table["ticker"].nunique() == 2

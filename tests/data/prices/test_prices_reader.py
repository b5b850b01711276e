"""Any form of daily prices becomes one table, or one sentence."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.files import arrow_files
from upgate.data.prices.reader import read_prices
from upgate.data.prices.table import PRICES, Prices, clean_prices
from upgate.errors import UserError

# Three bars of one ticker with a leading zero; every form below holds exactly these.
BARS = pd.DataFrame(
    {
        "ticker": "000858",
        "date": pd.to_datetime(["2013-02-27", "2013-02-28", "2013-03-01"]),
        "open": [1027.5, 1028.25, 1029.0],
        "high": [1031.0, 1033.5, 1030.0],
        "low": [1020.0, 1027.0, 1018.75],
        "close": [1028.0, 1030.0, 1019.5],
        "volume": [14809916.0, 9000.0, 57422800.0],
    }
)

# Each as its source really writes it: name of the file, then its text.
FORMS = {
    "kaggle": ("all_stocks_5yr.csv", """date,open,high,low,close,volume,Name
2013-02-27,1027.5,1031,1020,1028,14809916,000858
2013-02-28,1028.25,1033.5,1027,1030,9000,000858
2013-03-01,1029,1030,1018.75,1019.5,57422800,000858
"""),
    "yahoo web export": ("000858.csv", """\ufeffDate,Open,High,Low,Close\xa0,Adj Close\xa0,Volume\r
3/1/2013,"1,029.00","1,030.00","1,018.75","1,019.50",900.1,"57,422,800"\r
2/28/2013,0.525\xa0Dividend\xa0,,,,,\r
2/28/2013,"1,028.25","1,033.50","1,027.00","1,030.00",910.2,"9,000"\r
2/27/2013,3:1\xa0Stock Splits\xa0\r
2/27/2013,"1,027.50","1,031.00","1,020.00","1,028.00",905.3,"14,809,916"\r
,,,,,,\r
"""),
    "yahoo web, dd-Mon-yy": ("000858.csv", """Date,Open,High,Low,Close*,Adj Close**,Volume
1-Mar-13,1029,1030,1018.75,1019.5,900.1,57422800
28-Feb-13,1028.25,1033.5,1027,1030,910.2,9000
27-Feb-13,1027.5,1031,1020,1028,905.3,14809916
"""),
    "two columns named Close": ("000858.csv", """Date,Open,High,Low,Close,Close,Volume
2013-02-27,1027.5,1031,1020,1028,905.3,14809916
2013-02-28,1028.25,1033.5,1027,1030,910.2,9000
2013-03-01,1029,1030,1018.75,1019.5,900.1,57422800
"""),
    "yfinance, Price first": ("x.csv", """Price,Close,High,Low,Open,Volume
Ticker,000858,000858,000858,000858,000858
Date,,,,,
2013-02-27,1028.0,1031.0,1020.0,1027.5,14809916
2013-02-28,1030.0,1033.5,1027.0,1028.25,9000
2013-03-01,1019.5,1030.0,1018.75,1029.0,57422800
"""),
    "yfinance, Ticker first, no Date row": ("x.csv", """Ticker,000858,000858,000858,000858,000858
Price,Open,High,Low,Close,Volume
2013-02-27,1027.5,1031.0,1020.0,1028.0,14809916
2013-02-28,1028.25,1033.5,1027.0,1030.0,9000
2013-03-01,1029.0,1030.0,1018.75,1019.5,57422800
"""),
    "yfinance, older, unnamed levels": ("x.csv", """,Adj Close,Close,High,Low,Open,Volume
,000858,000858,000858,000858,000858,000858
Date,,,,,,
2013-02-27 00:00:00+08:00,905.3,1028.0,1031.0,1020.0,1027.5,14809916
2013-02-28 00:00:00+08:00,910.2,1030.0,1033.5,1027.0,1028.25,9000
2013-03-01 00:00:00+08:00,900.1,1019.5,1030.0,1018.75,1029.0,57422800
"""),
    "yfinance history, dates with offsets": ("000858.csv", """Date,Open,High,Low,Close,Volume,Dividends,Stock Splits
2013-02-27 00:00:00-05:00,1027.5,1031.0,1020.0,1028.0,14809916,0.0,0.0
2013-02-28 00:00:00-05:00,1028.25,1033.5,1027.0,1030.0,9000,0.0,0.0
2013-03-01 00:00:00-04:00,1029.0,1030.0,1018.75,1019.5,57422800,0.0,0.0
"""),  # noqa: E501
    "nasdaq": ("000858.csv", """Date,Close/Last,Volume,Open,High,Low
03/01/2013,$1019.50,57422800,$1029.00,$1030.00,$1018.75
02/28/2013,$1030.00,9000,$1028.25,$1033.50,$1027.00
02/27/2013,$1028.00,14809916,$1027.50,$1031.00,$1020.00
"""),
    "netease": ("0000858.csv", """日期,股票代码,名称,收盘价,最高价,最低价,开盘价,前收盘,涨跌额,涨跌幅,换手率,成交量,成交金额,总市值,流通市值
2013-03-01,'000858,五 粮 液,1019.5,1030.0,1018.75,1029.0,1030.0,-10.5,-1.0194,None,57422800,59025131421.0,None,None
2013-02-28,'000858,五 粮 液,1030.0,1033.5,1027.0,1028.25,1028.0,2.0,0.1946,None,9000,9270000.0,None,None
2013-02-27,'000858,五 粮 液,1028.0,1031.0,1020.0,1027.5,None,None,None,None,14809916,15224593648.0,None,None
"""),  # noqa: E501
    "eastmoney": ("x.csv", """\ufeff日期,股票代码,开盘,收盘,最高,最低,成交量,成交额,振幅,涨跌幅,涨跌额,换手率
2013-02-27,000858,1027.5,1028.0,1031.0,1020.0,14809916,15224593648.0,1.07,0.05,0.5,1.18
2013-02-28,000858,1028.25,1030.0,1033.5,1027.0,9000,9270000.0,0.63,0.19,2.0,0.01
2013-03-01,000858,1029.0,1019.5,1030.0,1018.75,57422800,59025131421.0,1.09,-1.02,-10.5,4.2
"""),  # noqa: E501
    "sina": ("000858.csv", """date,open,high,low,close,volume,amount,outstanding_share,turnover
2013-02-27,1027.5,1031.0,1020.0,1028.0,14809916.0,15224593648.0,1256197800.0,0.01179
2013-02-28,1028.25,1033.5,1027.0,1030.0,9000.0,9270000.0,1256197800.0,0.00001
2013-03-01,1029.0,1030.0,1018.75,1019.5,57422800.0,59025131421.0,1256197800.0,0.0457
"""),
    "tushare": ("x.csv", """ts_code,trade_date,Close,open,high,low,pre_close,change,pct_chg,vol,amount
000858,20130301,1019.5,1029.0,1030.0,1018.75,1030.0,-10.5,-1.02,57422800.0,59025131.4
000858,20130228,1030.0,1028.25,1033.5,1027.0,1028.0,2.0,0.19,9000.0,9270.0
000858,20130227,1028.0,1027.5,1031.0,1020.0,1027.5,0.5,0.05,14809916.0,15224593.6
"""),  # noqa: E501
    "wind, bracketed units, commas at line ends": ("x.csv", """代码,日期,开盘价(元),最高价(元),最低价(元),收盘价(元),成交量(股)
="000858",2013年2月27日,1027.5,1031,1020,1028,14809916,
="000858",2013年2月28日,1028.25,1033.5,1027,1030,9000,
="000858",2013年3月1日,1029,1030,1018.75,1019.5,57422800,
"""),  # noqa: E501
    "investing": ("000858.csv", '''"Date","Price","Open","High","Low","Vol.","Change %"
"Mar 01, 2013","1,019.50","1,029.00","1,030.00","1,018.75","57422.8K","-1.02%"
"Feb 28, 2013","1,030.00","1,028.25","1,033.50","1,027.00","9K","0.19%"
"Feb 27, 2013","1,028.00","1,027.50","1,031.00","1,020.00","14.809916M","0.05%"
'''),
    "tabs": ("000858.tsv", """date\topen\thigh\tlow\tclose\tvolume
27.02.2013\t1027.5\t1031\t1020\t1028\t14809916
28.02.2013\t1028.25\t1033.5\t1027\t1030\t9000
01.03.2013\t1029\t1030\t1018.75\t1019.5\t57422800
"""),
}  # fmt: skip


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(*rows: str, header: str = "date,open,high,low,close,volume,ticker") -> str:
    return "\n".join([header, *rows]) + "\n"


def same(prices: Prices, table: pd.DataFrame = BARS) -> bool:
    pd.testing.assert_frame_equal(prices.table, table, check_dtype=False)
    return prices.hash() == clean_prices(table, where="the reference").hash()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_bars_is_the_same_table(form, tmp_path):
    name, text = FORMS[form]
    prices = read_prices(write(tmp_path, name, text))
    assert same(prices)
    assert prices.table.dtypes[["open", "high", "low", "close", "volume"]].eq("float64").all()
    assert str(prices.table["date"].dtype) == "datetime64[s]"
    assert prices.dropped == (
        {"dividend": 1, "split": 1, "blank": 1} if form == "yahoo web export" else {}
    )


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding, tmp_path):
    assert same(read_prices(write(tmp_path, "x.csv", FORMS["netease"][1].encode(encoding))))


@pytest.mark.parametrize("name", ["000858.csv.gz", "000858.CSV.GZ", "000858.txt", "000858"])
def test_the_content_tells_what_a_file_is_and_the_name_tells_the_ticker(name, tmp_path):
    text = FORMS["sina"][1].encode()
    assert same(
        read_prices(
            write(tmp_path, name, gzip.compress(text) if name.lower().endswith("gz") else text)
        )
    )


@pytest.mark.parametrize(
    "table",
    [
        BARS,
        BARS.rename(columns=str.title),
        BARS.set_index("date"),
        BARS.assign(date=BARS["date"].dt.tz_localize("America/New_York")),
        BARS.assign(date=BARS["date"].dt.strftime("%Y%m%d").astype(int)),
        BARS.assign(date=BARS["date"].dt.date),
        BARS.assign(ticker=BARS["ticker"].astype("category")).iloc[::-1],
        BARS.set_index("date")
        .set_axis(["ticker", *PRICES, "volume"], axis=1)
        .astype({"open": "float32"}),
        pd.concat(
            {"000858": BARS.set_index("date")[[*PRICES, "volume"]]},
            axis=1,
            names=["Ticker", "Price"],
        ),
        pd.concat({"000858": BARS.set_index("date")[[*PRICES, "volume"]]}, axis=1).swaplevel(
            axis=1
        ),
    ],
    ids=[
        "plain",
        "title",
        "index",
        "zone",
        "int",
        "object",
        "category",
        "float32",
        "two-level",
        "swapped",
    ],
)
def test_parquet_and_feather(table, tmp_path):
    table.to_parquet(tmp_path / "x.parquet")
    assert same(read_prices(tmp_path / "x.parquet"))
    assert same(read_prices(write(tmp_path, "x.csv", arrow_files(table)["lz4.feather"])))


def test_feather_files_of_a_folder_are_named_by_their_tickers(tmp_path):
    files = arrow_files(BARS.drop(columns="ticker"))
    for name in ("None.feather", "zstd.arrow"):
        write(tmp_path, f"BRK.{name}", files[name])
    assert set(read_prices(tmp_path).table["ticker"]) == {"BRK.None", "BRK.zstd"}


def test_two_tickers_side_by_side_lose_each_others_days(tmp_path):
    text = """Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume
Ticker,BTC-USD,^GSPC,BTC-USD,^GSPC,BTC-USD,^GSPC,BTC-USD,^GSPC,BTC-USD,^GSPC
Date,,,,,,,,,,
2024-01-05,44179,4697,44357,4721,42784,4682,44192,4690,32336029347,3844370000
2024-01-06,43989,,44214,,43397,,44178,,16092503468,
2024-01-08,46970,4763,47218,4764,43244,4699,43948,4703,42746192015,3742320000
"""
    prices = read_prices(write(tmp_path, "x.csv", text))
    assert prices.table.groupby("ticker")["date"].count().to_dict() == {"BTC-USD": 3, "^GSPC": 2}
    assert prices.dropped == {}
    assert prices.table.query("ticker == '^GSPC'")["close"].tolist() == [4697, 4763]


def test_no_volume_is_nan_and_wide_numbers_stay_exact(tmp_path):
    row = "1992-05-21,17.65999984741211,18,17,17.1"
    prices = read_prices(
        write(tmp_path, "BRK.B.csv", lines(row, header="date,open,high,low,close"))
    )
    assert prices.table["ticker"].tolist() == ["BRK.B"]
    assert prices.table["volume"].isna().all()
    assert prices.table["open"][0] == 17.65999984741211


def days_of(tmp_path: Path, *days: str) -> list[str]:
    path = write(tmp_path, "x.csv", lines(*(f'"{day}",1,1,1,1,1,A' for day in days)))
    return read_prices(path).table["date"].dt.strftime("%Y-%m-%d").tolist()


def test_the_whole_column_decides_between_month_and_day_first(tmp_path):
    assert days_of(tmp_path, "1/2/2015", "1/5/2015") == ["2015-01-02", "2015-01-05"]
    assert days_of(tmp_path, "1/2/2015", "13/2/2015") == ["2015-02-01", "2015-02-13"]
    assert days_of(tmp_path, "1/2/2015", "2/13/2015") == ["2015-01-02", "2015-02-13"]
    assert days_of(tmp_path, "2/1/15 16:00:00", "13/1/15 16:00:00") == ["2015-01-02", "2015-01-13"]
    with pytest.raises(UserError, match="row 3, A 13/2/2015: no date"):
        days_of(tmp_path, "2/14/2015", "13/2/2015", "2/17/2015")


def test_two_digit_years_over_more_than_70_years_are_not_guessed(tmp_path):
    with pytest.raises(UserError, match="row 2, A 2-Jan-62: no date"):
        days_of(tmp_path, "2-Jan-62", "2-Jan-70", "2-Jan-26")


FINE = "2020-01-02,10,12,9,11,5,A"
WRONG = {
    "price <= 0": ("2020-01-03,-10,12,-11,11,5,A", "open is -10, but a price is above 0"),
    "impossible bar": (
        "2020-01-03,10,12,10.5,11,5,A",
        "open 10 and close 11 do not both lie between low 10.5 and high 12",
    ),
    "volume < 0": ("2020-01-03,10,12,9,11,-5,A", "the volume -5 is below 0"),
    "unreadable date": ("2020-13-03,10,12,9,11,5,A", "no date, or not in the form of the others"),
    "unreadable number": ('2020-01-03,10,12,9,"11,5,0",5,A', "not a number: close '11,5,0'"),
    "no ticker": ("2020-01-03,10,12,9,11,5,", "the row has no ticker"),
}


@pytest.mark.parametrize("reason", WRONG)
def test_what_cannot_be_right_is_refused_in_one_sentence_or_dropped_and_counted(reason, tmp_path):
    row, sentence = WRONG[reason]
    path = write(tmp_path, "x.csv", lines(FINE, row))
    with pytest.raises(UserError) as caught:
        read_prices(path)
    told = str(caught.value)
    assert told.startswith(f"{path}, row 3, ")
    assert sentence in told
    assert told.endswith("; data.bad=drop drops such rows")
    assert "\n" not in told
    prices = read_prices(path, bad="drop")
    assert prices.dropped == {reason: 1}
    assert len(prices.table) == 1


@pytest.mark.parametrize("low, high", [(11.0, 10.0), (10.5, 12.0), (9.0, 10.5)])
def test_a_bar_is_impossible_beyond_rounding_only(low, high):
    bar = {
        "ticker": "A",
        "date": "2020-01-02",
        "open": 10.0,
        "high": high,
        "low": low,
        "close": 11.0,
    }
    with pytest.raises(UserError, match="do not both lie"):
        clean_prices(pd.DataFrame([bar]), where="x")
    float32_high = (
        float(np.float32(11.1)) - 5e-7
    )  # a price of 11.1 printed from float32, and its high from float64
    assert (
        len(
            clean_prices(
                pd.DataFrame([{**bar, "low": 9, "high": float32_high, "close": 11.1}]), where="x"
            ).table
        )
        == 1
    )


def test_repeated_rows_go_and_days_that_disagree_are_refused(tmp_path):
    path = write(tmp_path, "x.csv", lines(FINE, FINE, FINE.replace("-02", "-03")))
    assert read_prices(path).dropped == {"repeated": 1}
    path = write(
        tmp_path, "x.csv", lines(FINE, FINE.replace(",11,", ",10,"), FINE.replace("-02", "-03"))
    )
    with pytest.raises(UserError, match="row 2, A 2020-01-02: this day occurs twice"):
        read_prices(path)
    prices = read_prices(path, bad="drop")
    assert prices.dropped == {"two bars of one day": 2}
    assert prices.table["date"].tolist() == [pd.Timestamp("2020-01-03")]


def test_incomplete_rows_are_always_dropped_and_counted(tmp_path):
    text = lines(
        FINE,
        "2020-01-03,None,12,9,11,5,A",
        "2020-01-04,10,12,9,null,5,A",
        "",
        "2020-01-05,10,12,9,11,,A",
    )
    prices = read_prices(write(tmp_path, "x.csv", text))
    assert prices.dropped == {"incomplete": 2, "blank": 1}
    assert prices.table["volume"].isna().tolist() == [False, True]


UNREADABLE = {
    "empty": (b"", "is empty"),
    "header only": (b"date,open,high,low,close\n", "holds no row of prices"),
    "no row left": (
        b"date,open,high,low,close\n2020-01-02,,,,\n",
        r"holds no row of prices \(dropped: 1 incomplete\)",
    ),
    "no close": (
        b"date,open,high,low,adj close\n",
        "it has no column for close, only 'date', 'open'",
    ),
    "a review": (
        b"label,review\n1,good\n",
        "no column for close, date, high, low, open, only 'label', 'review'",
    ),
    "more cells than header": (
        b"date,open,high,low,close\n2020-01-02,1,1,1,1,000\n",
        "line 2 has more cells",
    ),
    "many more cells": (
        b"date,open,high,low,close\n2020-01-02,1,1,1,1,0,0,0\n",
        "cannot be read as csv, parquet or feather",
    ),
    "half a parquet": (b"PAR1" + bytes(50), "cannot be read as csv, parquet or feather"),
    "half a feather": (arrow_files(BARS)["zstd.feather"][:-9], "feather: its end is missing"),
    "half a stream": (arrow_files(BARS)["None.arrow"][:-8], "feather: its end is missing"),
    "half a gzip": (
        gzip.compress(b"date,open" * 99)[:30],
        "cannot be read as csv, parquet or feather",
    ),
    "binary": (b"PK\x03\x04\0\0\0\0", "neither text, parquet nor feather"),
    "no known encoding": (
        b"\xff\xd8\xff\xe0date",
        "neither text, parquet nor feather, but a picture",
    ),
    "zeros": (
        b"date,open,high,low,close\n2020-01-02,1,1,1,1\n" * 200
        + bytes(512)
        + b"2020-01-06,2,2,2,2\n",
        r"is damaged: it holds zeros from byte 8,\d00 on",
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_files_get_one_sentence(kind, tmp_path):
    content, sentence = UNREADABLE[kind]
    path = write(tmp_path, "x.csv", content)
    with pytest.raises(UserError, match=sentence) as caught:
        read_prices(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_files_and_empty_folders(tmp_path):
    (tmp_path / "links").mkdir()
    write(tmp_path / "links", "A.csv", FINE)
    (tmp_path / "links" / "B.csv").symlink_to("/nowhere/B.csv")
    with pytest.raises(UserError, match=r"B\.csv is a symbolic link to /nowhere/B\.csv, which"):
        read_prices(tmp_path / "links")
    write(tmp_path, "APPL.csv", FINE)
    with pytest.raises(UserError, match=r"there is no file .*AAPL\.csv, did you mean 'APPL\.csv'"):
        read_prices(tmp_path / "AAPL.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no price file"):
        read_prices(tmp_path / "empty")
    with pytest.raises(UserError, match=r"there is no file /nowhere/x\.csv$"):
        read_prices("/nowhere/x.csv")


def test_a_folder_is_one_table_and_names_the_file_of_a_fault(tmp_path):
    header = "date,open,high,low,close,volume"
    write(tmp_path, "AAPL.csv", lines("2/27/2026,1,1,1,1,1", header=header))
    write(
        tmp_path,
        "^GSPC.csv.gz",
        gzip.compress(lines("27-Feb-26,2,2,2,2,2", header=header).encode()),
    )
    write(tmp_path, ".hidden.csv", "not a table")
    prices = read_prices(tmp_path)
    assert prices.table["ticker"].tolist() == ["AAPL", "^GSPC"]
    assert prices.table["date"].nunique() == 1
    write(tmp_path, "more.csv", lines("2026-02-27,3,3,3,3,3,AAPL"))
    with pytest.raises(
        UserError, match=r"AAPL\.csv, row 2, AAPL 2026-02-27: this day occurs twice"
    ):
        read_prices(tmp_path)
    write(tmp_path, "more.csv", lines("2026-02-28,3,3,-3,3,3,AAPL"))
    with pytest.raises(UserError, match=r"more\.csv, row 2, AAPL 2026-02-28: low is -3"):
        read_prices(tmp_path)


def test_tickers_and_days_are_chosen_before_the_checks(tmp_path):
    faulty = "2020-01-03,10,12,10.5,11,5,^GSPC"
    path = write(tmp_path, "x.csv", lines(FINE, FINE.replace("2020", "2021"), faulty))
    assert len(read_prices(path, tickers=["A"]).table) == 2
    assert len(read_prices(path, tickers=["A"], start="2020", end="2020").table) == 1
    assert len(read_prices(path, end="2020-01-02").table) == 1
    with pytest.raises(UserError, match=r"no ticker 'GSPC', did you mean '\^GSPC'"):
        read_prices(path, tickers=["A", "GSPC"])
    with pytest.raises(UserError, match="no ticker 'a', did you mean 'A'"):
        read_prices(path, tickers=["a"])
    with pytest.raises(
        UserError, match="no row from 2022 to its end; its days are 2020-01-02 to 2021-01-02"
    ):
        read_prices(path, start=2022)
    for odd in ("soon", "nan", 0, 99999999, "1/2/2020", "2020-02-30"):
        with pytest.raises(UserError, match=rf"data\.end is '{odd}', which is no day"):
            read_prices(path, end=odd)
    with pytest.raises(UserError, match=r"data\.bad is 'ignore'"):
        read_prices(path, bad="ignore")


def test_the_hash_is_of_the_values():
    first = clean_prices(BARS, where="a").hash()
    assert (
        first == "e4023a743980183d182d04669d194db3aec3ef597c216255334f43ba95d9106a"
    )  # the same on every machine
    assert clean_prices(BARS.iloc[::-1], where="b").hash() == first
    assert clean_prices(BARS.assign(volume=np.nan), where="c").hash() != first
    assert clean_prices(BARS.assign(ticker="000859"), where="d").hash() != first
    assert (
        clean_prices(BARS.assign(date=BARS["date"] + pd.Timedelta(days=1)), where="e").hash()
        != first
    )
    assert clean_prices(BARS.assign(open=np.nextafter(BARS["open"], 0)), where="f").hash() != first

"""The sources of prices; Yahoo by canned replies at the edge of yfinance, where the network
begins.
"""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml
import yfinance
from yfinance.config import YfConfig
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError

from helpers.project import REPO
from upgate.data.prices.sources import SOURCES, load_prices
from upgate.errors import UserError

CONF = REPO / "conf" / "data"
DAYS = pd.bdate_range("2024-01-02", periods=8)


# ---- sp500 and prices


def config(name: str, **changes) -> dict:
    return {**yaml.safe_load((CONF / f"{name}.yaml").read_text()), **changes}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_a_small_file_of_choices(name):
    assert next(iter(config(name).items())) == ("source", name)
    assert config(name)["bad"] == "refuse"
    assert len((CONF / f"{name}.yaml").read_text().splitlines()) == len(config(name)) <= 9


def test_sp500_is_the_real_index():
    prices = load_prices(config("sp500"))
    table = prices.table.set_index("date")
    assert len(table) == 5031
    assert table["ticker"].unique().tolist() == ["SP500"]
    assert table.loc["1999-01-04", "close"] == 1228.099976
    assert table.loc["2018-12-31", "close"] == 2506.850098
    assert table["close"].idxmin() == pd.Timestamp("2009-03-09")
    assert prices.dropped == {}
    assert "arch" in prices.source


def test_sp500_by_years():
    table = load_prices(config("sp500", start=2008, end="2009-06")).table
    assert f"{table['date'].min():%F} {table['date'].max():%F}" == "2008-01-02 2009-06-30"


def test_sp500_needs_no_heavy_import():
    code = (
        "import sys; from upgate.data.prices.sources import load_prices; load_prices({'source':"
        " 'sp500'}); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"arch", "scipy", "yfinance", "torch", "sklearn"} & set(loaded)


def test_prices_reads_a_path_with_codes_that_look_like_numbers(tmp_path):
    rows = [
        "ticker,date,open,high,low,close",
        "600519,2020-01-02,1,1,1,1",
        "000858,2020-01-02,2,2,2,2",
    ]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    table = load_prices(config("prices", path=str(tmp_path / "x.csv"), tickers=[600519])).table
    assert table["ticker"].tolist() == ["600519"]
    assert load_prices(config("prices", path=tmp_path, tickers="000858")).table[
        "close"
    ].tolist() == [2]


def test_what_is_missing_or_misspelt_is_told():
    with pytest.raises(UserError, match=r"data=prices needs data\.path"):
        load_prices(config("prices"))
    with pytest.raises(UserError, match="no source of prices 'yaho', did you mean 'yahoo'"):
        load_prices({"source": "yaho"})


# ---- yahoo


class Reply:
    """What the chart endpoint answers, as far as yfinance looks at it."""

    status_code = 200

    def __init__(self, body: dict):
        self.body, self.text = body, json.dumps(body)

    def json(self) -> dict:
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        pass


def chart(symbol: str, price: float, days: pd.DatetimeIndex = DAYS, dividend: float = 0.0) -> dict:
    """Return a chart with one bar a day, rising by 1; a dividend lowers the adjusted closes of the
    first four days.
    """
    close = [price + i for i in range(len(days))]
    adjusted = [value * (1 - dividend) if i < 4 else value for i, value in enumerate(close)]
    meta = {
        "symbol": symbol, "currency": "USD", "instrumentType": "EQUITY", "exchangeTimezoneName": "America/New_York",  # noqa: E501
        "timezone": "EST", "gmtoffset": -18000, "validRanges": ["1d", "max"], "dataGranularity": "1d", "range": "",  # noqa: E501
    }  # fmt: skip
    quote = {
        "open": close, "close": close, "high": [value + 2 for value in close], "low": [value - 2 for value in close],  # noqa: E501
        "volume": [1000 + i for i in range(len(days))],
    }  # fmt: skip
    opening = [
        int((day + pd.Timedelta(hours=14, minutes=30)).timestamp()) for day in days
    ]  # 9:30 in New York
    result = {
        "meta": meta,
        "timestamp": opening,
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": adjusted}]},
    }
    return {"chart": {"result": [result], "error": None}}


class Yahoo:
    """Yahoo's end of the wire: answers by symbol, and keeps the parameters of every request for
    prices.
    """

    def __init__(self):
        self.charts: dict[str, dict] = {}
        self.asked: list[dict] = []
        self.limited = False

    def get(self, _data, url: str, params: dict | None = None, timeout: float = 30) -> Reply:
        if self.limited:
            raise YFRateLimitError
        if params and "period1" in params:
            self.asked.append(dict(params))
        nothing = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
        return Reply(
            self.charts.get(url.rsplit("/", 1)[1], {"chart": {"result": None, "error": nothing}})
        )


@pytest.fixture
def yahoo(monkeypatch, tmp_path_factory):
    wire = Yahoo()
    wire.charts = {"AAPL": chart("AAPL", 100.0, dividend=0.25), "^GSPC": chart("^GSPC", 4700.0)}
    monkeypatch.setattr(YfData, "get", lambda *args, **kwargs: wire.get(*args, **kwargs))
    monkeypatch.setattr(YfData, "cache_get", lambda *args, **kwargs: wire.get(*args, **kwargs))
    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("yfinance")))
    return wire


def ask(folder: Path, **changes) -> dict:
    return config(
        "yahoo",
        **{
            "tickers": ["^GSPC", "AAPL"],
            "start": "2024-01-01",
            "end": "2024-01-31",
            "folder": str(folder),
            **changes,
        },
    )


yahoo_warnings = pytest.mark.filterwarnings(
    "ignore::pandas.errors.Pandas4Warning:yfinance"
)  # its own use of pandas


@yahoo_warnings
def test_a_download_is_adjusted_sorted_and_saved_with_its_hash(yahoo, tmp_path):
    prices = load_prices(ask(tmp_path / "data"))
    table = prices.table.set_index(["ticker", "date"])
    assert prices.table["ticker"].unique().tolist() == ["AAPL", "^GSPC"]
    assert prices.table["date"].unique().tolist() == list(DAYS)
    first, last = table.loc["AAPL"].iloc[0], table.loc["AAPL"].iloc[-1]
    assert first[["open", "high", "low", "close", "volume"]].tolist() == pytest.approx(
        [75, 76.5, 73.5, 75, 1000]
    )
    assert last[["open", "high", "low", "close", "volume"]].tolist() == pytest.approx(
        [107, 109, 105, 107, 1007]
    )
    (note,) = (tmp_path / "data").glob("yahoo-*.json")
    told = json.loads(note.read_text())
    assert told["tickers"] == ["AAPL", "^GSPC"]
    assert hashlib.sha256(note.with_name(told["file"]).read_bytes()).hexdigest() == told["sha256"]
    assert told["file"] in prices.source


@yahoo_warnings
def test_the_request_covers_the_days_asked_for_both_included(yahoo, tmp_path):
    load_prices(ask(tmp_path, tickers="AAPL"))
    (asked,) = yahoo.asked
    span = [datetime.fromtimestamp(asked[key], UTC) for key in ("period1", "period2")]
    assert [f"{time:%F}" for time in span] == ["2024-01-01", "2024-02-01"]  # midnight in New York
    load_prices(ask(tmp_path, tickers=["AAPL"], start=None, end=None))
    span = [datetime.fromtimestamp(yahoo.asked[-1][key], UTC) for key in ("period1", "period2")]
    assert span[0].year < 1980
    assert f"{span[1]:%F}" == f"{datetime.now(UTC):%F}"  # excluded: no bar of a day in progress


@yahoo_warnings
def test_nothing_is_downloaded_twice_unless_asked(yahoo, tmp_path):
    first = load_prices(ask(tmp_path))
    asked = len(yahoo.asked)
    yahoo.charts["AAPL"] = chart("AAPL", 200.0)
    assert load_prices(ask(tmp_path)).hash() == first.hash()
    assert load_prices(ask(tmp_path, tickers=["aapl", "^gspc"])).hash() == first.hash()
    assert len(yahoo.asked) == asked
    fresh = load_prices(ask(tmp_path, refresh=True))
    assert fresh.hash() != first.hash()
    assert load_prices(ask(tmp_path)).hash() == fresh.hash()
    assert len(yahoo.asked) == 2 * asked


@yahoo_warnings
def test_a_snapshot_is_a_price_file_like_any_other(yahoo, tmp_path):
    prices = load_prices(ask(tmp_path))
    (snapshot,) = tmp_path.glob("*.parquet")
    assert load_prices(config("prices", path=snapshot)).hash() == prices.hash()


@yahoo_warnings
def test_an_altered_snapshot_is_refused(yahoo, tmp_path):
    load_prices(ask(tmp_path))
    (snapshot,) = tmp_path.glob("*.parquet")
    pd.read_parquet(snapshot).assign(Close=1.0).to_parquet(snapshot)
    with pytest.raises(
        UserError, match=r"is gone or altered since .*; data\.refresh=true downloads it again"
    ):
        load_prices(ask(tmp_path))
    assert load_prices(ask(tmp_path, refresh=True)).table["close"].min() == 75
    (note,) = tmp_path.glob("*.json")
    note.write_text("{")
    with pytest.raises(UserError, match="is damaged; delete it to download again"):
        load_prices(ask(tmp_path))


@yahoo_warnings
def test_a_failed_write_leaves_the_old_snapshot_and_no_debris(yahoo, tmp_path, monkeypatch):
    first = load_prices(ask(tmp_path))
    before = sorted(tmp_path.iterdir())
    yahoo.charts["AAPL"] = chart("AAPL", 200.0)

    def full(self, target):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert "cannot be written (No space left on device); set data.folder" in sentence(
            tmp_path, refresh=True
        )
    assert sorted(tmp_path.iterdir()) == before
    assert load_prices(ask(tmp_path)).hash() == first.hash()


def sentence(folder: Path, **changes) -> str:
    with pytest.raises(UserError) as caught:
        load_prices(ask(folder, **changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@yahoo_warnings
def test_a_rate_limit_points_to_what_is_there(yahoo, tmp_path):
    yahoo.limited = True
    limited = (
        "Yahoo gave no or almost no prices for AAPL, ^GSPC: it limits the number of requests, try"
        " again in some hours; "
    )
    assert sentence(tmp_path) == limited + "use the embedded data=sp500"
    assert not list(tmp_path.iterdir())
    yahoo.limited = False
    load_prices(ask(tmp_path))
    yahoo.limited = True
    assert "the snapshot of 2" in sentence(tmp_path, refresh=True)
    assert "leave out data.refresh=true to use it" in sentence(tmp_path, refresh=True)
    (snapshot,) = tmp_path.glob("*.parquet")
    assert f"use a snapshot that is there, data=prices data.path={snapshot}" in sentence(
        tmp_path, tickers=["MSFT"]
    )


@yahoo_warnings
def test_an_unknown_or_almost_empty_ticker_is_named(yahoo, tmp_path):
    told = sentence(tmp_path, tickers=["AAPL", "APPL"])
    assert told.startswith("Yahoo gave no or almost no prices for APPL: ")
    assert "it does not know the symbol (it writes ^GSPC, BRK-B, 600519.SS)" in told
    yahoo.charts["AAPL"] = chart("AAPL", 100.0, days=DAYS[:1])
    assert "almost no prices for AAPL: " in sentence(tmp_path)
    assert not list(tmp_path.iterdir())
    assert "needs data.tickers" in sentence(tmp_path, tickers=[])


@yahoo_warnings
def test_columns_that_are_not_adjusted_break_the_contract(yahoo, tmp_path, monkeypatch):
    download = yfinance.download
    monkeypatch.setattr(
        yfinance,
        "download",
        lambda *args, **kwargs: download(*args, **{**kwargs, "auto_adjust": False}),
    )
    assert "yfinance's columns are" in sentence(tmp_path)


@yahoo_warnings
def test_offline(tmp_path, monkeypatch):
    """A real request, sent to a port where nobody listens."""
    monkeypatch.setitem(YfConfig.network.data, "proxy", "http://127.0.0.1:9")
    yfinance.set_tz_cache_location(str(tmp_path / "yfinance"))
    told = sentence(tmp_path / "data")
    assert (
        told
        == "Yahoo gave no or almost no prices for AAPL, ^GSPC: it cannot be reached from here; use"
        " the embedded data=sp500"
    )
    assert not (tmp_path / "data").exists()

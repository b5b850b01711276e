"""China's sources by canned replies, in the columns and types of akshare 1.19 and baostock 0.9.

Their packages are an extra each; what stands here in their place answers as they do.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from helpers.project import REPO
from upgate.data.prices.china import CHINA, read_code
from upgate.data.prices.sources import load_prices
from upgate.errors import UserError

DAYS = pd.bdate_range("2024-01-02", periods=8)
CLOSES = [100.0 + i for i in range(len(DAYS))]
BARS = {"开盘": CLOSES, "收盘": CLOSES, "最高": CLOSES, "最低": CLOSES}
SERVICES = ("akshare", "baostock")


def config(source: str, folder: Path, **changes: Any) -> dict[str, Any]:
    text = (REPO / "conf" / "data" / f"{source}.yaml").read_text(encoding="utf-8")
    return {**yaml.safe_load(text), "folder": str(folder), **changes}


class Akshare:
    """Three of its functions; `asked` keeps what they were called with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.rows = len(DAYS)

    def stock_zh_a_hist(self, **asked: Any) -> pd.DataFrame:
        self.asked.append(("share", asked))
        volume = {"成交量": range(len(DAYS)), "换手率": 0.1, "股票代码": asked["symbol"]}
        return pd.DataFrame({"日期": DAYS.date, **BARS, **volume})[: self.rows]

    def fund_etf_hist_em(self, **asked: Any) -> pd.DataFrame:
        prices = self.stock_zh_a_hist(**asked)
        return prices.assign(**{name: prices[name] / 100 for name in BARS})

    def stock_zh_index_daily_em(self, **asked: Any) -> pd.DataFrame:
        self.asked.append(("index", asked))
        names = {"open": CLOSES, "close": CLOSES, "high": CLOSES, "low": CLOSES}
        days = [f"{day:%Y-%m-%d}" for day in DAYS]
        return pd.DataFrame({"date": days, **names, "volume": 5.0, "amount": 6.0})


class Answer:
    """A page of texts, read row by row."""

    def __init__(self, rows: list[list[str]], code: str = "0", message: str = "") -> None:
        self.rows, self.error_code, self.error_msg = rows, code, message

    def next(self) -> bool:
        return bool(self.rows)

    def get_row_data(self) -> list[str]:
        return self.rows.pop(0)


class Baostock:
    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fault = ("0", "")
        self.open = 0

    def login(self) -> Answer:
        print("login success!")
        self.open += 1
        return Answer([])

    def logout(self) -> None:
        self.open -= 1

    def query_history_k_data_plus(self, code: str, fields: str, **asked: Any) -> Answer:
        self.asked.append((code, fields, asked))
        rows = []
        for day, close in zip(DAYS, CLOSES, strict=True):
            suspended = day == DAYS[3]
            bar = [f"{close:.4f}"] * 4
            status = ["0" if suspended else "1"] if "tradestatus" in fields else []
            rows.append([f"{day:%Y-%m-%d}", *bar, "" if suspended else "700", *status])
        return Answer(rows, *self.fault)


@pytest.fixture
def akshare(monkeypatch: pytest.MonkeyPatch) -> Akshare:
    package = Akshare()
    monkeypatch.setitem(sys.modules, "akshare", package)
    return package


@pytest.fixture
def baostock(monkeypatch: pytest.MonkeyPatch) -> Baostock:
    package = Baostock()
    monkeypatch.setitem(sys.modules, "baostock", package)
    return package


@pytest.mark.parametrize(
    ("ticker", "code", "kind"),
    [
        (600519, "600519.SH", "share"),
        (858, "000858.SZ", "share"),  # 000858, read as a number
        ("sh.600000", "600000.SH", "share"),
        ("600519.SS", "600519.SH", "share"),
        ("830799", "830799.BJ", "share"),
        ("SH000300", "000300.SH", "index"),
        ("399006.sz", "399006.SZ", "index"),
        ("159915.SZ", "159915.SZ", "fund"),
        (510300, "510300.SH", "fund"),
    ],
)
def test_a_code_is_read_in_every_form(ticker: object, code: str, kind: str) -> None:
    found = read_code(ticker)
    assert (str(found), found.kind) == (code, kind)
    assert read_code(str(found)) == found


@pytest.mark.parametrize("ticker", ["AAPL", "60051x", "SH600519.SZ", "1234567", ""])
def test_what_is_no_code_is_refused(ticker: str) -> None:
    with pytest.raises(UserError, match=r"is no code of six digits; write 600519, 000300\.SH"):
        read_code(ticker)


def test_akshare_is_asked_for_each_kind_by_its_own_function(
    akshare: Akshare, tmp_path: Path
) -> None:
    asked = config("akshare", tmp_path, tickers=["000300.SH", 600519, "159915.SZ"], start=2024)
    prices = load_prices({**asked, "end": "2024-01-31", "adjust": "qfq"})
    assert prices.table["ticker"].unique().tolist() == ["000300.SH", "159915.SZ", "600519.SH"]
    closes = prices.table.groupby("ticker")["close"].first()
    assert closes.tolist() == [100, 1, 100]
    days = {"start_date": "20240101", "end_date": "20240131"}
    history = {"period": "daily", "adjust": "qfq", **days}
    assert akshare.asked == [
        ("index", {"symbol": "sh000300", **days}),
        ("share", {"symbol": "159915", **history}),
        ("share", {"symbol": "600519", **history}),
    ]
    assert "akshare-000300SH-159915SZ-600519SH" in prices.source


def test_days_of_suspension_are_left_out_of_baostocks(
    baostock: Baostock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = load_prices(config("baostock", tmp_path, tickers=["600519", "000300.SH"])).table
    share = table[table["ticker"] == "600519.SH"]
    assert share["date"].tolist() == [day for day in DAYS if day != DAYS[3]]
    assert set(share["volume"]) == {700} and len(table) == 2 * len(DAYS) - 1
    (index, _, asked), (code, fields, _) = baostock.asked
    assert (index, code) == ("sh.000300", "sh.600519") and "tradestatus" in fields
    assert asked["adjustflag"] == "1" and asked["start_date"] == "2010-01-01"
    assert baostock.open == 0 and capsys.readouterr().out == ""


@pytest.mark.parametrize("service", SERVICES)
def test_a_bar_of_today_is_never_asked_for(
    service: str, akshare: Akshare, baostock: Baostock, tmp_path: Path
) -> None:
    load_prices(config(service, tmp_path, tickers=600519, end=None))
    yesterday = datetime.now(CHINA).date() - timedelta(days=1)
    asked = akshare.asked[0][1] if service == "akshare" else baostock.asked[0][2]
    assert asked["end_date"].replace("-", "") == f"{yesterday:%Y%m%d}"


def test_nothing_is_downloaded_twice_and_each_adjustment_is_its_own(
    akshare: Akshare, tmp_path: Path
) -> None:
    first = load_prices(config("akshare", tmp_path, tickers=600519))
    again = load_prices(config("akshare", tmp_path, tickers="sh600519"))
    assert again.hash() == first.hash() and len(akshare.asked) == 1
    load_prices(config("akshare", tmp_path, tickers=600519, adjust="none"))
    assert [asked["adjust"] for _, asked in akshare.asked] == ["hfq", ""]
    assert len(list(tmp_path.glob("akshare-*.json"))) == 2


def sentence(source: str, folder: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_prices(config(source, folder, **changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_fault_is_one_sentence(
    akshare: Akshare, baostock: Baostock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    akshare.rows = 2
    assert "akshare gave no or almost no prices for 600519.SH: it does not know" in sentence(
        "akshare", tmp_path, tickers=600519
    )
    monkeypatch.delattr(Akshare, "stock_zh_index_daily_em")
    assert "akshare gave no prices for 000300.SH: AttributeError" in sentence("akshare", tmp_path)
    baostock.fault = ("10002007", "网络接收错误。")
    assert "600519.SH: it cannot be reached from here; use the embedded" in sentence(
        "baostock", tmp_path, tickers=600519
    )
    baostock.fault = ("10004011", "日期格式不正确")
    assert "ValueError: 日期格式不正确" in sentence("baostock", tmp_path, tickers=600519)
    assert "data=akshare has" in sentence("baostock", tmp_path, tickers="830799")
    assert "data=baostock needs data.tickers" in sentence("baostock", tmp_path, tickers=[])
    monkeypatch.setitem(sys.modules, "akshare", SimpleNamespace())
    renamed = pd.DataFrame({"day": DAYS, **dict.fromkeys(("open", "high", "low", "close"), 1.0)})
    monkeypatch.setattr(
        sys.modules["akshare"], "stock_zh_a_hist", lambda **_: renamed, raising=False
    )
    assert "akshare's columns are day, open, high, low, close, without date, volume" in sentence(
        "akshare", tmp_path, tickers=600519
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("service", SERVICES)
def test_a_package_that_is_not_installed_is_named(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, service, None)
    told = sentence(service, tmp_path, tickers=600519)
    assert told == f"data={service} needs the package {service}: pip install 'upgate[{service}]'"

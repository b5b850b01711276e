"""China's sources: the packages themselves, with canned replies where the network begins."""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from helpers.project import REPO
from upgate.data.prices.china import CHINA, read_code
from upgate.data.prices.sources import load_prices
from upgate.errors import UserError

DAYS = pd.bdate_range("2024-01-02", periods=8)
SERVICES = ("akshare", "baostock")

pytestmark = pytest.mark.filterwarnings(
    "ignore::pandas.errors.Pandas4Warning:akshare"  # its own use of pandas
)


def config(source: str, folder: Path, **changes: Any) -> dict[str, Any]:
    text = (REPO / "conf" / "data" / f"{source}.yaml").read_text(encoding="utf-8")
    return {**yaml.safe_load(text), "folder": str(folder), **changes}


class Eastmoney:
    """What the endpoint that akshare asks answers: bars as texts, by a security's number."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.rows = len(DAYS)
        self.columns = 11

    def get(self, url: str, params: dict[str, str], timeout: float | None = None) -> Any:
        self.asked.append(params)
        price = int(params["secid"][-3:])
        lines = [
            f"{day:%Y-%m-%d},{price},{price + 1},{price + 2},{price - 1},{i},6,1,1,1,1"
            for i, day in enumerate(DAYS[: self.rows])
        ]
        count = min(len(params["fields2"].split(",")), self.columns)
        self.text = json.dumps(
            {"data": {"klines": [",".join(line.split(",")[:count]) for line in lines]}}
        )
        return self

    def json(self) -> Any:
        return json.loads(self.text)


@pytest.fixture
def eastmoney(monkeypatch: pytest.MonkeyPatch) -> Eastmoney:
    wire = Eastmoney()
    monkeypatch.setattr("requests.get", wire.get)
    return wire


class Baostock:
    """baostock's server, as its own results answer; open: logins without a logout."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fault = ("0", "")
        self.open = 0

    def login(self) -> Any:
        print("login success!")
        self.open += 1
        return self.answer([], "0", "")

    def logout(self) -> None:
        self.open -= 1

    def query_history_k_data_plus(self, code: str, fields: str, **asked: Any) -> Any:
        self.asked.append((code, fields, asked))
        rows = []
        for i, day in enumerate(DAYS):
            bar = [f"{100 + i}.0000"] * 4
            status = [["1", "0"][i == 3]] if "tradestatus" in fields else []
            rows.append([f"{day:%Y-%m-%d}", *bar, "" if i == 3 else "700", *status])
        return self.answer(rows, *self.fault)

    def answer(self, rows: list[list[str]], code: str, message: str) -> Any:
        from baostock.data.resultset import ResultData

        found = ResultData()
        found.data, found.error_code, found.error_msg = rows, code, message
        return found


@pytest.fixture
def baostock(monkeypatch: pytest.MonkeyPatch) -> Baostock:
    server = Baostock()
    for name in ("login", "logout", "query_history_k_data_plus"):
        monkeypatch.setattr(f"baostock.{name}", getattr(server, name))
    return server


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
    eastmoney: Eastmoney, tmp_path: Path
) -> None:
    asked = config("akshare", tmp_path, tickers=["000300.SH", 600519, "159915.SZ"], start=2024)
    prices = load_prices({**asked, "end": "2024-01-31", "adjust": "qfq"})
    table = prices.table.set_index("ticker")
    assert table.index.unique().tolist() == ["000300.SH", "159915.SZ", "600519.SH"]
    first = table[table["date"] == DAYS[0]]
    assert first["close"].tolist() == [301, 916, 520] and first["low"].tolist() == [299, 914, 518]
    assert [(one["secid"], one["fqt"]) for one in eastmoney.asked] == [
        ("1.000300", "0"),
        ("0.159915", "1"),
        ("1.600519", "1"),
    ]
    assert {(one["beg"], one["end"]) for one in eastmoney.asked} == {("20240101", "20240131")}
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
    service: str, eastmoney: Eastmoney, baostock: Baostock, tmp_path: Path
) -> None:
    load_prices(config(service, tmp_path, tickers=600519, end=None))
    yesterday = datetime.now(CHINA).date() - timedelta(days=1)
    if service == "akshare":
        assert eastmoney.asked[0]["end"] == f"{yesterday:%Y%m%d}"
    else:
        assert baostock.asked[0][2]["end_date"] == f"{yesterday}"


def test_nothing_is_downloaded_twice_and_each_adjustment_is_its_own(
    eastmoney: Eastmoney, tmp_path: Path
) -> None:
    first = load_prices(config("akshare", tmp_path, tickers=600519))
    again = load_prices(config("akshare", tmp_path, tickers="sh600519"))
    assert again.hash() == first.hash() and len(eastmoney.asked) == 1
    load_prices(config("akshare", tmp_path, tickers=600519, adjust="none"))
    assert [asked["fqt"] for asked in eastmoney.asked] == ["2", "0"]
    assert len(list(tmp_path.glob("akshare-*.json"))) == 2


def sentence(source: str, folder: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_prices(config(source, folder, **changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_fault_is_one_sentence(eastmoney: Eastmoney, baostock: Baostock, tmp_path: Path) -> None:
    eastmoney.rows = 2
    assert "akshare gave no or almost no prices for 600519.SH: it does not know" in sentence(
        "akshare", tmp_path, tickers=600519
    )
    eastmoney.columns = 7  # another form than the package knows
    assert "akshare gave no prices for 600519.SH: ValueError: Length mismatch" in sentence(
        "akshare", tmp_path, tickers=600519
    )
    baostock.fault = ("10002007", "网络接收错误。")
    assert "600519.SH: it cannot be reached from here; use the embedded" in sentence(
        "baostock", tmp_path, tickers=600519
    )
    baostock.fault = ("10004011", "日期格式不正确")
    assert "ValueError: 日期格式不正确" in sentence("baostock", tmp_path, tickers=600519)
    assert "data=akshare has" in sentence("baostock", tmp_path, tickers="830799")
    assert "data=baostock needs data.tickers" in sentence("baostock", tmp_path, tickers=[])
    assert not list(tmp_path.iterdir()) and baostock.open == 0


def test_columns_of_another_version_are_told(
    eastmoney: Eastmoney, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import akshare

    history = akshare.stock_zh_a_hist
    monkeypatch.setattr(
        akshare, "stock_zh_a_hist", lambda **asked: history(**asked).drop(columns="日期")
    )
    assert "open, close, high, low, volume" in sentence("akshare", tmp_path, tickers=600519)
    assert "without date: install another version" in sentence("akshare", tmp_path, tickers=600519)


@pytest.mark.parametrize("service", SERVICES)
def test_a_package_that_is_not_installed_is_named(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, service, None)
    told = sentence(service, tmp_path, tickers=600519)
    assert told == f"data={service} needs the package {service}: pip install 'upgate[{service}]'"

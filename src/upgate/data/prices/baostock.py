"""`data=baostock`: prices of China's shares and indices, without an account."""

import io
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from upgate.data.prices.china import FIELDS, Adjust, Code, load_china
from upgate.data.prices.parameters import Bad, Day, Suspicious, Tickers
from upgate.data.prices.table import Prices
from upgate.data.texts import say
from upgate.errors import UserError

ADJUST: dict[Adjust, str] = {"hfq": "1", "qfq": "2", "none": "3"}
WIRE = "10002"  # how its codes of failed connections begin
TRADED = "tradestatus"  # "0" on days of suspension, whose prices are the last day's


def load_baostock(
    tickers: Tickers = None,
    start: Day = None,
    end: Day = None,
    adjust: Adjust = "hfq",
    folder: Path | str = "data",
    refresh: bool = False,
    bad: Bad = "refuse",
    suspicious: Suspicious = None,
) -> Prices:
    """The prices of `tickers` from `start` to `end`, inclusive; volumes in shares.

    Raises UserError.
    """
    options = tickers, start, end, adjust, folder, refresh, bad, suspicious
    return load_china("baostock", ask_baostock, *options)


def ask_baostock(code: Code, first: date, last: date, adjust: Adjust) -> pd.DataFrame:
    """baostock's rows of one security, without days of suspension. Raises UserError."""
    if code.exchange == "BJ":
        raise UserError(say("no_beijing", code=str(code)))
    import baostock

    fields = FIELDS if code.kind == "index" else (*FIELDS, TRADED)
    with redirect_stdout(io.StringIO()):  # it says "login success!"
        _succeed(baostock.login())
        try:
            answer = _query(code, fields, first, last, adjust)
        finally:
            baostock.logout()
    rows = pd.DataFrame(answer, columns=list(fields))
    return rows if code.kind == "index" else rows[rows[TRADED] != "0"].drop(columns=TRADED)


def _query(
    code: Code,
    fields: tuple[str, ...],
    first: date,
    last: date,
    adjust: Adjust,
) -> list[list[str]]:
    """Its pages row by row, for its own `get_data` needs a pandas before 2."""
    import baostock

    answer = baostock.query_history_k_data_plus(
        f"{code.exchange.lower()}.{code.digits}",
        ",".join(fields),
        start_date=f"{first}",
        end_date=f"{last}",
        frequency="d",
        adjustflag=ADJUST[adjust],
    )
    _succeed(answer)
    rows = []
    while answer.next():
        rows.append(answer.get_row_data())
    _succeed(answer)  # of the last page
    return rows


def _succeed(answer: Any) -> None:
    """Raise an error with the service's own words where it failed."""
    if answer.error_code.startswith(WIRE):
        raise ConnectionError(answer.error_msg)
    if answer.error_code != "0":
        raise ValueError(answer.error_msg)

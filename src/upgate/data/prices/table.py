"""The canonical table of daily prices: what it holds, what is refused, and its identity."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from upgate.data.cleaning import TableCleaner
from upgate.data.prices.formats import (
    EVENTS,
    NUMBERS,
    find_price_columns,
    to_days,
    to_numbers,
    to_text,
    to_tickers,
)
from upgate.errors import UserError

PRICES = ("open", "high", "low", "close")
COLUMNS = ("ticker", "date", *NUMBERS)
# Relative: adjusted prices are off by 1e-15, float32 ones by 1e-7, the least real fault seen by
# 1.2e-5.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Prices:
    """Daily bars, sorted by (ticker, date), one row each; positive, low <= open, close <= high.

    `table`: ticker (str), date (datetime64[s], midnight), open high low close volume (float64;
    volume NaN where the source has none). `source`: a phrase that says where they came from.
    `dropped`: reason -> rows left out, if any.
    """

    table: pd.DataFrame
    source: str
    dropped: dict[str, int]

    def hash(self) -> str:
        """The sha256 of the values, in hex: the same on every machine and for every file format."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        codes, names = pd.factorize(self.table["ticker"], sort=True)
        digest = hashlib.sha256("\0".join([*COLUMNS, *names]).encode())
        digest.update(codes.astype("<i4").tobytes())
        digest.update(self.table["date"].to_numpy("datetime64[D]").astype("<i8").tobytes())
        for column in NUMBERS:
            values = self.table[column].to_numpy("<f8")
            unique = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, no -0.0
            digest.update(unique.tobytes())
        return digest.hexdigest()


class Bars(TableCleaner):
    """Rows of prices, named by ticker and day too."""

    def row_name(self, row: pd.Series) -> str:
        day = row["date"]
        if isinstance(day, pd.Timestamp):
            day = day.strftime("%Y-%m-%d")
        return f"{super().row_name(row)}, {row['ticker']} {day}"


def clean_prices(raw: pd.DataFrame, *, where: str, bad: str = "refuse") -> Prices:
    """The canonical table of a frame with any of the known column names and forms.

    `where` names the table in errors and becomes the source; its index names the rows.
    What is no price is dropped and counted: dividend, split, blank and incomplete rows, exact
    repeats. What cannot be right raises UserError, or is dropped and counted where `bad` is "drop":
    an unreadable date or number, no ticker, a price <= 0, a volume < 0, an impossible bar, two
    different bars of one day (both are dropped: nothing says which is right).
    """
    cleaner = name_rows(raw, where=where, bad=bad)
    check_bars(cleaner)
    return finish(cleaner)


def name_rows(raw: pd.DataFrame, *, where: str, bad: str, ticker: str = "") -> Bars:
    """Name the columns and parse each row's day and ticker; numbers stay raw.

    ticker: for a table without a column of tickers.
    """
    if bad not in ("refuse", "drop"):
        raise UserError(f"data.bad is '{bad}', but it can only be refuse or drop")
    positions = find_price_columns(raw.columns, where)
    frame = raw.iloc[:, list(positions.values())].set_axis(list(positions), axis=1)
    if "ticker" in frame:
        frame["ticker"] = to_tickers(frame["ticker"])
    else:
        frame["ticker"] = pd.Series(ticker, index=frame.index, dtype=str)
    frame = frame.assign(day=to_days(frame["date"])).reindex(columns=[*COLUMNS, "day"])
    cleaner = Bars(frame, where, bad)
    undated = frame["day"].isna().to_numpy()
    if undated.any():
        blank = undated.copy()
        blank[undated] = (frame.loc[undated, ["date", *PRICES]].apply(to_text) == "").all(axis=1)
        cleaner.drop(blank, "blank")
        cleaner.reject(
            undated[~blank],
            "unreadable date",
            lambda _: "no date, or not in the form of the others",
        )
    cleaner.frame = cleaner.frame.assign(date=cleaner.frame["day"])[list(COLUMNS)]
    cleaner.reject(
        (cleaner.frame["ticker"] == "").to_numpy(), "no ticker", lambda row: "the row has no ticker"
    )
    return cleaner


def check_bars(cleaner: Bars) -> None:
    """Make numbers of the price and volume columns and let only possible bars through."""
    read_numbers(cleaner)
    cleaner.drop(cleaner.frame[list(PRICES)].isna().any(axis=1).to_numpy(), "incomplete")
    cleaner.reject(
        (cleaner.frame[list(PRICES)] <= 0).any(axis=1).to_numpy(), "price <= 0", _describe_low
    )
    cleaner.reject(
        (cleaner.frame["volume"] < 0).to_numpy(),
        "volume < 0",
        lambda row: f"the volume {row['volume']:g} is below 0",
    )
    cleaner.reject(_impossible(cleaner.frame), "impossible bar", _describe_bar)


def read_numbers(cleaner: Bars) -> None:
    """Convert prices and volumes to float64; rows with text in them are events, or unreadable."""
    message = np.full(len(cleaner.frame), "", dtype=object)
    columns = {}
    for column in NUMBERS:
        columns[column], unread = to_numbers(cleaner.frame[column])
        if unread.any():
            cells = cleaner.frame.loc[unread, column].astype(str).str.strip()
            message[unread] += (f" {column} '" + cells + "'").to_numpy(object)
    cleaner.frame = cleaner.frame.assign(**columns)
    if not (message != "").any():
        return
    messages = pd.Series(message, index=cleaner.frame.index, dtype=str)
    cleaner.frame = cleaner.frame.assign(message=messages)
    for event, form in EVENTS.items():
        cleaner.drop(cleaner.frame["message"].str.contains(form, case=False).to_numpy(bool), event)
    cleaner.reject(
        (cleaner.frame["message"] != "").to_numpy(),
        "unreadable number",
        lambda row: f"not a number:{row['message']}",
    )
    cleaner.frame = cleaner.frame.drop(columns="message")


def _impossible(frame: pd.DataFrame) -> np.ndarray:
    o, h, l, c = (frame[column].to_numpy() for column in PRICES)
    return (
        (np.minimum(o, c) < l * (1 - ROUNDING))
        | (np.maximum(o, c) > h * (1 + ROUNDING))
        | (l > h * (1 + ROUNDING))
    )


def _describe_low(row: pd.Series) -> str:
    column = next(column for column in PRICES if row[column] <= 0)
    return (
        f"{column} is {row[column]:g}, "
        "but a price is above 0 (not so in forward-adjusted or padded data)"
    )


def _describe_bar(row: pd.Series) -> str:
    o, h, l, c = (f"{row[column]:.10g}" for column in PRICES)
    return f"open {o} and close {c} do not both lie between low {l} and high {h}"


def finish(cleaner: Bars) -> Prices:
    """Sort, drop repeats, and make the `Prices`."""
    codes, _ = pd.factorize(cleaner.frame["ticker"], sort=True)
    order = np.lexsort((cleaner.frame["date"].to_numpy(), codes))
    cleaner.frame = cleaner.frame.iloc[order]
    key: Any = ["ticker", "date"]
    if cleaner.frame.duplicated(key).any():
        cleaner.drop(cleaner.frame.duplicated(list(COLUMNS)).to_numpy(), "repeated")
        twice = cleaner.frame.duplicated(key, keep=False).to_numpy()
        cleaner.reject(
            twice, "two bars of one day", lambda row: "this day occurs twice, with different values"
        )
    if cleaner.frame.empty:
        why = ", ".join(f"{count} {reason}" for reason, count in cleaner.dropped.items())
        raise UserError(
            f"{cleaner.where} holds no row of prices" + (f" (dropped: {why})" if why else "")
        )
    return Prices(cleaner.frame.reset_index(drop=True), cleaner.where, dict(cleaner.dropped))

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
    find_columns,
    to_days,
    to_numbers,
    to_text,
    to_tickers,
)
from upgate.errors import UserError

PRICES = ("open", "high", "low", "close")
COLUMNS = ("ticker", "date", *NUMBERS)
ROUNDING = 1e-6  # relative: adjusted prices are off by 1e-15, float32 ones by 1e-7, the least real fault seen by 1.2e-5


@dataclass(frozen=True, eq=False)
class Prices:
    """Daily bars, sorted by (ticker, date), one row each, every price positive, low <= open, close <= high.

    `table`: ticker (str), date (datetime64[s], midnight), open high low close volume (float64; volume NaN where the
    source has none). `source`: a phrase that says where they came from. `dropped`: reason -> rows left out, if any.
    """

    table: pd.DataFrame
    source: str
    dropped: dict[str, int]

    def hash(self) -> str:
        """Return the sha256 of the values, in hex: the same on every machine, for every file that holds these prices."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        codes, names = pd.factorize(self.table["ticker"], sort=True)
        digest = hashlib.sha256("\0".join([*COLUMNS, *names]).encode())
        digest.update(codes.astype("<i4").tobytes())
        digest.update(self.table["date"].to_numpy("datetime64[D]").astype("<i8").tobytes())
        for column in NUMBERS:
            values = self.table[column].to_numpy("<f8")
            digest.update(
                np.where(np.isnan(values), np.nan, values + 0.0).tobytes()
            )  # one NaN, no -0.0
        return digest.hexdigest()


class Bars(TableCleaner):
    """Rows of prices, named by ticker and day too."""

    def place(self, row: pd.Series) -> str:
        day = (
            row["date"].strftime("%Y-%m-%d")
            if isinstance(row["date"], pd.Timestamp)
            else row["date"]
        )
        return f"{super().place(row)}, {row['ticker']} {day}"


def clean(raw: pd.DataFrame, *, where: str, bad: str = "refuse") -> Prices:
    """Return the canonical table of a frame with any of the known column names and forms.

    `where` names the table in errors and becomes the source; its index names the rows.
    What is no price is dropped and counted: dividend, split, blank and incomplete rows, exact repeats. What cannot be
    right raises `UserError`, or is dropped and counted where `bad` is "drop": an unreadable date or number, no ticker, a
    price <= 0, a volume < 0, an impossible bar, two different bars of one day (both go: nothing says which is right).
    """
    sieve = name_rows(raw, where=where, bad=bad)
    check_bars(sieve)
    return finish(sieve)


def name_rows(raw: pd.DataFrame, *, where: str, bad: str, ticker: str = "") -> Bars:
    """Name the columns, give every row its day and its ticker (`ticker` where the table has none); numbers stay raw."""
    if bad not in ("refuse", "drop"):
        raise UserError(f"data.bad is '{bad}', but it can only be refuse or drop")
    places = find_columns(raw.columns, where)
    frame = raw.iloc[:, list(places.values())].set_axis(list(places), axis=1)
    frame["ticker"] = (
        to_tickers(frame["ticker"])
        if "ticker" in frame
        else pd.Series(ticker, index=frame.index, dtype=str)
    )
    frame = frame.assign(day=to_days(frame["date"])).reindex(columns=[*COLUMNS, "day"])
    sieve = Bars(frame, where, bad)
    undated = frame["day"].isna().to_numpy()
    if undated.any():
        blank = undated.copy()
        blank[undated] = (frame.loc[undated, ["date", *PRICES]].apply(to_text) == "").all(axis=1)
        sieve.drop(blank, "blank")
        sieve.reject(
            undated[~blank],
            "unreadable date",
            lambda _: "no date, or not in the form of the others",
        )
    sieve.frame = sieve.frame.assign(date=sieve.frame["day"])[list(COLUMNS)]
    sieve.reject(
        (sieve.frame["ticker"] == "").to_numpy(), "no ticker", lambda row: "the row has no ticker"
    )
    return sieve


def check_bars(sieve: Bars) -> None:
    """Make numbers of the price and volume columns and let only possible bars through."""
    read_numbers(sieve)
    sieve.drop(sieve.frame[list(PRICES)].isna().any(axis=1).to_numpy(), "incomplete")
    sieve.reject((sieve.frame[list(PRICES)] <= 0).any(axis=1).to_numpy(), "price <= 0", _tell_low)
    sieve.reject(
        (sieve.frame["volume"] < 0).to_numpy(),
        "volume < 0",
        lambda row: f"the volume {row['volume']:g} is below 0",
    )
    sieve.reject(_impossible(sieve.frame), "impossible bar", _tell_bar)


def read_numbers(sieve: Bars) -> None:
    """Make float64 of the price and volume columns; rows with text in them are events, or cannot be read."""
    told = np.full(len(sieve.frame), "", dtype=object)
    columns = {}
    for column in NUMBERS:
        columns[column], unread = to_numbers(sieve.frame[column])
        if unread.any():
            cells = sieve.frame.loc[unread, column].astype(str).str.strip()
            told[unread] += (f" {column} '" + cells + "'").to_numpy(object)
    sieve.frame = sieve.frame.assign(**columns)
    if not (told != "").any():
        return
    sieve.frame = sieve.frame.assign(told=pd.Series(told, index=sieve.frame.index, dtype=str))
    for event, form in EVENTS.items():
        sieve.drop(sieve.frame["told"].str.contains(form, case=False).to_numpy(bool), event)
    sieve.reject(
        (sieve.frame["told"] != "").to_numpy(),
        "unreadable number",
        lambda row: f"not a number:{row['told']}",
    )
    sieve.frame = sieve.frame.drop(columns="told")


def _impossible(frame: pd.DataFrame) -> np.ndarray:
    o, h, l, c = (frame[column].to_numpy() for column in PRICES)
    return (
        (np.minimum(o, c) < l * (1 - ROUNDING))
        | (np.maximum(o, c) > h * (1 + ROUNDING))
        | (l > h * (1 + ROUNDING))
    )


def _tell_low(row: pd.Series) -> str:
    column = next(column for column in PRICES if row[column] <= 0)
    return f"{column} is {row[column]:g}, but a price is above 0 (not so in forward-adjusted or padded data)"


def _tell_bar(row: pd.Series) -> str:
    o, h, l, c = (f"{row[column]:.10g}" for column in PRICES)
    return f"open {o} and close {c} do not both lie between low {l} and high {h}"


def finish(sieve: Bars) -> Prices:
    """Sort, take out repeats, and make the `Prices`."""
    codes, _ = pd.factorize(sieve.frame["ticker"], sort=True)
    order = np.lexsort((sieve.frame["date"].to_numpy(), codes))
    sieve.frame = sieve.frame.iloc[order]
    key: Any = ["ticker", "date"]
    if sieve.frame.duplicated(key).any():
        sieve.drop(sieve.frame.duplicated(list(COLUMNS)).to_numpy(), "repeated")
        twice = sieve.frame.duplicated(key, keep=False).to_numpy()
        sieve.reject(
            twice, "two bars of one day", lambda row: "this day occurs twice, with different values"
        )
    if sieve.frame.empty:
        why = ", ".join(f"{count} {reason}" for reason, count in sieve.dropped.items())
        raise UserError(
            f"{sieve.where} holds no row of prices" + (f" (dropped: {why})" if why else "")
        )
    return Prices(sieve.frame.reset_index(drop=True), sieve.where, dict(sieve.dropped))

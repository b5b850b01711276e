"""Bars that jump as no market does: slips of the decimal mark, other units, unadjusted splits.

One such day can make 97% of a squared error. They cannot be told from real moves with certainty, so
they are named, and dropped or accepted at the user's word.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from upgate.data.prices.features import Floats, Panel
from upgate.data.texts import say
from upgate.messages import joined

DEVIATIONS = 15  # robust ones, 1.4826 times the median absolute deviation of the daily returns
LEAST = 0.05  # of a log return: a pegged currency's deviation is nearly 0
LONGEST = 10  # days in which a jump must be undone to count as one
UNDONE = 0.25  # of the jump, that may be left of it
FACTORS = np.array([2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100, 1000], float)
NEAR = 0.06  # of a log ratio: a split's day has a market move too
HALF = np.log(1.5)  # the least distance of a suspicious open, high or low from its close
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Suspicious:
    """Masks of rows, (N,), and each one's factor.

    `reversed`: a jump that is undone. `lasting`: the first day of a ratio near a whole number that
    stays. `within`: an open, high or low far from its close. `factor`: of the close over the one
    before the jump, or of the odd price over the close; 1 elsewhere.
    """

    reversed: np.ndarray
    lasting: np.ndarray
    within: np.ndarray
    factor: Floats

    def any(self) -> np.ndarray:
        return self.reversed | self.lasting | self.within

    def of(self, rows: np.ndarray) -> "Suspicious":
        """Those of the rows of a mask, (N,)."""
        return Suspicious(
            self.reversed[rows], self.lasting[rows], self.within[rows], self.factor[rows]
        )


def find_suspicious(table: pd.DataFrame) -> Suspicious:
    """The suspicious bars of a canonical price table."""
    panel = Panel.of(table)
    step = np.nan_to_num(np.log(panel.close / panel.past(panel.close)))
    limit = _limits(panel, step)
    jumps = np.flatnonzero(np.abs(step) > limit)
    masks = np.zeros((3, len(step)), dtype=bool)
    found = Suspicious(masks[0], masks[1], masks[2], np.ones(len(step)))
    overnight = np.nan_to_num(np.log(panel.open / panel.past(panel.close)))
    for row in jumps.tolist():
        if found.reversed[row] or found.reversed[row - 1]:
            continue
        end = _undone(step, limit, row, int(panel.first[panel.ticker[row] + 1]))
        if end:
            found.reversed[row:end] = True
            found.factor[row:end] = np.exp(step[row])
        elif _is_whole(step[row]) or (_is_whole(overnight[row]) and step[row] * overnight[row] > 0):
            found.lasting[row] = True
            found.factor[row] = np.exp(step[row])
    _mark_within(panel, limit, found)
    return found


def _limits(panel: Panel, step: Floats) -> Floats:
    """The size, (N,), from which a ticker's log return is suspicious."""
    limits = np.empty(len(panel.tickers))
    for i in range(len(panel.tickers)):
        own = step[panel.first[i] + 1 : panel.first[i + 1]]
        spread = np.median(np.abs(own - np.median(own))) if len(own) else 0.0
        limits[i] = max(DEVIATIONS * 1.4826 * spread, LEAST)
    return limits[panel.ticker]


def _undone(step: Floats, limit: Floats, row: int, stop: int) -> int:
    """The row on which a jump is undone, 0 if it lasts."""
    for end in range(row + 1, min(row + LONGEST + 1, stop)):
        left = abs(step[row : end + 1].sum())
        if abs(step[end]) > limit[end] and left < UNDONE * abs(step[row]):
            return end
    return 0


def _is_whole(log_ratio: float) -> bool:
    return bool(np.abs(np.log(FACTORS) - abs(log_ratio)).min() < NEAR)


def _mark_within(panel: Panel, limit: Floats, found: Suspicious) -> None:
    """Mark bars with an open, high or low beyond the limit of both its own and the last close."""
    before = np.where(np.isfinite(panel.past(panel.close)), panel.past(panel.close), panel.close)
    for prices in (panel.open, panel.high, panel.low):
        own, last = np.log(prices / panel.close), np.log(prices / before)
        least = np.maximum(limit, HALF)
        odd = (np.abs(own) > least) & (np.abs(last) > least) & (own * last > 0) & ~found.any()
        found.within[odd] = True
        found.factor[odd] = np.exp(own[odd])


def describe_bars(table: pd.DataFrame, found: Suspicious) -> list[str]:
    """A sentence for each kind, with ticker, day and factor of the largest ones."""
    kinds = (
        (found.reversed, "jumps_back", "leave_out"),
        (found.lasting, "jumps_stay", "leave_out_before"),
        (found.within, "odd_within", "leave_out"),
    )
    sentences: list[str] = []
    for mask, what, drop in kinds:
        rows = np.flatnonzero(mask)
        if len(rows):
            largest = rows[np.argsort(-np.abs(np.log(found.factor[rows])), kind="stable")]
            names = [_name_bar(table, found, row) for row in sorted(largest[:SHOWN])]
            more = [say("and_n_more", n=len(rows) - SHOWN)] if len(rows) > SHOWN else []
            count = say("one_suspicious" if len(rows) == 1 else "many_suspicious", n=len(rows))
            listed = joined([*names, *more], "sentences")
            parts = {"count": count, "what": say(what), "names": listed, "drop": say(drop)}
            sentences.append(say("suspicious", **parts))
    return sentences


def _name_bar(table: pd.DataFrame, found: Suspicious, row: int) -> str:
    factor = found.factor[row]
    larger, near = factor > 1, ""
    if found.lasting[row]:
        whole = FACTORS[np.abs(np.log(FACTORS) - abs(np.log(factor))).argmin()]
        near = say("near_times" if larger else "near_part", n=f"{whole:g}")
    return say(
        "times_usual" if larger else "part_of_usual",
        bar=f"{table['ticker'].iloc[row]} {table['date'].iloc[row]:%Y-%m-%d}",
        size=f"{factor if larger else 1 / factor:.3g}",
        usual=say("the_close" if found.within[row] else "before_it"),
        near=near,
    )


def before_last_jump(table: pd.DataFrame, found: Suspicious) -> np.ndarray:
    """The rows, (N,), of each ticker before its last lasting jump: they are in other units."""
    row = pd.Series(np.where(found.lasting, np.arange(len(table)), -1), index=table.index)
    last = row.groupby(table["ticker"]).transform("max").to_numpy()
    return np.arange(len(table)) < last

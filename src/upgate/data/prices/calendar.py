"""The trading days to come, as the days of a price table tell them: no exchange is asked."""

import numpy as np
import pandas as pd

YEARS = 10  # of the past that tell a holiday
LEAST = 3  # times that a day of that name must have come round


def next_days(days: pd.Series, count: int) -> pd.DatetimeIndex:
    """The `count` days after the last of these that one expects to be traded.

    They fall on weekdays of the last year's trading, and on no day of the year, nor third or last
    Monday of a month and its like, that came round three times and was never traded. What moves
    otherwise, such as Easter or the lunar new year, is taken for a trading day.
    """
    last = days.max()
    known = pd.DatetimeIndex(days[days > last - pd.DateOffset(years=YEARS)])
    week = np.unique(known[known > last - pd.DateOffset(years=1)].day_of_week)
    past = _on(week, pd.date_range(known.min(), last))
    ahead = _on(week, pd.date_range(last + pd.Timedelta(days=1), periods=14 * count + 21))
    closed = ~past.isin(known)
    holiday = np.zeros(len(ahead), bool)
    for was, comes in zip(_recurrences(past), _recurrences(ahead), strict=True):
        size = max(was.max(), comes.max()) + 1
        seen, missed = np.bincount(was, minlength=size), np.bincount(was, closed, size)
        holiday |= ((seen >= LEAST) & (missed == seen))[comes]
    return ahead[~holiday][:count]


def _on(week: np.ndarray, days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return days[np.isin(days.day_of_week, week)]


def _recurrences(days: pd.DatetimeIndex) -> list[np.ndarray]:
    """A number for each name of a day: 4 July, third Monday of January, last Monday of May."""
    weekday = 100 * days.month + 10 * days.day_of_week
    counts = (days.day - 1) // 7, (days.days_in_month - days.day) // 7
    return [np.asarray(100 * days.month + days.day), *(np.asarray(weekday + n) for n in counts)]

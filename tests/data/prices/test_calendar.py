"""The days to come that a price table's own days tell."""

import numpy as np
import pandas as pd
import pytest

from upgate.data.prices.calendar import next_days
from upgate.data.prices.sources import load_prices


def test_days_of_the_embedded_index_are_told_before_they_come() -> None:
    """Most weeks without a mistake, and more than weekdays alone tell."""
    table = load_prices({"source": "sp500", "start": None, "end": None, "bad": "refuse"}).table
    days, right, weekdays = table["date"], [], []
    for i in range(2500, len(days) - 5, 25):
        came = days[i : i + 5].tolist()
        right.append(next_days(days[:i], 5).tolist() == came)
        weekdays.append(pd.bdate_range(days[i - 1], periods=6)[1:].tolist() == came)
    assert len(right) == 102 and np.mean(right) > 0.94 > 0.9 > np.mean(weekdays)
    after = [f"{day:%m-%d}" for day in next_days(days, 5)]  # the table ends on 31 December
    assert after == ["01-02", "01-03", "01-04", "01-07", "01-08"]


@pytest.mark.parametrize("week", [range(7), range(5), (6, 0, 1, 2, 3), (2,)])
@pytest.mark.parametrize("length", [1, 40, 2000])
def test_a_market_keeps_its_weekdays(week: range, length: int) -> None:
    days = pd.date_range("2010-02-03", periods=7 * length).to_series()  # a Wednesday
    days = days[days.dt.day_of_week.isin(list(week))]
    told = next_days(days, 30)
    assert len(told) == 30 and (np.diff(told) > np.timedelta64(0)).all()
    assert told[0] > days.max() and set(told.day_of_week) == set(week)
    every = pd.date_range(days.max(), told[-1], inclusive="right")
    assert list(told) == list(every[every.day_of_week.isin(list(week))])

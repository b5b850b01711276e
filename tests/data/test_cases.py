"""The files of ../shared/data/cases: each was once read wrong, and has its right value here."""

import numpy as np
import pytest

from helpers.project import SHARED_DATA, needs_shared_data
from upgate.data.prices.reader import read_prices
from upgate.data.reviews.reader import read_reviews
from upgate.errors import UserError

pytestmark = needs_shared_data
CASES = SHARED_DATA / "cases"

# name -> first day, first close, number of bars, words of the warnings
PRICES = {
    "binance_open_time_ms.csv": ("2019-10-22", 59.99, 6, ()),
    "comment_lines_on_top.csv": ("2019-10-22", 59.99, 6, ()),
    "cr_line_ends.csv": ("2019-10-22", 59.99, 6, ()),
    "date_31_May_2019.csv": ("2019-10-22", 59.99, 6, ()),
    "decimal_comma_three_places_fx.tsv": ("2019-10-22", 0.750, 260, ()),
    "decimal_slip_one_day.csv": ("2019-10-22", 59.99, 260, ("2020-10-05, 103 times",)),
    "one_ticker_in_year_files": ("2019-10-22", 59.99, 260, ("one ticker, AAA",)),
    "panel_one_dead_ticker.csv": ("2020-01-17", 79.68, 400, ("no column of volumes",)),
    "pence_then_pounds_five_days.csv": (
        "2019-10-22",
        59.99,
        260,
        ("5 suspicious bars", "2020-09-28, 1/97.7", "2020-10-02, 1/97.7"),
    ),
    "plain_ok.csv": ("2019-10-22", 59.99, 200, ()),
    "records.json": ("2019-10-22", 59.99, 6, ()),
    "semicolon_decimal_point.csv": ("2019-10-22", 59.99, 6, ()),
    "tokyo_days_in_utc.csv": ("2019-10-22", 59.99, 260, ("the day after the written one",)),
    "unadjusted_split_4for1.csv": ("2019-10-22", 239.96, 241, ("2020-08-31, 1/3.87", "split")),
    "unix_seconds.csv": ("2019-10-22", 59.99, 6, ()),
    "volume_named_Volume_BTC.csv": ("2019-10-22", 59.99, 260, ()),
    "yfinance_flattened_tuple_columns.csv": ("2019-10-22", 59.99, 6, ()),
}


@pytest.mark.parametrize("name", PRICES)
def test_price_files(name):
    day, close, bars, words = PRICES[name]
    prices = read_prices(CASES / name)
    first = prices.table.iloc[0]
    assert (f"{first['date']:%Y-%m-%d}", first["close"], len(prices.table)) == (day, close, bars)
    assert (prices.table["date"].dt.day_of_week < 5).all()
    if name not in ("panel_one_dead_ticker.csv", "decimal_comma_three_places_fx.tsv"):
        assert first["volume"] == 82293600
    said = " ".join(prices.warnings)
    assert all(word in said for word in words)
    assert bool(said) == bool(words)


REFUSED = {
    "hourly_bars.csv": (read_prices, "bars within a day .6 on 2019-10-22.; daily ones are needed"),
    "reviews.xlsx": (read_reviews, "a workbook of Excel.*; save it as csv"),
    "multi_label_toxic.csv": (read_reviews, "'comment_text', 'toxic'.*data.label"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_of_another_kind_get_one_sentence(name):
    read, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence):
        read(CASES / name)


REVIEWS = {
    "traditional_chinese_big5.csv": ("房間很髒，態度差，失望0", "negative", 80),
    "japanese_shift_jis.csv": ("部屋が汚くて最悪でした0", "negative", 80),
    "fasttext_labels.txt": ("The phone was boring and felt boring 89", "negative", 80),
    "headerless_label_in_third_of_four.csv": (
        "The phone was boring and felt boring 89",
        "negative",
        80,
    ),
    "rare_class_stars.csv": ("The phone was boring and felt boring 89", "1", 80),
}


@pytest.mark.parametrize("name", REVIEWS)
def test_review_files(name):
    text, label, rows = REVIEWS[name]
    reviews = read_reviews(CASES / name)
    first = reviews.table.iloc[0]
    assert (first["text"], reviews.classes[first["label"]]) == (text, label)
    assert len(reviews.table) == rows


def test_columns_of_a_headerless_file_are_named_by_their_numbers():
    path = CASES / "headerless_label_in_third_of_four.csv"
    named = read_reviews(path, text=3, label=2)
    assert named.hash() == read_reviews(path).hash()
    assert named.classes == ("negative", "neutral", "positive", "irrelevant")


def test_suspicious_bars_are_dropped_or_accepted_at_the_users_word():
    slip, split = CASES / "decimal_slip_one_day.csv", CASES / "unadjusted_split_4for1.csv"
    for word in ({"bad": "drop"}, {"suspicious": "drop"}):
        clean = read_prices(slip, **word)
        assert (clean.dropped, clean.warnings, clean.suspicious) == ({"suspicious": 1}, (), 0)
        assert clean.table["close"].max() < 200
    accepted = read_prices(slip, suspicious="accept")
    assert (accepted.dropped, accepted.warnings, accepted.suspicious) == ({}, (), 1)
    assert accepted.hash() == read_prices(slip).hash()
    after = read_prices(split, suspicious="drop")
    assert f"{after.table['date'].min():%Y-%m-%d}" == "2020-08-31"
    assert after.dropped == {"before a lasting jump": 241 - len(after.table)}
    assert np.abs(np.diff(np.log(after.table["close"]))).max() < 0.1

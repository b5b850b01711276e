"""What the page of a run shows of made-up shares: numbers beside colours, and data escaped."""

import re
from dataclasses import replace

import numpy as np
import pytest

from helpers.explained import explained_forecast, explained_text, translators
from helpers.report import EVIL, outline
from upgate.page.html import join
from upgate.report.texts import report_translator
from upgate.tasks.account import shaded, signed_share, strongest
from upgate.tasks.sentiment.explain import Word, merge_words
from upgate.tasks.sentiment.explained import review
from upgate.tasks.stock.explained import one_forecast

both = pytest.mark.parametrize("language", ["en", "zh"])


@both
def test_text_of_data_is_escaped(language: str) -> None:
    w = translators(language)
    evil = explained_text(f"Not {EVIL} bad")
    evil = replace(evil, words=[Word(4, 4 + len(EVIL), 1.0, -1.0)])
    for html in (
        review(evil, w["sentiment"]),
        one_forecast(explained_forecast(), True, w["stock"]),
    ):
        assert EVIL not in html and "&lt;script&gt;" in html
        outline(html)


@both
def test_a_words_number_stands_in_its_title_its_list_and_the_table(language: str) -> None:
    html = review(explained_text(), translators(language)["sentiment"])
    assert 'title="Not −0.5"' in html and 'title="bad +2"' in html
    assert "bad\N{NO-BREAK SPACE}+2; Not" in html.replace("；", "; ")
    assert '<td class="n">−0.5</td>' in html
    assert 'class="against" style="--share:12%"' in html and "--share:50%" in html
    marked = re.findall(r'<p class="marked">(.*?)</p>', html)
    assert ["".join(outline(one).text) for one in marked] == ["Not bad at all"] * 2
    totals = re.findall(r"<tr>.*?</tr>", html)
    assert any("+3" in row and "−1" in row for row in totals)  # 1 + 0.5 - 0.5 + 2, and -1


@both
def test_a_day_of_the_picture_stands_in_its_table(language: str) -> None:
    html = one_forecast(explained_forecast(), False, translators(language)["stock"])
    found = outline(html)
    pictures = [a for a in found.named("div") if a.get("role") == "img"]
    assert len(pictures) == 2
    assert all("2020‑01‑09\N{NO-BREAK SPACE}+11" in (p["aria-label"] or "") for p in pictures)
    assert all(f"{day:%Y-%m-%d}" in html for day in explained_forecast().days)
    bars = [a for a in found.named("rect") if "fill-opacity" not in a]
    assert [a["class"] for a in bars[:5]] == ["against", "against", "for", "for", "for"]


def test_tokens_of_one_character_are_one_word() -> None:
    places = [(0, 1), (0, 1), (0, 1), (1, 4), (5, 6)]
    words = merge_words(places, np.arange(5.0), -np.arange(5.0))
    assert words == [Word(0, 1, 3.0, -3.0), Word(1, 4, 3.0, -3.0), Word(5, 6, 4.0, -4.0)]


def test_shares_of_nothing_are_neither_named_nor_shaded() -> None:
    w = report_translator("en")
    assert strongest(["a", "b"], [0.0, 0.0], w) == w("share_none")
    assert join(shaded("a", 0.0, 0.0)) == "<span>a</span>"
    assert [signed_share(x) for x in (0.0, 1.0, -1.0)] == ["0", "+1", "−1"]

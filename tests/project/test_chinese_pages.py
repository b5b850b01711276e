"""A page in Chinese says what its English page does: the same commands, code and figures."""

import re
from collections import Counter
from pathlib import Path

import pytest

from helpers.project import REPO

CHINESE = ".zh-CN.md"
PAGES = sorted((REPO / "docs").rglob(f"*{CHINESE}"))
BLOCK = re.compile(r"^(`{3,4})\w*\n.*?^\1$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s*#.*")
FIGURE = re.compile(r"\d+(?:[.,]\d+)+")


def english_of(page: Path) -> str:
    return page.with_name(page.name.replace(CHINESE, ".md")).read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    """The fenced blocks, without comments."""
    return [COMMENT.sub("", found[0]) for found in BLOCK.finditer(text)]


@pytest.mark.skipif(not PAGES, reason="no docs: not a checkout")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_both_languages_have_the_same_code_and_link_each_other(page: Path) -> None:
    text, english = page.read_text(encoding="utf-8"), english_of(page)
    assert blocks(text) == blocks(english)
    assert f"({page.name})" in english and f"({page.name.replace(CHINESE, '.md')})" in text


def test_the_results_have_the_same_figures() -> None:
    page = REPO / "docs" / "results" / f"README{CHINESE}"
    if not page.exists():
        pytest.skip("no docs: not a checkout")
    text, english = page.read_text(encoding="utf-8"), english_of(page)
    assert Counter(FIGURE.findall(text)) == Counter(FIGURE.findall(english))

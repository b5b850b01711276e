"""Texts of pages and terminal: both languages, equal fields, all used, a word for each idea."""

import re
from collections.abc import Mapping
from pathlib import Path
from string import Formatter

import pytest

import upgate
import upgate.cli.commands as cli
import upgate.study.options as study
import upgate.tune.options as tune
from helpers.project import REPO
from upgate.errors import UserError
from upgate.messages import LANGUAGES, Messages, in_language, load_texts
from upgate.page.translations import Translator
from upgate.study.scenarios import SCENARIOS

SOURCE = Path(upgate.__file__).parent
FILES = sorted(SOURCE.rglob("translations.yaml"))
MADE = re.compile(  # keys that the code puts together
    r"(helps|hurts|equivalent|undecided)$|scale_(log|plain)$|said_\w+|setting_\w+"
    r"|claim_(scores|less|excess|linear|beyond)$|claim_in_\w+"
    r"|tune_(grid|random|sobol|tpe|complete|pruned|diverged|failed)$"
    r"|over_(dates|items)$"
    r"|(one|many)_\w+|(dropped|part|column|status|heading|expected)_\S+|cut_(head|tail|both)$"
    r"|(refused|instead|noun|input|property|over_label|role|fact|scenario)_\S+"
    r"|(verdict|better|it|they|sampler|state|edge|test)_\w+|(beyond|over)_(dates|items)$"
)

TERMS = {  # English -> the one Chinese term, and the other words for it that no text uses
    "equivalent": ("等效", ("等价", "相当于")),
    "baseline": ("基线", ("基准", "对照组")),
    "twin": ("孪生对照", ()),
    "recipe": ("配方", ("方案", "食谱")),
    "engagement": ("生效", ("参与度",)),
}
CHINESE = ("README.zh-CN.md", "docs/cluster.zh-CN.md", "docs/verdicts.zh-CN.md")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def source_of(path: Path) -> str:
    """The code that uses the texts of a file: its folder; all code for the texts of every page."""
    folder = SOURCE if path.parent.name == "page" else path.parent  # SOURCE's own: all too
    return "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.py"))


def test_files_are_found() -> None:
    assert {path.parent.name for path in FILES} >= {"page", "report", "stock", "sentiment"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_text_is_there_in_all_languages_with_the_same_fields(path: Path) -> None:
    texts = load_texts(path)
    assert texts
    for key, languages in texts.items():
        assert list(languages) == list(LANGUAGES), key
        assert all(isinstance(text, str) and text for text in languages.values()), key
        english, chinese = map(fields, languages.values())
        assert english == chinese, key


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_text_is_used(path: Path) -> None:
    source = source_of(path)
    unused = {key for key in load_texts(path) if not re.search(f"[\"']{key}[\"']", source)}
    assert {key for key in unused if not MADE.match(key)} == set()


NAMED = {  # texts of the code's own, and the names that it puts before them to find a translation
    "cli": ("instead", cli.REFUSED.values()),
    "experiment": ("instead", [*tune.REFUSED.values(), *study.REFUSED.values()]),
    "study": ("scenario", [scenario.name for scenario in SCENARIOS]),
}


@pytest.mark.parametrize("folder", NAMED)
def test_every_name_of_the_codes_own_has_a_text(folder: str) -> None:
    texts = Messages(SOURCE / folder / "translations.yaml")
    prefix, names = NAMED[folder]
    assert not [name for name in names if in_language(texts.of(prefix, name), "zh") == name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_each_term_has_one_chinese_word(path: Path) -> None:
    for key, texts in load_texts(path).items():
        english = re.sub(r"\{\w+\}", "", texts["en"]).lower()
        for term, (chinese, others) in TERMS.items():
            if re.search(rf"\b{term}s?\b", english):
                assert chinese in texts["zh"], f"{key}: {term} is {chinese}"
            assert not any(other in texts["zh"] for other in others), f"{key}: {term} is {chinese}"


@pytest.mark.skipif(not (REPO / CHINESE[0]).exists(), reason="not a checkout")
@pytest.mark.parametrize("name", CHINESE)
def test_chinese_pages_use_the_words_of_the_report(name: str) -> None:
    page = (REPO / name).read_text(encoding="utf-8")
    for term, (chinese, others) in TERMS.items():
        assert not [other for other in others if other in page], f"{term} is {chinese}"
    assert page.count("孪生") == page.count("孪生对照")
    if name == CHINESE[0]:
        report = load_texts(SOURCE / "report" / "translations.yaml")
        for verdict in ("helps", "hurts", "equivalent", "undecided"):
            assert f"*{report[verdict]['zh']}*（{verdict}" in page
        assert all(chinese in page for chinese, _ in TERMS.values())


def write(path: Path, texts: Mapping[str, str]) -> Path:
    lines = [f"{key}: {{en: {text}, zh: {text}}}" for key, text in texts.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_language_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"report\.language=cn is not a choice"):
        Translator("cn")


def test_a_task_adds_its_own_texts_and_repeats_none(tmp_path: Path) -> None:
    w = Translator("en").extended(write(tmp_path / "own.yaml", {"own": "my text"}))
    assert w("own") == "my text" and w("numbers") == Translator("en")("numbers")
    twice = w.extended(write(tmp_path / "twice.yaml", {"own": "x", "numbers": "y"}))
    with pytest.raises(ValueError, match=r"twice\.yaml repeats the keys numbers, own"):
        twice("own")
    with pytest.raises(KeyError):
        w("no such text")


def test_chinese_sentences_follow_without_a_space() -> None:
    assert Translator("en").sentences("One.", "", "Two.") == "One. Two."
    assert Translator("zh").sentences("一。", "二。") == "一。二。"

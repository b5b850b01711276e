"""The generated reviews, read by a reader who knows the words but not how a review was made."""

import hashlib
import re
from functools import cache
from random import Random

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers.project import REPO
from upgate.data.reviews.formats import clean_text
from upgate.data.reviews.generator import Grammar
from upgate.data.reviews.lexicon import RULES
from upgate.data.reviews.sources import load_reviews
from upgate.data.reviews.table import Reviews
from upgate.errors import UserError

CONF = REPO / "conf" / "data" / "reviews.yaml"
DEFAULT = yaml.safe_load(CONF.read_text())
LANGUAGES = ["english", "chinese"]


@cache
def default(language: str = "english", **changes) -> Reviews:
    return load_reviews({**DEFAULT, "language": language, **changes})


def part(reviews: Reviews, split: str) -> pd.DataFrame:
    return reviews.table[reviews.table["split"] == split].reset_index(drop=True)


# ---- a reader: finds the sentence with the verdict by connectives, the sentiment by words, and
# turns it at a denial


SPEECH = {
    "english": re.compile(rf"\b({'|'.join(RULES['english']['says'])}) that\b"),
    "chinese": re.compile("(?<![会来])说(?!实话)|告诉我们|写道|一直在讲|声称"),
}
DENIAL = {
    "english": re.compile(r"\b(not|by no means|never|anything but|nobody|hardly)\b", re.IGNORECASE),
    "chinese": re.compile("不|没有"),
}
AFTER = re.compile(
    "^Even so, |^即便如此，|, but |, and yet |，但是|，然而|，可"
)  # what follows decides
BEFORE = re.compile(", although |, even though |，虽然|，尽管")  # what precedes decides
CONCEDED = re.compile("^(?:Although|Even though|虽然|尽管)[^,，]*[,，] ?")


def words(language: str, sign: str) -> set[str]:
    return {word for name, some in RULES[language].items() if name.endswith(sign) for word in some}


def finder(language: str) -> re.Pattern[str]:
    both = sorted(words(language, "+") | words(language, "-"), key=len, reverse=True)
    edge = r"\b" if language == "english" else ""
    return re.compile(f"{edge}({'|'.join(both)}){edge}")


def own(text: str, language: str) -> list[tuple[int, str]]:
    """The reviewer's own sentences with a sentiment, each with its end in the text."""
    ends = [match.end() for match in re.finditer(r"\.|。", text)]
    sentences = [
        (end, text[start:end].strip()) for start, end in zip([0, *ends], ends, strict=False)
    ]
    return [
        (end, s)
        for end, s in sentences
        if finder(language).search(s) and not SPEECH[language].search(s)
    ]


def decides(sentence: str) -> str:
    """The clause of a sentence that decides."""
    sentence = CONCEDED.sub("", BEFORE.split(sentence)[0])
    return AFTER.split(sentence)[-1]


def read(text: str, language: str) -> int:
    """0 or 1; a verdict after "even so" goes before all others, which must agree."""
    sentences = [sentence for _, sentence in own(text, language)]
    last = [s for s in sentences if s.startswith(("Even so", "即便如此"))]
    found = {sentiment(decides(s), language) for s in last or sentences}
    assert len(found) == 1, text
    return found.pop()


def sentiment(clause: str, language: str) -> int:
    (word,) = finder(language).findall(clause)
    return int((word in words(language, "+")) != bool(DENIAL[language].search(clause)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_true_label_is_what_a_reader_finds(language):
    table = default(language, noise=0.0).table.iloc[:1500]
    assert [read(text, language) for text in table["text"]] == table["label"].tolist()


@pytest.mark.parametrize(("language", "least"), [("english", 20), ("chinese", 30)])
def test_the_verdict_is_often_far_from_the_end(language, least):
    count = (lambda text: len(text.split())) if language == "english" else len
    gaps = [
        count(text[own(text, language)[-1][0] :])
        for text in default(language).table["text"].iloc[:500]
    ]
    assert np.median(gaps) >= least
    assert max(gaps) <= 2.5 * np.median(gaps)


# ---- pairs


NARROW = {
    "film": ["it"],
    "craft": ["the acting"],
    "tale": ["the story"],
    "mild+": ["good"],
    "mild-": ["bad"],
}
SCHMAL = {"film": ["全片"], "craft": ["演技"], "tale": ["剧情"], "mild+": ["好"], "mild-": ["差"]}


def texts(language: str, symbol: str, positive: bool) -> set[str]:
    grammar = Grammar({**RULES[language], **(NARROW if language == "english" else SCHMAL)})
    draw = Random(1).random
    return {grammar.write(symbol, positive, draw) for _ in range(12_000)}


@pytest.mark.parametrize(
    ("language", "symbol", "positive", "negative"),
    [
        ("english", "clause_film", "It was good", "It was not good at all"),
        ("english", "clause_film", "It was anything but bad", "It was bad"),
        (
            "english",
            "contrast",
            "The acting was bad, but it was good",
            "The acting was good, but it was bad",
        ),
        (
            "english",
            "contrast",
            "The acting was bad, but the story was good",
            "The acting was bad, although the story was good",
        ),
        (
            "english",
            "contrast",
            "Although the acting was bad, it was good",
            "The acting was bad, even though the story was good",
        ),
        ("chinese", "clause_film", "全片很好", "全片一点也不好"),
        ("chinese", "clause_film", "全片并不差", "全片很差"),
        ("chinese", "contrast", "虽然演技很差，但是全片很好", "虽然演技很好，但是全片很差"),
        ("chinese", "contrast", "尽管演技很差，可剧情很好", "演技很差，尽管剧情很好"),
    ],
)
def test_a_denial_or_another_connective_turns_the_label(language, symbol, positive, negative):
    good, bad = texts(language, symbol, True), texts(language, symbol, False)
    assert positive in good - bad
    assert negative in bad - good


# ---- the corpus


@pytest.mark.parametrize("language", [*LANGUAGES, "both"])
def test_shape(language):
    reviews = default(language)
    assert reviews.table.columns.tolist() == ["text", "label", "split"]
    assert reviews.table["label"].dtype == np.int64
    assert reviews.table["split"].value_counts(sort=False).to_dict() == {
        "train": 4000,
        "test": 2000,
    }
    assert reviews.table["text"].is_unique
    assert reviews.classes == ("negative", "positive")
    assert (reviews.dropped, language in reviews.source) == ({}, True)
    for _, rows in reviews.table.groupby("split"):
        assert abs(rows["label"].mean() - 0.5) < 4 * 0.5 / len(rows) ** 0.5


@pytest.mark.parametrize(
    ("language", "low", "high"), [("english", 0, 0), ("both", 0.45, 0.55), ("chinese", 1, 1)]
)
def test_languages(language, low, high):
    chinese = default(language).table["text"].str.contains("[\u4e00-\u9fff]")
    assert low <= chinese.mean() <= high
    assert not default(language).table["text"][chinese].str.contains(" ").any()


def test_reading_and_cleaning_leaves_a_text_as_it_is():
    assert all(clean_text(text) == text for text in default("both").table["text"])


def test_noise_flips_its_share_of_labels_and_the_ceiling_is_what_is_left():
    true = default(noise=0.0)
    assert true.ceiling == 1
    for noise in (0.05, 0.2, 0.5):
        noisy = default(noise=noise)
        flipped = noisy.table["label"] != true.table["label"]
        assert noisy.table["text"].equals(true.table["text"])
        for split in ("train", "test"):
            share = flipped[noisy.table["split"] == split].mean()
            assert abs(share - noise) < 4 * (noise * (1 - noise) / 2000) ** 0.5
        assert noisy.ceiling == pytest.approx(
            (part(noisy, "test")["label"] == part(true, "test")["label"]).mean(), abs=1e-12
        )


def test_a_larger_training_part_begins_as_the_smaller_one_and_the_test_part_stays():
    small, large = default(train=500), default()
    assert part(small, "train").equals(part(large, "train")[:500])
    assert part(small, "test").equals(part(large, "test"))


def test_the_same_bytes_on_every_machine():
    table = load_reviews({**DEFAULT, "language": "both", "train": 200, "test": 100}).table
    lines = "\n".join(f"{row.split}\t{row.label}\t{row.text}" for row in table.itertuples())
    assert (
        hashlib.sha256(lines.encode()).hexdigest()
        == "5b988fbbc23f7311ab4f8080b5e0595937d86cb9f8060115e34dc442173e9978"
    )


def test_another_seed_is_another_corpus():
    assert not set(default().table["text"]) & set(default(seed=1).table["text"])


# ---- words on the command line


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("noise", 2, "data.noise=2 must be between 0 and 0.5"),
        ("noise", "low", "data.noise=low must be a number"),
        ("train", 0, "data.train=0 must be 1 or more"),
        ("test", 1.5, "data.test=1.5 must be a whole number"),
        ("seed", -1, "data.seed=-1 must be 0 or more"),
        ("language", "chines", "data.language=chines is not a choice, did you mean 'chinese'?"),
        ("nose", 0.1, "unknown key data.nose, did you mean 'noise'?"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(key, value, said):
    with pytest.raises(UserError, match=f"^{re.escape(said)}$"):
        load_reviews({**DEFAULT, key: value})


def test_the_choice_is_a_small_file_with_the_source_first():
    assert list(DEFAULT) == ["source", "language", "train", "test", "noise", "seed"]
    assert DEFAULT["source"] == "reviews"

"""The references of reviews: what they must learn, that they see the training part alone, that they
are the same twice.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from helpers.project import SHARED_DATA, needs_shared_reviews
from upgate.data.reviews.baselines import linear, majority
from upgate.files import write_atomic

ENGLISH = [
    "good film",
    "not good film",
    "bad film",
    "not bad film",
    "a good plot",
    "a plot not good",
    "bad plot",
    "plot not bad",
] * 5
SIGNS = np.array([1, 0, 0, 1, 1, 0, 0, 1] * 5)


def random_texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{i}" for i in row) for row in rng.zipf(1.3, (n, 12)).clip(max=5000)]


def test_majority_is_the_training_frequencies() -> None:
    got = majority(np.array([2, 0, 2, 2]), 4, 3)
    assert got.dtype == np.float64 and got.tolist() == [[0.25, 0, 0.75, 0]] * 3
    assert majority(np.array([0, 1]), 2, 0).shape == (0, 2)


def test_two_grams_tell_what_words_cannot() -> None:
    got = linear(
        ENGLISH, SIGNS, ["good film", "not good film", "bad film", "not bad film"], 2, None
    )
    assert got.shape == (4, 2) and got.dtype == np.float64
    assert got.argmax(axis=1).tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("texts", "new"),
    [
        (["这个酒店很好", "房间不好"], ["真的很好", "服务不好"]),  # 好 alone says nothing
        (["I don't like it", "I do like it"], ["don't", "do"]),
        (["great!", "great?"], ["so!", "so?"]),
        (["🙂", "🙁"], ["it 🙂", "it 🙁"]),
        (["!!!", "..."], ["!", "."]),
        (["It is GOOD", "It is BAD"], ["good", "bad"]),
    ],
)
def test_chinese_characters_apostrophes_marks_and_emoji_are_read(
    texts: list[str], new: list[str]
) -> None:
    got = linear(texts * 3, np.array([0, 1] * 3), new, 2, None)
    assert got.argmax(axis=1).tolist() == [0, 1]


def test_probabilities_sum_to_1_and_average_to_the_frequencies_in_training() -> None:
    texts, y = random_texts(400, 0), np.random.default_rng(1).choice(3, 400, p=[0.6, 0.3, 0.1])
    got = linear(texts, y, texts, 3, None)
    np.testing.assert_allclose(got.sum(axis=1), 1)
    np.testing.assert_allclose(
        got.mean(axis=0), np.bincount(y) / 400, atol=1e-5
    )  # the intercept's normal equation: an optimum


def test_a_class_without_training_reviews_gets_0() -> None:
    got = linear(
        ["a good one", "a bad one"] * 3, np.array([0, 3] * 3), ["good", "bad", "neither"], 5, None
    )
    assert (got[:, [1, 2, 4]] == 0).all() and got.argmax(axis=1)[:2].tolist() == [0, 3]


def test_what_is_predicted_for_one_text_does_not_depend_on_the_other_new_ones() -> None:
    texts, y = random_texts(200, 0), np.arange(200) % 2
    new = random_texts(20, 1)
    alone = np.concatenate([linear(texts, y, [text], 2, None) for text in new[:3]])
    assert (linear(texts, y, [*new, "never seen words"], 2, None)[:3] == alone).all()
    unknown = linear(texts, y, ["never seen words", "other ones"], 2, None)
    assert (unknown[0] == unknown[1]).all()  # nothing known is in them: the intercept's answer


def test_the_same_numbers_twice_and_with_any_number_of_threads() -> None:
    texts, y = (
        random_texts(4000, 0),
        np.random.default_rng(1).integers(0, 2, 4000),
    )  # enough features for BLAS to split its sums
    got = []
    for threads in (1, 2, 1):
        with threadpool_limits(threads):
            got.append(linear(texts, y, texts[:50], 2, None))
    assert (got[0] == got[1]).all() and (got[0] == got[2]).all()


def test_the_cache_is_written_once_and_read_after(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    first = linear(ENGLISH, SIGNS, ["good", "bad"], 2, folder)
    names = sorted(path.name for path in folder.iterdir())  # no partial file is left
    assert [name.rpartition(".")[2] for name in names] == ["sha256", "npy", "lock"]
    file = folder / names[1]
    assert (np.load(file) == first).all() and (
        first == linear(ENGLISH, SIGNS, ["good", "bad"], 2, None)
    ).all()
    write_atomic(file, lambda opened: np.save(opened, first + 1), hashed=True)
    assert (linear(ENGLISH, SIGNS, ["good", "bad"], 2, folder) == first + 1).all()


def test_whatever_the_numbers_depend_on_names_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flipped = 1 - SIGNS
    asked = [
        (ENGLISH, SIGNS, ["good", "bad"], 2),
        (ENGLISH, flipped, ["good", "bad"], 2),
        (ENGLISH, SIGNS, ["bad", "good"], 2),
        (ENGLISH, SIGNS, ["good bad"], 2),
        (ENGLISH[::-1], SIGNS, ["good", "bad"], 2),
        (ENGLISH, SIGNS, ["good", "bad"], 3),
    ]
    for repeat in range(2):
        for texts, y, new, classes in asked:
            got = linear(texts, y, new, classes, tmp_path)
            assert (
                got.shape == (len(new), classes)
                and (got == linear(texts, y, new, classes, None)).all()
            )
        assert len(list(tmp_path.glob("*.npy"))) == len(asked), f"in round {repeat}"
    monkeypatch.setattr("upgate.data.reviews.baselines.LOGISTIC", {"C": 1, "solver": "newton-cg"})
    linear(*asked[0], tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == len(asked) + 1


@needs_shared_reviews
@pytest.mark.parametrize(
    ("name", "column", "score"),
    [("sst2_sentence", "sentence", 0.8221), ("chnsenticorp_split", "text", 0.9242)],
)
def test_on_real_reviews_it_gets_what_is_published_of_bags_of_words(
    name: str, column: str, score: float
) -> None:
    table = pd.read_parquet(SHARED_DATA / "sentiment" / f"{name}.parquet")
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    got = linear(
        train[column].tolist(), train["label"].to_numpy(np.int64), test[column].tolist(), 2, None
    )
    assert (got.argmax(axis=1) == test["label"]).mean() == pytest.approx(score, abs=0.003)

"""Tokens depend on the training texts and nothing else, are cached whole, and come out as padded
batches.
"""

import json
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from helpers.project import SHARED_DATA
from upgate.data.reviews import tokenizer as module
from upgate.data.reviews.tokenizer import (
    PADDING,
    UNKNOWN,
    Corpus,
    Keep,
    Kind,
    cached_tokenizer,
    fit_tokenizer,
    token_batches,
    token_spans,
    tokenize,
    vocabulary_size,
)
from upgate.errors import UserError

KINDS = ("words", "subwords")
SIZE = 300  # tokens: small, so that some words are unknown


def texts(n: int, seed: int = 0) -> list[str]:
    """Made-up reviews of 1 to 60 words, the first words frequent and the last ones rare; every
    fifth is Chinese.
    """
    draw = Random(seed)
    english = [
        "the",
        "movie",
        "not",
        "good",
        "don't",
        "it's",
        "!",
        "bad.",
        "(8/10)",
        "GREAT",
        "\t",
        *(f"w{i}ord" for i in range(400)),
    ]
    chinese = [*"的是不好房间酒店很差服务，。！", "ok", " "]

    def one(i: int) -> str:
        words, blank = (chinese, "") if i % 5 == 4 else (english, " ")
        return blank.join(
            words[int(len(words) * draw.random() ** 3)] for _ in range(draw.randint(1, 60))
        )

    return [one(i) for i in range(n)]


def words(tokenizer: str, text: str) -> list[str]:
    return Tokenizer.from_str(tokenizer).encode(text).tokens


def lists(corpus: Corpus) -> list[list[int]]:
    return [part.tolist() for part in np.split(corpus.tokens, corpus.ends[1:-1])]


# ---- the vocabulary


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I DON'T like it!", ["i", "don't", "like", "it", "!"]),
        ("I don’t; it isn`t?!", ["i", "don't", ";", "it", "isn't", "?", "!"]),
        ("do n't", ["do", "n't"]),  # SST's way
        ("The movie's fine: we'll see", ["the", "movie", "'s", "fine", ":", "we", "'ll", "see"]),
        ("8/10, they've", ["8", "/", "10", ",", "they", "'ve"]),
        ("rock'n'roll 'sup", ["rock", "'", "n", "'", "roll", "'", "sup"]),
        (
            "Ｇｏｏｄ！café naïve",
            ["good", "!", "café", "naïve"],
        ),  # full-width letters and marks are the usual ones; accents stay
        ("房间很大，不好。ok啦", [*"房间很大", ",", *"不好。", "ok", "啦"]),
        (
            "\ue420\u200b 好\t\x07",
            ["\ue420", "好"],
        ),  # a private emoji stays, what cannot be seen goes
        ("[PAD]", ["[", "pad", "]"]),
    ],
)
def test_words_are_words_marks_and_single_chinese_characters(text: str, tokens: list[str]) -> None:
    assert words(fit_tokenizer([text], "words", 100), text) == tokens


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_unknown_come_first_and_no_text_can_write_padding(kind: str) -> None:
    tokenizer = fit_tokenizer([*texts(200), "[PAD] [UNK]"] * 2, kind, SIZE)
    fitted = Tokenizer.from_str(tokenizer)
    assert (fitted.token_to_id("[PAD]"), fitted.token_to_id("[UNK]")) == (PADDING, UNKNOWN)
    assert vocabulary_size(tokenizer) == SIZE
    assert sorted(fitted.get_vocab().values()) == list(range(SIZE))
    corpus = tokenize(tokenizer, ["[PAD]", "a [PAD] b", *texts(50, 1)], 512, None)
    assert corpus.tokens.min() > PADDING and corpus.tokens.max() < SIZE


def test_words_are_the_most_frequent_and_ties_go_by_code_point() -> None:
    shuffled = ["d d d", "c b a", "好 z", "y"]
    vocabulary = json.loads(fit_tokenizer(shuffled, "words", 7))["model"]["vocab"]
    assert sorted(vocabulary, key=vocabulary.__getitem__) == [
        "[PAD]",
        "[UNK]",
        "d",
        "a",
        "b",
        "c",
        "y",
    ]
    assert fit_tokenizer(shuffled[::-1], "words", 7) == fit_tokenizer(shuffled, "words", 7)


def test_subwords_know_everything_and_remember_blanks() -> None:
    tokenizer = fit_tokenizer(["not able"] * 9 + ["notable"] * 9 + ["很好吃"] * 9, "subwords", 300)
    assert words(tokenizer, "not able") == ["Ġnot", "Ġable"] and words(tokenizer, "Notable") == [
        "Ġnotable"
    ]
    assert len(words(tokenizer, "很好吃")) == 1  # subwords of Chinese are phrases
    odd = "ﷺ Ω 🦆 зло"
    assert UNKNOWN not in tokenize(tokenizer, [odd], 99, None).tokens
    ids = tokenize(tokenizer, ["Not able, 🦆 很好"], 99, None).tokens.tolist()
    letters = "".join(Tokenizer.from_str(tokenizer).id_to_token(i) for i in ids)
    assert letters == "".join(words(tokenizer, "not able, 🦆 很好"))


@pytest.mark.parametrize(("kind", "least"), [("words", 3), ("subwords", 258)])
def test_a_vocabulary_that_cannot_be_is_refused(kind: str, least: int) -> None:
    assert vocabulary_size(fit_tokenizer(["good"], kind, least)) == least
    with pytest.raises(
        UserError,
        match=f"{least - 1} is too small for the tokenizer {kind}; set task.vocabulary to {least}",
    ):
        fit_tokenizer(["good"], kind, least - 1)


def fingerprints() -> list[str]:
    told = []
    for kind in KINDS:
        tokenizer = fit_tokenizer(texts(2000), kind, SIZE)
        tokens = tokenize(tokenizer, texts(500, 1), 40, None).tokens
        told.append(sha256(tokenizer.encode() + tokens.tobytes()).hexdigest())
    return told


def test_the_same_texts_give_the_same_tokenizer_in_every_process() -> None:
    changed = {"PYTHONHASHSEED": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-c", "import test_tokenizer; print(*test_tokenizer.fingerprints())"]
    done = subprocess.run(
        command,
        env={**os.environ, **changed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == fingerprints() == fingerprints()


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_texts_leave_no_trace(kind: str) -> None:
    """The leak test: whatever the other texts are, the tokenizer and the training part's tokens are
    the same bits.
    """
    training = texts(300)

    def made(others: list[str]) -> tuple[str, list[list[int]]]:
        table = [*training, *others]
        tokenizer = fit_tokenizer(table[: len(training)], kind, SIZE)
        return tokenizer, lists(tokenize(tokenizer, table, 40, None))[: len(training)]

    assert made(texts(100, 1)) == made(["zebra zebra zebra 斑马"] * 50) == made([])


# ---- the corpus


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_the_tokenizers_own_first_ones(kind: str) -> None:
    tokenizer, new = (
        fit_tokenizer(texts(300), kind, SIZE),
        [*texts(300, 1), "  two  blanks ", "a\u00a0b\u3000c", "\u0301a e\u0301"],
    )
    fitted = Tokenizer.from_str(tokenizer)
    for most in (1, 7, 512):
        corpus = tokenize(tokenizer, new, most, None)
        expected = [fitted.encode(text).ids[:most] for text in new]
        assert lists(corpus) == [ids if set(ids) - {UNKNOWN} else [UNKNOWN] for ids in expected]
        assert (
            corpus.tokens.dtype == np.int32
            and corpus.ends.dtype == np.int64
            and corpus.ends[0] == 0
        )
        assert (
            corpus.lengths.tolist() == np.diff(corpus.ends).tolist()
            and corpus.lengths.dtype == torch.int64
        )


def test_a_text_without_a_known_token_is_one_unknown() -> None:
    tokenizer = fit_tokenizer(["good bad"], "words", 4)
    corpus = tokenize(tokenizer, ["", " ", "\x07", "yes no maybe", "yes good", "no good"], 2, None)
    assert lists(corpus)[:4] == [[UNKNOWN]] * 4
    assert [len(ids) for ids in lists(corpus)] == [1, 1, 1, 1, 2, 2]


def test_the_cache_gives_the_fresh_result_memory_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, reviews, folder = (
        fit_tokenizer(texts(300), "words", SIZE),
        texts(100, 1),
        tmp_path / "new" / "folder",
    )
    fresh = tokenize(tokenizer, reviews, 40, None)
    for corpus in (
        tokenize(tokenizer, reviews, 40, folder),
        tokenize(tokenizer, reviews, 40, folder),
    ):
        assert isinstance(corpus.tokens, np.memmap)
        assert np.array_equal(corpus.tokens, fresh.tokens) and np.array_equal(
            corpus.ends, fresh.ends
        )
    files = sorted(folder.glob("*.npy"))
    assert [path.name.split(".")[1:] for path in files] == [["ends", "npy"], ["tokens", "npy"]]
    before = [path.stat().st_mtime_ns for path in files]
    corpus.tokens[:] = 0  # a private view: the file does not change
    assert np.array_equal(tokenize(tokenizer, reviews, 40, folder).tokens, fresh.tokens)
    assert before == [path.stat().st_mtime_ns for path in files]
    files[0].unlink()  # killed between the two files
    reader, first = np.load(files[1], mmap_mode="r"), files[1].stat().st_ino
    assert lists(tokenize(tokenizer, reviews, 40, folder)) == lists(fresh)
    assert files[1].stat().st_ino != first and np.array_equal(
        reader, fresh.tokens
    )  # whoever reads keeps the file that was


def test_whatever_changes_the_tokens_changes_the_key(tmp_path: Path) -> None:
    one, two = fit_tokenizer(["good bad"], "words", 3), fit_tokenizer(["good bad"], "words", 4)
    for tokenizer, reviews, most in (
        (one, ["a", "bc"], 9),
        (two, ["a", "bc"], 9),
        (one, ["a", "bc"], 8),
        (one, ["ab", "c"], 9),
    ):
        before = len(list(tmp_path.glob("*.npy")))
        tokenize(tokenizer, reviews, most, tmp_path)
        assert len(list(tmp_path.glob("*.npy"))) == before + 2


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError,
        match=r"the tokens cannot be stored in .*file.* give another folder, as in cache=",
    ):
        tokenize(fit_tokenizer(["good"], "words", 9), ["good"], 9, tmp_path / "file" / "folder")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    tokenizer = fit_tokenizer(texts(300), "words", SIZE)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (1000, limit[1])
    )  # bytes a file: writing fails midway
    try:
        with pytest.raises(UserError, match="cannot be stored"):
            tokenize(tokenizer, texts(300), 40, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list(tmp_path.iterdir())


def written(folder: Path | None) -> list[int]:
    """Return the sums of ten corpora's tokens."""
    tokenizer, reviews = fit_tokenizer(texts(300), "words", SIZE), texts(1000, 1)
    return [int(tokenize(tokenizer, reviews, most, folder).tokens.sum()) for most in range(20, 30)]


def test_processes_that_write_at_once_leave_whole_files(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, test_tokenizer; input();"
        "print(test_tokenizer.written(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin and other.stdout
        other.stdin.write("\n")
        other.stdin.close()
        while not any(tmp_path.iterdir()) and other.poll() is None:
            time.sleep(0.001)
        # it has begun: now both write
        ours = written(tmp_path)
        told = other.stdout.read()
    assert ours == written(None) and told == f"{ours}\n"
    assert len(list(tmp_path.iterdir())) == 40 and all(
        path.suffix == ".npy" or path.name.endswith(".npy.sha256") for path in tmp_path.iterdir()
    )


FORKED = """
import os
from upgate.data.reviews.tokenizer import fit_tokenizer, tokenize
reviews = [f"word{i} {i}" for i in range(9999)]
tokenizer = fit_tokenizer(reviews, "words", 99)
def work():
    assert len(tokenize(tokenizer, reviews, 9, None).ends) == 10000
work()
child = os.fork()
work()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_neither_warns_nor_hangs() -> None:
    """As the library is by itself: with TOKENIZERS_PARALLELISM=true set, the child of a fork hangs
    (0.23.3).
    """
    unset = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-c", FORKED], env=unset, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- batches


def test_a_batch_is_padded_to_its_longest(tmp_path: Path) -> None:
    reviews = texts(60)
    corpus = tokenize(fit_tokenizer(reviews, "words", SIZE), reviews, 40, tmp_path)
    labels = torch.arange(60) % 2
    expected = [
        torch.from_numpy(ids)
        for ids in np.split(np.array(corpus.tokens, np.int64), corpus.ends[1:-1])
    ]
    for rows in torch.randperm(60, generator=torch.Generator().manual_seed(0)).split(7):
        batch = token_batches(corpus, labels)(rows)
        x = torch.nn.utils.rnn.pad_sequence(
            [expected[row] for row in rows], batch_first=True, padding_value=PADDING
        )
        assert (
            batch["x"].dtype == batch["lengths"].dtype == batch["y"].dtype == torch.int64
            and batch["x"].is_contiguous()
        )
        assert torch.equal(batch["x"], x)
        assert torch.equal(batch["lengths"], (x != PADDING).sum(dim=1)) and torch.equal(
            batch["lengths"], corpus.lengths[rows]
        )
        assert torch.equal(batch["y"], labels[rows]) and torch.equal(batch["row"], rows)
    assert set(batch) == {"x", "lengths", "y", "row"}


# ---- real reviews


@pytest.mark.parametrize(
    ("file", "coverage"),
    [pytest.param("imdb_50k", 0.95, marks=pytest.mark.long), ("chnsenticorp_split", 0.99)],
)
def test_real_reviews(file: str, coverage: float) -> None:
    if not (path := SHARED_DATA / "sentiment" / f"{file}.parquet").exists():
        pytest.skip(f"{path.name} is not in ../shared/data/sentiment")
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(path, columns=["split", "text"])
    training, new = (
        table.text[table.split == split][:2000].tolist() for split in ("train", "test")
    )
    tokenizer = fit_tokenizer(training, "words", 20_000)
    corpus = tokenize(tokenizer, new, 512, None)
    encoded = Tokenizer.from_str(tokenizer).encode_batch_fast(new)
    assert lists(corpus) == [one.ids[:512] for one in encoded]  # in no text is every word unknown
    assert (corpus.tokens != UNKNOWN).mean() > coverage and corpus.lengths.min() >= 1
    vocabulary = Tokenizer.from_str(tokenizer).get_vocab()
    assert {"!", "?", *(("not", "don't", "bad") if file == "imdb_50k" else "不没好差")} <= set(
        vocabulary
    )
    assert all(len(word) == 1 for word in vocabulary if "\u4e00" <= word[0] <= "\u9fff")


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_is_fitted_once_for_its_texts_and_settings(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[int] = []

    def counted(*given: Any) -> str:
        fits.append(1)
        return fit_tokenizer(*given)

    monkeypatch.setattr(module, "fit_tokenizer", counted)
    same = [cached_tokenizer(texts(50), kind, SIZE, tmp_path) for _ in range(2)]
    assert same == [fit_tokenizer(texts(50), kind, SIZE)] * 2 and len(fits) == 1
    for given, size in ((texts(50, seed=1), SIZE), (texts(50), SIZE + 1)):
        found = cached_tokenizer(given, kind, size, tmp_path)
        assert found == fit_tokenizer(given, kind, size)
    assert len(fits) == 3


@pytest.mark.parametrize(
    ("keep", "expected"), [("head", "abcde"), ("tail", "fghij"), ("both", "aghij")]
)
def test_which_tokens_of_a_long_text_are_kept(keep: Keep, expected: str, tmp_path: Path) -> None:
    text = "a b c d e f g h i j"
    tokenizer = fit_tokenizer([text], "words", 99)
    letters = Tokenizer.from_str(tokenizer).id_to_token
    for folder in (None, tmp_path, tmp_path):
        corpus = tokenize(tokenizer, [text, "a b"], 5, folder, keep)
        assert "".join(map(letters, corpus.tokens[:5].tolist())) == expected
        assert corpus.lengths.tolist() == [5, 2]


HARD = ["½ ｇｏｏｄ… 👍🏽 don't", "好，很GOOD！", "zzz zzz"]
HARD += [" a\u200bb  the ", "\ue000 ㎏ é e\u0301"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", ["head", "tail", "both"])
@pytest.mark.parametrize("most", [7, 500])
def test_each_token_that_is_read_has_its_place_in_the_text(
    kind: Kind, keep: Keep, most: int
) -> None:
    fitted, shown = fit_tokenizer(texts(200), kind, SIZE), [*texts(30, seed=1), *HARD]
    spans = token_spans(fitted, shown, most, keep)
    tokens = lists(tokenize(fitted, shown, most, None, keep))
    assert list(map(len, spans)) == list(map(len, tokens))
    own, compared = Tokenizer.from_str(fitted), 0
    for text, places, ids in zip(shown, spans, tokens, strict=True):
        assert all(0 <= start <= end <= len(text) for start, end in places)
        assert places == sorted(places)
        for (start, end), token in zip(places, ids, strict=True):
            if kind == "words" and token > UNKNOWN and text.isascii():
                assert text[start:end].lower() == own.id_to_token(token)
                compared += 1
    assert kind == "subwords" or compared > 100

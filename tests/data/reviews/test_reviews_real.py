"""The real review files of ../shared/data: every row is read, or dropped for a reason, or refused
in a sentence.
"""

import gzip
import tarfile
import time
import zipfile
from functools import cache

import pandas as pd
import pytest

from helpers.project import SHARED_DATA, needs_shared_data
from upgate.data.reviews.reader import read_reviews, read_texts
from upgate.data.reviews.table import Reviews, leaked
from upgate.errors import UserError

pytestmark = needs_shared_data

RAW, SENTIMENT = SHARED_DATA / "raw", SHARED_DATA / "sentiment"

FILES = {  # rows of each class; rows left out
    "ChnSentiCorp_htl_all.csv.gz": ([2443, 5322], {"no text": 1}),
    "aclImdb_sample_200.tar.gz": ([100, 100], {}),
    "chnsenticorp_train_quote_trap.tsv.gz": ([4801, 4799], {}),
    "glue_sst2_dev.tsv": ([428, 444], {}),
    "uci_imdb_labelled_nel_quote_trap.txt": ([500, 500], {}),
}
PARQUET = {  # rows of each split; rows left out; test or validation texts that are in train too
    "chnsenticorp_split": (
        {"train": 9600, "validation": 1200, "test": 1200},
        {},
        {"validation": 338, "test": 331},
    ),
    "imdb_50k": ({"train": 25000, "test": 25000}, {}, {"test": 123}),
    "mr_rt_polarity": ({}, {}, {}),
    "sst2_glue": ({"train": 67349, "validation": 872}, {"unlabelled": 1821}, {"validation": 0}),
    "sst2_sentence": (
        {"train": 6920, "validation": 872, "test": 1821},
        {},
        {"validation": 0, "test": 2},
    ),
}


@cache
def parquet(name: str) -> Reviews:
    return read_reviews(SENTIMENT / f"{name}.parquet")


@pytest.mark.parametrize("name", FILES)
def test_real_raw_files(name):
    reviews = read_reviews(RAW / name)
    counts, dropped = FILES[name]
    assert reviews.table["label"].value_counts().sort_index().tolist() == counts
    assert (reviews.classes, reviews.dropped) == (("negative", "positive"), dropped)


def test_every_raw_file_of_text_is_named_here():
    texts = {
        path.name
        for path in RAW.iterdir()
        if not path.name.startswith(("yahoo", "yfinance", "sandp", "MANIFEST"))
    }
    assert texts == {*FILES, "glue_sst2_test_no_labels.tsv"}


@pytest.mark.parametrize(
    "name",
    [
        "glue_sst2_test_no_labels.tsv",
        "sandp_5yr_DHR_with_nan.csv",
        "yfinance_multiheader_EURUSD_zero_volume.csv",
    ],
)
def test_a_file_without_labels_gets_one_sentence(name):
    with pytest.raises(
        UserError, match=rf"{name} has no labels, only .* name their column with data\.label="
    ) as caught:
        read_reviews(RAW / name)
    assert "\n" not in str(caught.value)


def test_glues_test_file_can_be_predicted():
    texts = read_texts(RAW / "glue_sst2_test_no_labels.tsv")
    assert len(texts) == 1821
    assert texts[0] == "uneasy mishmash of styles and genres ."


@pytest.mark.parametrize("name", PARQUET)
def test_real_parquet_files(name):
    splits, dropped, leaks = PARQUET[name]
    reviews = parquet(name)
    table = reviews.table
    assert (reviews.classes, reviews.dropped) == (("negative", "positive"), dropped)
    assert len(table) + sum(dropped.values()) == len(
        pd.read_parquet(SENTIMENT / f"{name}.parquet", columns=[])
    )
    assert (table["text"] != "").all()
    assert (
        not table["text"]
        .str.contains(r"<br|[\x00-\x1f\x7f-\xa0\ufeff\u3000]|  |&#\d+;|^ | $")
        .any()
    )
    if splits:
        texts = {split: rows["text"].tolist() for split, rows in table.groupby("split", sort=False)}
        assert {split: len(rows) for split, rows in texts.items()} == splits
        assert {split: int(leaked(texts["train"], texts[split]).sum()) for split in leaks} == leaks


@pytest.mark.long
def test_imdb_in_good_time():
    started = time.process_time()
    parquet.__wrapped__("imdb_50k")
    assert time.process_time() - started < 6  # 1.9 s


def test_the_next_line_mark_is_the_ellipsis_it_stands_for():
    texts = read_reviews(RAW / "uci_imdb_labelled_nel_quote_trap.txt").table["text"]
    assert texts.str.contains("The script is…was there a script?", regex=False).sum() == 1
    assert texts.str.contains('"').sum() == 43  # quotes are the writers', and stay


def test_quoted_fields_with_commas_lose_their_quotes_only():
    texts = read_reviews(RAW / "ChnSentiCorp_htl_all.csv.gz").table["text"]
    assert texts[0].startswith('距离川沙公路较近,但是公交指示不对,如果是"蔡陆线"的话')
    with gzip.open(RAW / "ChnSentiCorp_htl_all.csv.gz", "rt", encoding="utf-8-sig") as file:
        expected = pd.read_csv(file)[
            "review"
        ].dropna()  # quoted as it should be: pandas reads it too
    usual = ~expected.str.contains(r"&#|[\x00-\x1f\x7f-\x9f\xad\u200b\ufeff]").to_numpy()
    assert usual.sum() > 7500
    assert (
        texts[usual].str.split().str.join("").tolist()
        == expected[usual].str.split().str.join("").tolist()
    )


def test_the_same_reviews_from_files_of_many_kinds_have_the_same_hash(tmp_path):
    table = pd.read_parquet(SENTIMENT / "chnsenticorp_split.parquet")
    expected = parquet("chnsenticorp_split").hash()
    table.to_csv(tmp_path / "x.csv", index=False)
    table.to_csv(tmp_path / "x.tsv", index=False, sep="\t", encoding="utf-16")
    table.assign(label=table["label"].map({0: "negative", 1: "正面"})).to_csv(tmp_path / "x.csv.gz")
    for name in ("x.csv", "x.tsv", "x.csv.gz"):
        assert read_reviews(tmp_path / name).hash() == expected
    train = table.query("split == 'train'").drop(columns="split")
    train.to_parquet(tmp_path / "train.parquet")
    assert (
        read_reviews(RAW / "chnsenticorp_train_quote_trap.tsv.gz").hash()
        == read_reviews(tmp_path / "train.parquet").hash()
    )


def test_imdbs_folders_hold_what_the_parquet_file_holds(tmp_path):
    reviews = read_reviews(RAW / "aclImdb_sample_200.tar.gz")
    assert reviews.table.groupby(["split", "label"]).size().tolist() == [50] * 4
    whole = parquet("imdb_50k").table
    assert len(reviews.table.merge(whole.drop_duplicates())) == 200
    with (
        tarfile.open(RAW / "aclImdb_sample_200.tar.gz") as tar,
        zipfile.ZipFile(tmp_path / "x.zip", "w", strict_timestamps=False) as archive,
    ):
        tar.extractall(tmp_path / "folder", filter="data")
        for file in (tmp_path / "folder").rglob("*.txt"):
            archive.write(file, file.relative_to(tmp_path / "folder"))
    for path in ("folder", "folder/aclImdb", "x.zip"):
        assert read_reviews(tmp_path / path).hash() == reviews.hash()

"""The sources of reviews: folders and archives, and the hub by canned answers of
`datasets.load_dataset`, where the network begins.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import yaml

from helpers.project import REPO
from helpers.reviews import FORMS, SPLIT, TABLE, same, write
from helpers.reviews import TEXTS as SAID
from upgate.data.reviews.reader import read_reviews
from upgate.data.reviews.sources import SOURCES, load_reviews
from upgate.data.reviews.table import Reviews, draw_train
from upgate.errors import UserError

CONF = REPO / "conf" / "data"
TEXTS = pd.DataFrame({"text": [f"film {i}" for i in range(8)], "label": [0, 1] * 4})


def config(name: str, **changes) -> dict:
    return {**yaml.safe_load((CONF / f"{name}.yaml").read_text()), **changes}


def sentence(name: str, **changes) -> str:
    with pytest.raises(UserError) as caught:
        load_reviews(config(name, **changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Hub:
    """The hub's end of the wire: real dataset objects, and a count of how often it was asked."""

    def __init__(self):
        hidden = TEXTS.assign(label=-1)
        phrases = TEXTS.rename(columns={"text": "sentence"}).rename_axis("idx").reset_index()
        self.frames = {
            "stanfordnlp/imdb": {
                "train": TEXTS,
                "test": TEXTS.assign(text="x" + TEXTS["text"]),
                "unsupervised": hidden,
            },
            "stanfordnlp/sst2": {
                "train": phrases,
                "validation": phrases[:4],
                "test": phrases.assign(label=-1),
            },
        }
        self.asked = 0

    def load(self, place: str) -> datasets.DatasetDict:
        self.asked += 1
        return datasets.DatasetDict(
            {
                split: datasets.Dataset.from_pandas(rows)
                for split, rows in self.frames[place].items()
            }
        )


@pytest.fixture
def hub(monkeypatch):
    wire = Hub()
    monkeypatch.setattr(datasets, "load_dataset", wire.load)
    return wire


@pytest.mark.parametrize("name", ["imdb", "sst2", "texts"])
def test_every_source_has_a_small_file_of_choices(name):
    assert name in SOURCES
    assert next(iter(config(name).items())) == ("source", name)
    assert config(name)["bad"] == "refuse"
    assert len((CONF / f"{name}.yaml").read_text().splitlines()) <= 8


def test_the_reader_needs_no_heavy_import():
    code = "import sys; import upgate.data.reviews.sources; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"datasets", "torch", "sklearn", "yfinance", "upgate.data.reviews.generator"} & set(
        loaded
    )


def test_texts_are_a_file_of_the_users(tmp_path):
    TEXTS.rename(columns={"text": "opinion", "label": "stars"}).to_csv(tmp_path / "x.csv")
    reviews = load_reviews(
        config("texts", path=str(tmp_path / "x.csv"), text="opinion", label="stars")
    )
    assert reviews.table["text"].tolist() == TEXTS["text"].tolist()
    assert reviews.source == str(tmp_path / "x.csv")
    assert sentence("texts") == "data=texts needs data.path=<a file or folder of labelled texts>"
    assert "x.csv, row 1: the label 'stars' is none of 0, 1" in sentence(
        "texts", path=str(tmp_path / "x.csv")
    )
    assert sentence("texts", path="x", bad="ignore").startswith("data.bad=ignore is not a choice")
    with pytest.raises(UserError, match="no source of reviews 'imbd', did you mean 'imdb'"):
        load_reviews({"source": "imbd"})


def test_a_download_is_saved_with_its_hash_and_never_repeated_unasked(hub, tmp_path):
    first = load_reviews(config("imdb", folder=str(tmp_path / "data")))
    assert first.table["split"].value_counts().to_dict() == {"train": 8, "test": 8}
    note = tmp_path / "data" / "imdb.json"
    told = json.loads(note.read_text())
    assert told["dataset"] == "stanfordnlp/imdb"
    assert hashlib.sha256(note.with_name(told["file"]).read_bytes()).hexdigest() == told["sha256"]
    assert told["file"] in first.source
    hub.frames["stanfordnlp/imdb"]["train"] = TEXTS.assign(text="new " + TEXTS["text"])
    assert load_reviews(config("imdb", folder=str(tmp_path / "data"))).hash() == first.hash()
    assert hub.asked == 1
    fresh = load_reviews(config("imdb", folder=str(tmp_path / "data"), refresh=True))
    assert fresh.hash() != first.hash()
    assert load_reviews(config("imdb", folder=str(tmp_path / "data"))).hash() == fresh.hash()
    assert hub.asked == 2


def test_sst2_is_glues_phrases_and_sentences(hub, tmp_path):
    reviews = load_reviews(config("sst2", folder=str(tmp_path)))
    assert reviews.table["split"].value_counts().to_dict() == {"train": 8, "validation": 4}
    assert reviews.dropped == {}


def test_an_altered_snapshot_is_refused(hub, tmp_path):
    load_reviews(config("imdb", folder=str(tmp_path)))
    (snapshot,) = tmp_path.glob("*.parquet")
    pd.read_parquet(snapshot).assign(label=1).to_parquet(snapshot)
    assert "is gone or altered since" in sentence("imdb", folder=str(tmp_path))
    assert len(load_reviews(config("imdb", folder=str(tmp_path), refresh=True)).table) == 16


def test_a_copy_of_the_users_is_read_and_nothing_downloaded(hub, tmp_path):
    TEXTS.to_csv(tmp_path / "mine.csv", index=False)
    assert len(load_reviews(config("imdb", path=str(tmp_path / "mine.csv"))).table) == 8
    TEXTS.to_parquet(tmp_path / "imdb.parquet")
    reviews = load_reviews(config("imdb", folder=str(tmp_path)))
    assert (len(reviews.table), hub.asked) == (8, 0)
    assert reviews.source == str(tmp_path / "imdb.parquet")
    assert "leave out one of the two" in sentence(
        "imdb", path=str(tmp_path / "mine.csv"), refresh=True
    )
    load_reviews(config("imdb", folder=str(tmp_path), refresh=True))
    assert hub.asked == 1


def test_a_subset_of_the_training_reviews(hub, tmp_path):
    reviews = load_reviews(config("imdb", folder=str(tmp_path), subset=4))
    assert reviews.table.groupby(["split", "label"]).size().to_dict() == {
        ("test", 0): 4, ("test", 1): 4, ("train", 0): 2, ("train", 1): 2,
    }  # fmt: skip
    assert reviews.source.endswith(", 4 training reviews drawn")
    assert "data.subset is 9, but it can only be 2 to 8" in sentence(
        "imdb", folder=str(tmp_path), subset=9
    )
    assert "data.subset=many must be a whole number" in sentence(
        "imdb", folder=str(tmp_path), subset="many"
    )


def test_no_answer_points_to_another_way(hub, tmp_path, monkeypatch):
    def refuse(place: str) -> None:
        raise ConnectionError(f"Couldn't reach '{place}'\non the Hub")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    told = "stanfordnlp/imdb cannot be downloaded (Couldn't reach 'stanfordnlp/imdb' on the Hub); "
    assert (
        sentence("imdb", folder=str(tmp_path))
        == told + "give a copy by data.path, or use the generated data=reviews"
    )
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("upgate.data.reviews.sources.find_spec", lambda name: None)
    assert "pip install 'upgate[datasets]'; or give a copy by data.path" in sentence(
        "imdb", folder=str(tmp_path)
    )


def test_offline(tmp_path):
    """A real request by the real library, told that it is offline."""
    code = (
        "import sys, yaml; from upgate.data.reviews.sources import load_reviews;"
        " load_reviews(yaml.safe_load(sys.argv[1]))"
    )
    asked = json.dumps(config("imdb", folder=str(tmp_path / "data")))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    run = subprocess.run(
        [sys.executable, "-c", code, asked],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "UserError: stanfordnlp/imdb cannot be downloaded (" in run.stderr
    assert run.stderr.strip().endswith("or use the generated data=reviews")
    assert not (tmp_path / "data").exists()


# ---- splits, folders, archives


def test_an_official_split_is_kept_however_it_is_written(tmp_path):
    for names in (
        ("train", "dev", "test"),
        ("Training", "valid", "TEST"),
        ("训练", "验证", "测试"),
    ):
        SPLIT.assign(split=np.repeat(names, 4)).to_csv(tmp_path / "x.csv", index=False)
        assert same(read_reviews(tmp_path / "x.csv"), SPLIT)
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        write(tmp_path / "SST-2", name, FORMS["uci, no header, a next-line mark"][1])
    write(tmp_path / "SST-2", "README.txt", "read me")
    by_name = pd.concat([SPLIT[4:], SPLIT[:4]], ignore_index=True)  # dev, test, train
    assert same(read_reviews(tmp_path / "SST-2"), by_name)
    for split in ("train", "validation", "test"):
        (tmp_path / "hub" / "data").mkdir(parents=True, exist_ok=True)
        TABLE.to_parquet(tmp_path / "hub" / "data" / f"{split}-00000-of-00001.parquet")
    assert read_reviews(tmp_path / "hub").table["split"].value_counts().to_dict() == {
        "train": 4,
        "validation": 4,
        "test": 4,
    }


def test_an_unknown_split_is_told_with_its_file(tmp_path):
    SPLIT.assign(split=np.repeat(["train", "fold 2", "test"], 4)).to_csv(
        tmp_path / "x.csv", index=False
    )
    with pytest.raises(
        UserError,
        match=r"x\.csv, row 6: the split is 'fold 2', not train, validation or test \(and 3 more",
    ):
        read_reviews(tmp_path / "x.csv")
    SPLIT.assign(split=np.repeat(["a", "b", "c"], 4)).to_csv(tmp_path / "x.csv", index=False)
    assert list(read_reviews(tmp_path / "x.csv").table) == ["text", "label"]
    write(tmp_path / "f", "train.tsv", FORMS["glue"][1])
    write(tmp_path / "f", "dev.tsv", FORMS["glue"][1] + "odd\tmaybe\n")
    with pytest.raises(UserError, match=r"f, dev\.tsv, row 6: the label 'maybe' is none of 0, 1"):
        read_reviews(tmp_path / "f")


def test_a_split_without_labels_is_left_out_and_counted(tmp_path):
    hidden = SPLIT.assign(label=SPLIT["label"].where(SPLIT["split"] != "test", -1))
    for label in (
        hidden["label"],
        hidden["label"].where(hidden["label"] >= 0),
        hidden["label"].astype(str).replace("-1", ""),
    ):
        hidden.assign(label=label).to_parquet(tmp_path / "x.parquet")
        reviews = read_reviews(tmp_path / "x.parquet")
        assert reviews.dropped == {"unlabelled": 4}
        assert reviews.table["split"].unique().tolist() == ["train", "validation"]
    write(tmp_path / "glue", "train.tsv", FORMS["glue"][1])
    write(tmp_path / "glue", "test.tsv", "index\tsentence\n0\tgood\n1\tbad\n")
    reviews = read_reviews(tmp_path / "glue")
    assert (len(reviews.table), reviews.dropped) == (4, {"unlabelled": 2})


IMDB = {
    "aclImdb/train/pos/10_9.txt": '"Superb" is the word',
    "aclImdb/train/pos/2_9.txt": "不错，很好",
    "aclImdb/train/neg/0_1.txt": 'Dull, "very" dull; and<br />slow',
    "aclImdb/test/neg/0_1.txt": 'A 5" screen, @home\n',
    "aclImdb/train/unsup/0_0.txt": "not labelled",
    "aclImdb/train/urls_pos.txt": "http://example.org",
    "aclImdb/README": "read me",
    "aclImdb/.hidden/x.txt": "hidden",
}


def archive(kind: str, folder: Path) -> Path:
    if kind == "folder":
        for name, text in IMDB.items():
            write(folder, name, text)
        return folder
    if kind == "zip":
        with zipfile.ZipFile(folder / "x.zip", "w") as made:
            for name, text in IMDB.items():
                made.writestr(name, text)
        return folder / "x.zip"
    with tarfile.open(folder / "x.tar.gz", "w:gz") as tar:
        for name, text in IMDB.items():
            item = tarfile.TarInfo(name)
            item.size = len(text.encode())
            tar.addfile(item, io.BytesIO(text.encode()))
    return folder / "x.tar.gz"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_pos_and_neg_folders_are_labels_and_those_above_the_split(kind, tmp_path):
    reviews = read_reviews(archive(kind, tmp_path))
    table = pd.DataFrame(
        {
            "text": [SAID[i] for i in (3, 0, 2, 1)],
            "label": [0, 0, 1, 1],
            "split": ["test", "train", "train", "train"],
        }
    )
    assert same(reviews, table)
    assert reviews.dropped == {"unlabelled": 1}


def test_folders_of_other_classes_without_a_split(tmp_path):
    for name in ("sport/1.txt", "sport/2.txt", "arts/1.txt", "arts/3.txt", "unsup/4.txt"):
        write(tmp_path, name, f"text of {name}")
    reviews = read_reviews(tmp_path)
    assert (reviews.classes, reviews.table["label"].tolist()) == (("arts", "sport"), [0, 0, 1, 1])
    assert list(reviews.table) == ["text", "label"]
    assert reviews.dropped == {"unlabelled": 1}


def test_one_table_in_an_archive_and_several_that_no_name_tells_apart(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        made.writestr("archive/IMDB Dataset.csv", FORMS["csv, quoted, label first"][1])
    assert same(read_reviews(tmp_path / "x.zip"))
    write(tmp_path / "many", "a.csv", "")
    write(tmp_path / "many", "b.csv", "")
    with pytest.raises(
        UserError, match=r"holds 2 tables \(a\.csv, b\.csv\), none named train, dev or test"
    ):
        read_reviews(tmp_path / "many")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        UserError, match=r"empty holds no table .* and no two folders of \.txt files"
    ):
        read_reviews(tmp_path / "empty")


def test_a_subset_is_stratified_the_same_for_everybody_and_within_a_larger_one():
    n = 400
    table = pd.DataFrame(
        {
            "text": [f"t{i}" for i in range(n)],
            "label": np.r_[np.repeat([0, 1], [150, 50]), np.repeat([0, 1], [100, 100])],
            "split": np.repeat(["train", "test"], 200),
        }
    )
    reviews = Reviews(table, ("negative", "positive"), "x", {})
    small, large = draw_train(reviews, 40), draw_train(reviews, 120)
    for drawn, count in ((small, 40), (large, 120)):
        train = drawn.table.query("split == 'train'")
        assert train["label"].value_counts().to_dict() == {0: count * 3 // 4, 1: count // 4}
        assert drawn.table.query("split == 'test'")["text"].tolist() == table["text"][200:].tolist()
    assert set(small.table["text"]) <= set(large.table["text"])
    assert draw_train(reviews, 40).hash() == small.hash()
    assert draw_train(reviews, 200).hash() == reviews.hash()
    assert small.source == "x, 40 training reviews drawn"
    for wrong in (1, 201):
        with pytest.raises(
            UserError, match=rf"data\.subset is {wrong}, but it can only be 2 to 200"
        ):
            draw_train(reviews, wrong)

"""Any form of labelled reviews becomes one table, or one sentence."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.files import arrow_files
from helpers.reviews import FORMS, LABELS, TABLE, TEXTS, WORDS, same, write
from upgate.data.reviews.formats import clean_text
from upgate.data.reviews.reader import read_reviews, read_texts
from upgate.data.reviews.table import Reviews, leaked
from upgate.errors import UserError


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_reviews_is_the_same_table(form, tmp_path):
    reviews = read_reviews(write(tmp_path, *FORMS[form]))
    assert same(reviews)
    assert reviews.dropped == {}


@pytest.mark.parametrize("form", FORMS)
def test_texts_are_read_for_prediction_from_every_form(form, tmp_path):
    assert read_texts(write(tmp_path, *FORMS[form])) == TEXTS


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding, tmp_path):
    assert same(read_reviews(write(tmp_path, "x.tsv", FORMS["glue"][1].encode(encoding))))


def test_accents_of_windows_1252_are_not_taken_for_chinese(tmp_path):
    text = "text\tlabel\nSeppälä – “fine”\t1\nWeckström… naïve\t0\n"
    assert read_reviews(write(tmp_path, "x.tsv", text.encode("cp1252"))).table["text"].tolist() == [
        "Seppälä – “fine”",
        "Weckström… naïve",
    ]


def test_damaged_utf_8_names_the_line(tmp_path):
    path = write(tmp_path, "x.tsv", FORMS["glue"][1].encode() + "很好\t1\n".encode()[1:])
    with pytest.raises(
        UserError, match=r"x\.tsv, line 6: byte 0xbe is no UTF-8, though the rest is"
    ):
        read_reviews(path)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.CSV.GZ", "x.txt", "x"])
def test_the_content_tells_what_a_file_is(name, tmp_path):
    text = FORMS["csv, quoted, label first"][1].encode()
    assert same(
        read_reviews(
            write(tmp_path, name, gzip.compress(text) if name.lower().endswith("gz") else text)
        )
    )


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.iloc[:, ::-1].assign(id=range(4)),
        TABLE.rename(columns={"text": "sentence", "label": "Label"}).astype({"Label": "int8"}),
        TABLE.assign(label=[0.0, 1.0, 1.0, 0.0]),
        TABLE.assign(label=["0", "1", "1", "0"]),
        TABLE.assign(label=[False, True, True, False]),
        TABLE.assign(label=[1, 2, 2, 1]),
        TABLE.assign(label=pd.Categorical(["Neg", "POS ", "POS ", "Neg"])),
        TABLE.set_axis([7, 3, 5, 1]),
    ],
    ids=["plain", "reversed", "int8", "float", "digits", "bool", "1 and 2", "category", "index"],
)
def test_parquet_feather_and_forms_of_labels(table, tmp_path):
    table.to_parquet(tmp_path / "x.parquet")
    assert same(read_reviews(tmp_path / "x.parquet"))
    assert same(read_reviews(write(tmp_path, "x.csv", arrow_files(table)["zstd.arrow"])))


def test_what_datasets_save_to_disk_is_read(tmp_path):
    for split, rows in (("train", TABLE[:2]), ("test", TABLE[2:])):
        (tmp_path / split).mkdir()
        shard = arrow_files(rows)["None.arrow"]
        write(tmp_path, f"{split}/data-00000-of-00001.arrow", shard)
        write(tmp_path, f"{split}/state.json", '{"_fingerprint": "a"}')
    write(tmp_path, "dataset_dict.json", '{"splits": ["train", "test"]}')
    assert read_reviews(tmp_path).table["split"].tolist() == ["test"] * 2 + ["train"] * 2


# ---- labels


def classes_of(tmp_path: Path, *labels: object) -> tuple[tuple[str, ...], list[int]]:
    rows = "".join(f"text {i}\t{label}\n" for i, label in enumerate(labels))
    reviews = read_reviews(write(tmp_path, "x.tsv", f"text\tlabel\n{rows}"))
    return reviews.classes, reviews.table["label"].tolist()


def test_classes_are_ordered_from_bad_to_good_or_as_numbers(tmp_path):
    assert classes_of(tmp_path, "positive", "neutral", "negative") == (
        ("negative", "neutral", "positive"),
        [2, 1, 0],
    )
    assert classes_of(tmp_path, 0, -1, 1) == (("negative", "neutral", "positive"), [1, 0, 2])
    assert classes_of(tmp_path, 4, 2, 0) == (("negative", "neutral", "positive"), [2, 1, 0])
    assert classes_of(tmp_path, "好评", "差评", "中评") == (
        ("negative", "neutral", "positive"),
        [2, 0, 1],
    )
    assert classes_of(tmp_path, *"213213") == (("1", "2", "3"), [1, 0, 2, 1, 0, 2])
    assert classes_of(tmp_path, 10, 9, 10, 9, 2, 2) == (("2", "9", "10"), [2, 1, 2, 1, 0, 0])
    assert classes_of(tmp_path, *["joy", "Anger", "fear"] * 2) == (
        ("anger", "fear", "joy"),
        [2, 0, 1] * 2,
    )
    five = ["Extremely Negative", "Negative", "Neutral", "Positive", "Extremely Positive"]
    assert classes_of(tmp_path, *five)[1] == [0, 1, 2, 3, 4]


def test_a_label_unlike_all_others_is_a_fault_and_a_frequent_one_a_class(tmp_path):
    for odd in ("postive", "2", "and so on"):
        with pytest.raises(
            UserError,
            match=rf"x\.tsv, row 6: the label '{odd}' is none of (0, 1|negative, positive)",
        ):
            classes_of(tmp_path, *(WORDS if odd == "postive" else LABELS), odd)
    assert read_reviews(tmp_path / "x.tsv", bad="drop").dropped == {"unknown label": 1}
    assert classes_of(tmp_path, *LABELS, 2, 2)[0] == ("0", "1", "2")


def test_one_class_or_very_many_are_refused(tmp_path):
    with pytest.raises(UserError, match="has only the label 'positive': two classes at least"):
        classes_of(tmp_path, "pos", "pos", "positive")
    with pytest.raises(
        UserError, match=r"has 51 different labels \('0', '1', '2', ...\), which are no classes"
    ):
        classes_of(tmp_path, *range(51))
    assert len(classes_of(tmp_path, *range(50))[0]) == 50


def test_columns_can_be_named(tmp_path):
    path = write(tmp_path, "x.csv", "stars,title,opinion\n5,a,good one\n1,b,bad one\n")
    with pytest.raises(UserError, match="has no labels, only 'stars,title,opinion'"):
        read_reviews(path)
    reviews = read_reviews(path, text="Opinion", label="stars")
    assert (reviews.classes, reviews.table["text"].tolist()) == (
        ("1", "5"),
        ["good one", "bad one"],
    )
    with pytest.raises(
        UserError, match=r"has no column 'star', which data\.label asks for, did you mean 'stars'"
    ):
        read_reviews(path, text="opinion", label="star")
    with pytest.raises(
        UserError,
        match=r"has no column of texts, only 'stars', 'title', 'opinion'; name it with data\.text",
    ):
        read_reviews(path, label="stars")
    path = write(tmp_path, "y.tsv", "0\tlong title of it\ta\t1\n1\tlong title of it\tb\t0\n")
    assert read_reviews(path, text=2, label=3).table.to_dict("list") == {
        "text": ["a", "b"],
        "label": [1, 0],
    }


# ---- what is dropped, what is refused


def test_a_file_without_labels_is_for_prediction_only(tmp_path):
    path = write(tmp_path, "test.tsv", "index\tsentence\n0\tgood \n1\t<b>bad</b>\n2\t \n")
    with pytest.raises(
        UserError,
        match=r"test\.tsv has no labels, only 'index', 'sentence'; .* use it for prediction only$",
    ):
        read_reviews(path)
    assert read_texts(path) == ["good", "bad"]
    assert read_texts(write(tmp_path, "x.txt", "Good, really\n\nIt's bad\tsaid she\n")) == [
        "Good, really",
        "It's bad said she",
    ]
    assert read_texts(write(tmp_path, "x.csv", 'review\n"two\nlines"\nnone\n')) == [
        "two lines",
        "none",
    ]
    assert read_texts(write(tmp_path, "x.csv", 'review\n"one"\nno quotes, a comma\n')) == [
        "one",
        "no quotes, a comma",
    ]
    assert read_texts(write(tmp_path, "x.csv", "id,opinion\n1,fine\n"), text="opinion") == ["fine"]
    with pytest.raises(UserError, match=r"x\.csv, row 2: it has 4 cells, not 3: put texts"):
        read_texts(write(tmp_path, "x.csv", "text,id,language\ngood, indeed,1,en\n"))
    with pytest.raises(UserError, match="holds no text"):
        read_texts(write(tmp_path, "x.txt", "<br />\n"))


def test_what_is_no_labelled_review_is_dropped_and_counted(tmp_path):
    rows = ["0,bad", "1,good", "1,", ",fine", "1,<br />", "", " , ", "0,\u3000\ufeff", "0,null"]
    reviews = read_reviews(write(tmp_path, "x.csv", "label,text\n" + "\n".join(rows)))
    assert reviews.table["text"].tolist() == ["bad", "good", "null"]
    assert reviews.dropped == {"no text": 1, "unlabelled": 1, "empty after cleaning": 2, "blank": 1}


def test_rows_of_another_width_are_refused_by_line_or_dropped(tmp_path):
    path = write(tmp_path, "x.csv", 'id,text,label\n1,"two\nlines",0\n2,fine,1\n3,bad, very,0\n')
    with pytest.raises(UserError) as caught:
        read_reviews(path)
    hint = "put texts with separators or line breaks in quotes; data.bad=drop drops such rows"
    assert str(caught.value) == f"{path}, row 5: it has 4 cells, not 3: {hint}"
    reviews = read_reviews(path, bad="drop")
    assert (reviews.table["text"].tolist(), reviews.dropped) == (
        ["two lines", "fine"],
        {"wrong number of cells": 1},
    )


def test_one_careless_quote_does_not_spoil_a_quoted_file(tmp_path):
    rows = ['1,"fine, really"'] * 9 + ['0,"the "worst", ever"']
    texts = (
        read_reviews(write(tmp_path, "x.csv", "label,text\n" + "\n".join(rows)))
        .table["text"]
        .tolist()
    )
    assert texts == ["fine, really"] * 9 + ['"the "worst", ever"']
    path = write(tmp_path, "y.csv", "label,text,id\n" + "\n".join(f"{row},7" for row in rows))
    with pytest.raises(UserError, match=r"y\.csv, row 11: it has 4 cells, not 3"):
        read_reviews(path)


UNREADABLE = {
    "empty": (b"", "is empty"),
    "header only": (b"text,label\n", "holds no labelled review"),
    "no row left": (b"text,label\nfine,\n", r"holds no labelled review \(dropped: 1 unlabelled\)"),
    "prices": (
        b"date,open,high,low,close,volume\n2020-01-02,1,1,1,1,1\n",
        "has no labels, only 'date,open,high,low,close",
    ),
    "no table": (b"Once upon a time\nthere was\n", "has no labels, only 'Once upon a time'"),
    "json": (b'{"rows": [1, 2]}\n', "is json, but no list of records; save it as csv or parquet"),
    "zeros": (
        b"text,label\n" + b"fine,1\n" * 999 + bytes(64) + b"dull,0\n",
        "holds zeros from byte",
    ),
    "half a parquet": (
        b"PAR1" + bytes(50),
        "cannot be read as csv, parquet, feather or an archive",
    ),
    "half a gzip": (
        gzip.compress(b"text,label" * 99)[:30],
        "cannot be read as csv, parquet, feather or an archive",
    ),
    "binary": (b"\x89PNG\0\0\0", "neither text, parquet nor feather"),
    "an endless cell": (
        b'id,text,label\n1,"' + b"x" * 140_000 + b'",0\n2,a,b,1\n',
        "field larger than field limit",
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_files_get_one_sentence(kind, tmp_path):
    content, sentence = UNREADABLE[kind]
    path = write(tmp_path, "x.csv", content)
    with pytest.raises(UserError, match=sentence) as caught:
        read_reviews(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_files_and_words(tmp_path):
    path = write(tmp_path, "imdb.csv", FORMS["glue"][1])
    with pytest.raises(UserError, match=r"there is no file .*imbd\.csv, did you mean 'imdb\.csv'"):
        read_reviews(tmp_path / "imbd.csv")
    with pytest.raises(UserError, match=r"data\.bad is 'ignore'"):
        read_reviews(path, bad="ignore")


# ---- cleaning, identity, leaks


CLEANED = {
    "a<br />b<BR>c</p> <p class='x'>d": "a b c d",
    "<grin> <色戒> 3 < 4 > 2 <SPOILER>": "<grin> <色戒> 3 < 4 > 2 <SPOILER>",
    "AT&amp;T AT&T R&D; &quot;x&quot; &#183; &#32431; &hellip;": 'AT&T AT&T R&D; "x" · 纯 …',
    "&amp;lt;br /&amp;gt;&lt;br&gt;x": "x",
    "it\x92s \x93fine\x94 \x96 well\x85 \x81": "it’s “fine” – well… ",
    "a\x08b\ufeffc\u200bd\x00": "abcd",
    "a\u3000b\xa0c\tD\r\ne\u2028f\x1fg": "a b c D e f g",
    "\ue420 👨‍👩‍👧 naïve ＡＢＣ": "\ue420 👨‍👩‍👧 naïve ＡＢＣ",
    " \n ": "",
}


@pytest.mark.parametrize("raw", CLEANED)
def test_cleaning(raw):
    assert clean_text(raw) == CLEANED[raw].strip()


def test_cleaning_again_changes_nothing():
    pieces = [
        "&amp;",
        "lt;",
        "&",
        "<br",
        "/>",
        "<",
        ">",
        "\x00",
        "#38;",
        " ",
        "\x85",
        "a",
        "&#x26;",
        "amp;",
        "\ufeff",
        "<i>",
    ]
    draw = np.random.default_rng(0)
    for _ in range(2000):
        once = clean_text("".join(draw.choice(pieces, size=12)))
        assert clean_text(once) == once


def test_the_hash_is_of_the_values_in_their_order(tmp_path):
    def hash_of(
        table: pd.DataFrame = TABLE, classes: tuple[str, ...] = ("negative", "positive")
    ) -> str:
        return Reviews(table, classes, "", {}).hash()

    first = hash_of()
    assert (
        first == "72135b3fb8417f9973b5cdf3489f4c44c98e707ebeda31ca1952282f32625ad6"
    )  # the same on every machine
    assert hash_of(TABLE.astype({"label": "int32"})) == first
    others = [
        hash_of(TABLE.iloc[::-1]),
        hash_of(TABLE.assign(label=1 - TABLE["label"])),
        hash_of(TABLE.assign(split="train")),
        hash_of(TABLE, ("bad", "good")),
        hash_of(TABLE.assign(text=TABLE["text"].str.lower())),
    ]
    assert len({first, *others}) == 6


def test_leaked_marks_the_test_texts_that_are_in_train():
    assert leaked(["a", "b", "b"], ["b", "c", "B", "b"]).tolist() == [True, False, False, True]
    assert leaked([], ["a"]).dtype == bool


@pytest.mark.parametrize("labels", ["−1 1", "-1 +1", "０ １", "0.0 +1.0"])
def test_numbers_of_labels_in_every_writing(labels, tmp_path):
    low, high = labels.split()
    path = write(tmp_path, "x.csv", f"label,text\n{high},fine\n{low},dull\n".encode())
    reviews = read_reviews(path)
    assert reviews.classes == ("negative", "positive")
    assert reviews.table["label"].tolist() == [1, 0]


def test_two_columns_of_one_name_are_refused_where_they_differ(tmp_path):
    path = write(tmp_path, "x.csv", b"text,label,label\nfine,1,1\ndull,0,1\n")
    with pytest.raises(UserError, match="two columns named 'label', which differ"):
        read_reviews(path)
    assert len(read_reviews(write(tmp_path, "x.csv", path.read_bytes()[:-2] + b"0\n")).table) == 2


def test_labels_that_the_training_part_has_not_are_refused_or_dropped(tmp_path):
    write(tmp_path, "train.csv", b"text,label\nfine,1\ndull,0\n")
    write(tmp_path, "test.csv", b"text,label\nkind,positive\nlong,negative\n")
    with pytest.raises(UserError, match=r"test\.csv, row 2: the label 'positive' is none of 0, 1"):
        read_reviews(tmp_path)
    dropped = read_reviews(tmp_path, bad="drop").dropped
    assert dropped == {"unknown label": 2}


def test_cells_that_are_no_text_are_read_as_text_or_refused(tmp_path):
    frame = pd.DataFrame({"text": [b"fine", b"dull"], "label": [[1], [0]]})
    frame.to_parquet(tmp_path / "x.parquet")
    assert read_reviews(tmp_path / "x.parquet").table["text"].tolist() == ["fine", "dull"]
    frame.assign(text=[b"\xff\xfe", b"dull"]).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match="column 'text' holds bytes that are no UTF-8"):
        read_reviews(tmp_path / "x.parquet")

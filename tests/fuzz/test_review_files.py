"""Review files of drawn content in drawn forms: the drawn reviews are read, or a sentence said.

Never another text, never another label, never a traceback.
"""

import csv
import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from helpers.fuzz import cases
from helpers.fuzz_files import damaged, encode, pack
from upgate.data.reviews.formats import clean_text
from upgate.data.reviews.reader import read_reviews, read_texts
from upgate.data.reviews.table import Reviews
from upgate.errors import UserError

# of each language: names of text and label, some words, old encodings
LANGUAGES = {
    "English": ("text", "label", "the film was a truly fine one we saw and never again", ()),
    "German": ("text", "label", "schön größe Äpfel übel der Film war nicht gut", ("cp1252",)),
    "French": ("text", "label", "déjà vu très à côté naïf le film était bon", ("cp1252",)),
    "Polish": ("text", "label", "był to świetny film który mógł się podobać zażółć", ("cp1250",)),
    "Russian": ("text", "label", "это был очень хороший фильм и мы его видели", ("cp1251",)),
    "Chinese": ("评论", "标签", "房间 很好 服务 态度 太差 了 我们 不会 再来 酒店 的", ("gb18030",)),
    "Taiwanese": ("評論", "標籤", "房間 很髒 態度 差 失望 我們 不會 再來 飯店 的", ("big5hkscs",)),
    "Japanese": (
        "レビュー",
        "ラベル",
        "部屋 が とても きれい でした また 最悪",
        ("cp932", "euc_jp"),
    ),
    "Korean": ("리뷰", "라벨", "영화가 정말 재미있었다 다시 보고 싶다 최악 이었다", ("cp949",)),
}
CLASSES = {
    ("0", "1"): ("negative", "positive"),
    ("-1", "1"): ("negative", "positive"),
    ("neg", "pos"): ("negative", "positive"),
    ("Negative", "Positive"): ("negative", "positive"),
    ("负面", "正面"): ("negative", "positive"),
    ("-1", "0", "1"): ("negative", "neutral", "positive"),
    ("negative", "neutral", "positive"): ("negative", "neutral", "positive"),
    ("1", "2", "3", "4", "5"): ("1", "2", "3", "4", "5"),
    ("False", "True"): ("negative", "positive"),
}
ODD = (
    *(",", ";", "\t", "|", '"', '""', "'", "\n", "\r\n", "\\", '\\"', "<br />", "&amp;", "&", "#"),
    *("@", "=", "-", "5", "0", "1", "10/10", "😀", "\u00a0", "\u200b", "é", "…", "“", "()", "..."),
)
KINDS = ("csv", "csv", "csv", "tsv of quotes", "headerless", "json lines", "json", "fastText")


@dataclass(frozen=True)
class Form:
    language: str
    encoding: str
    kind: str
    separator: str
    line_end: str
    packing: str
    label_first: bool
    quote_all: bool
    with_id: bool


@st.composite
def texts(draw: st.DrawFn, words: list[str]) -> str:
    pieces = draw(
        st.lists(
            st.sampled_from(words) | st.sampled_from(words + list(ODD)), min_size=3, max_size=9
        )
    )
    text = draw(st.sampled_from(words)) + " " + draw(st.sampled_from([" ", "", " "])).join(pieces)
    # a tab and a line break in one cell: the reader takes its quote for an open one, on purpose
    return text.replace("\t", " ") if {"\n", "\r"} & set(text) else text


@st.composite
def files(draw: st.DrawFn) -> tuple[list[tuple[str, str]], tuple[str, ...], Form]:
    language = draw(st.sampled_from(sorted(LANGUAGES)))
    labels = draw(st.sampled_from(sorted(CLASSES)))
    words = LANGUAGES[language][2].split()
    rows = [(draw(texts(words)), label) for label in labels]
    more = st.tuples(texts(words), st.sampled_from(labels))
    rows += draw(st.lists(more, min_size=4, max_size=14))
    rows = draw(st.permutations(rows))
    form = Form(
        language,
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", *LANGUAGES[language][3]])),
        kind=draw(st.sampled_from(KINDS)),
        separator=draw(st.sampled_from(",;\t|")),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        packing=draw(st.sampled_from(["", "", "", "gz", "xz", "zip", "tar"])),
        label_first=draw(st.booleans()),
        quote_all=draw(st.booleans()),
        with_id=draw(st.booleans()),
    )
    return rows, labels, form


def write_file(rows: list[tuple[str, str]], form: Form) -> str:
    text_name, label_name, *_ = LANGUAGES[form.language]
    records = [{text_name: text, label_name: label} for text, label in rows]
    if form.kind == "json":
        return json.dumps(records, ensure_ascii=False)
    if form.kind == "json lines":
        return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
    if form.kind == "fastText":
        return "".join(f"__label__{label} {' '.join(text.split())}\n" for text, label in rows)
    file = io.StringIO()
    quoting = csv.QUOTE_ALL if form.quote_all else csv.QUOTE_MINIMAL
    # a text with line breaks alone keeps its own; the file's are between rows
    writer = csv.writer(
        file,
        delimiter="\t" if form.kind == "tsv of quotes" else form.separator,
        quoting=quoting,
        lineterminator=form.line_end if form.line_end != "\r" else "\n",
    )
    order = -1 if form.label_first else 1
    names = ["id"] * form.with_id + [text_name, label_name][::order]
    if form.kind != "headerless":
        writer.writerow(names)
    for i, row in enumerate(rows):
        writer.writerow([str(i + 1000)] * form.with_id + list(row)[::order])
    return file.getvalue()


def read(content: bytes, packing: str = "") -> Reviews | None:
    """What the reader makes of a file; None where it says one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = pack(content, packing, Path(folder))
        try:
            return read_reviews(path)
        except UserError as error:
            said = str(error)
            assert said.strip() and "\n" not in said and "Traceback" not in said
            return None


@given(files())
@cases(40)
def test_a_review_file_gives_the_drawn_reviews_or_a_sentence(
    file: tuple[list[tuple[str, str]], tuple[str, ...], Form],
) -> bool:
    rows, labels, form = file
    written = write_file(rows, form)
    reviews = read(encode(written, form.encoding), form.packing)
    if reviews is None:
        return False
    names = dict(zip(labels, CLASSES[labels], strict=True))
    got = [
        (text, reviews.classes[label])
        for text, label in zip(reviews.table["text"], reviews.table["label"], strict=True)
    ]
    assert got == [(clean_text(text), names[label]) for text, label in rows], written
    return True


LETTERS = list(enumerate("abcdefgh"))
SEEDS = [
    "\n".join(["text,label", *(f'"a {w}, film",{i % 2}' for i, w in LETTERS)]).encode(),
    "\n".join(f"{i % 2}\ta {w} film" for i, w in LETTERS).encode(),
    "\n".join(f"__label__{i % 2} a {w} film" for i, w in LETTERS).encode(),
    json.dumps([{"review": w, "sentiment": i % 2} for i, w in LETTERS]).encode(),
    "\n".join(["评论,标签", *(f"房间很好{w},{i % 2}" for i, w in LETTERS)]).encode("gb18030"),
]


@given(damaged(SEEDS) | st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@cases(60)
def test_a_damaged_review_file_is_read_or_refused_in_a_sentence(content: bytes) -> bool:
    reviews = read(content)
    if reviews is None:
        return False
    table = reviews.table
    assert (table["text"] != "").all() and set(table["label"]) <= set(range(len(reviews.classes)))
    return True


@given(damaged(SEEDS) | st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@cases(40)
def test_texts_to_predict_are_read_or_refused_in_a_sentence(content: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = pack(content, "", Path(folder))
        try:
            return all(read_texts(path))
        except UserError as error:
            assert str(error).strip() and "\n" not in str(error)
            return False

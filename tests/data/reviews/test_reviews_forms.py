"""Reviews as other programs write them: read right, or one sentence that says what to do."""

import json

import pytest

from upgate.data.reviews.reader import read_reviews, read_texts
from upgate.errors import UserError

TEXTS = ("a fine film, truly", "an awful film; truly", "great fun", "never again")
LABELS = (1, 0, 1, 0)
PAIRS = list(zip(TEXTS, LABELS, strict=True))
WORDS = ("Positive", "Negative", "Positive", "Negative")


def lines(row, header: str = "") -> str:
    """A line for each of ten copies of the reviews, by a function of number, text and label."""
    rows = [row(i, *PAIRS[i % 4]) for i in range(40)]
    return "\n".join([header, *rows] if header else rows) + "\n"


def word(label: int) -> str:
    return WORDS[0] if label else WORDS[1]


def broken(text: str) -> str:
    """The text in quotes, with a line break after its first word."""
    return '"{}"'.format(text.replace(" ", " \r\n", 1))


FORMS = {
    "fastText": lines(lambda i, text, label: f"__label__{label} {text}"),
    "fastText, words": lines(lambda i, text, label: f"__label__{word(label)}\t{text}"),
    "a number in front": lines(lambda i, text, label: f"{label} {text}"),
    "label in the third of four": lines(lambda i, text, label: f'{i},film,{word(label)},"{text}"'),
    "label in the second of three": lines(lambda i, text, label: f"{i + 9}\t{label}\t{text}"),
    "text in the second of three": lines(lambda i, text, label: f'{i + 9},"{text}",{label}'),
    "line breaks in quotes, three columns": lines(
        lambda i, text, label: f"{i + 9}\t{broken(text) if i % 2 else text}\t{label}"
    ),
    "json lines": lines(lambda i, text, label: json.dumps({"text": text, "label": label})),
    "json": json.dumps([{"review": text, "sentiment": word(label)} for text, label in PAIRS] * 10),
    "json, nested": json.dumps(
        {"data": [{"text": t, "label": k, "user": {"id": 1}} for t, k in PAIRS] * 10}
    ),
    "traditional names": lines(lambda i, text, label: f'{label},"{text}"', "標籤,評論"),
    "a comment": lines(lambda i, text, label: f'{i},"{text}",{label}', "id,comment_text,label"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_reviews_in_every_form(form, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(FORMS[form], encoding="utf-8")
    reviews = read_reviews(path)
    assert reviews.classes == ("negative", "positive")
    assert reviews.table["text"].tolist() == list(TEXTS) * 10
    assert reviews.table["label"].tolist() == list(LABELS) * 10


def test_quotes_around_every_cell_hold_tabs_and_line_breaks(tmp_path):
    texts = ["a fine\tfilm,\nrather", 'an ""awful"" one', "great fun"]
    rows = "".join(f'"{text}"\t"{i % 2}"\n' for i, text in enumerate(texts))
    (tmp_path / "x.tsv").write_text(f'"text"\t"label"\n{rows}')
    table = read_reviews(tmp_path / "x.tsv").table
    assert table["text"].tolist() == ["a fine film, rather", 'an "awful" one', "great fun"]
    assert table["label"].tolist() == [0, 1, 0]


def test_columns_by_their_numbers(tmp_path):
    rows = lines(lambda i, text, label: f'{i},"{text}",{label + 7},{label}')
    (tmp_path / "x.csv").write_text(rows)
    reviews = read_reviews(tmp_path / "x.csv", text=1, label=2)
    assert reviews.classes == ("7", "8")
    assert reviews.table["text"][0] == TEXTS[0]


REFUSED = {
    "several labels, as columns": (
        lines(lambda i, text, label: f'{i},"{text}",{label},0', "id,comment_text,toxic,insult"),
        r"has no labels, only 'id', 'comment_text', 'toxic', 'insult'; name .* data\.label",
    ),
    "unknown names": (
        lines(lambda i, text, label: f'{i},"{text}",{label}', "id,words,spam"),
        r"no column of texts, only 'id', 'words', 'spam'; .*data\.text=.*data\.label=",
    ),
    "several labels in front": (
        lines(lambda i, text, label: f"__label__{label} __label__2 {text}"),
        "has two labels .*a text needs one",
    ),
    "json of other things": ('{"rows": [1, 2, 3]}', "is json, but no list of records"),
    "broken json": ('[{"text": "fine", "label": 1},', "looks like json, but cannot be read"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_one_sentence(kind, tmp_path):
    content, sentence = REFUSED[kind]
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(UserError, match=sentence) as caught:
        read_reviews(tmp_path / "x.csv")
    assert "\n" not in str(caught.value)


def test_dropping_is_not_offered_where_it_drops_everything(tmp_path):
    (tmp_path / "x.tsv").write_text("text\tlabel\tsplit\n" + "fine\t1\tx\n" * 3 + "bad\t0\tx\n")
    reviews = read_reviews(tmp_path / "x.tsv")  # a split that names no part is no split
    assert len(reviews.table) == 4
    (tmp_path / "p.csv").write_text("date,open,high,low,close\n2020-01-02,5,4,3,4\n")
    from upgate.data.prices.reader import read_prices

    with pytest.raises(UserError) as caught:
        read_prices(tmp_path / "p.csv")
    assert "data.bad" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["big5", "cp932", "cp949", "cp1251", "gb18030"])
def test_texts_to_predict_in_any_encoding(encoding, tmp_path):
    texts = {
        "big5": "房間很髒，態度差",
        "cp932": "部屋が汚くて最悪でした",
        "cp949": "영화가 정말 재미있었다",
        "cp1251": "Очень хороший отель, понравилось",
        "gb18030": "房间很脏，态度差",
    }
    (tmp_path / "x.txt").write_bytes(f"{texts[encoding]}\n".encode(encoding))
    assert read_texts(tmp_path / "x.txt") == [texts[encoding]]

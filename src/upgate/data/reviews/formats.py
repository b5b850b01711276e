"""The forms in which reviews are written: what columns, labels and splits are called, what in a text is no text, what parts cells.

Seen in files of IMDb, SST-2, GLUE, Movie Reviews, UCI, Financial PhraseBank, Sentiment140, ChnSentiCorp and ChineseNlpCorpus. Which
labels are classes is decided by the whole column, never cell by cell.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape
from typing import Literal

import pandas as pd

from upgate.data.prices.formats import normalize_name
from upgate.errors import UserError, did_you_mean

# The first alias that occurs wins. Stars are absent on purpose: where good begins is the user's choice, not ours.
ALIASES = {
    "text": (
        *("text", "texta", "review", "reviewtext", "reviewbody", "sentence", "content", "comment", "tweet", "phrase", "document", "body"),
        *("reviews", "comments", "texts", "sentences", "评论", "评论内容", "评价", "评价内容", "内容", "文本", "正文", "句子"),
    ),
    "label": (
        *("label", "labels", "sentiment", "polarity", "class", "target", "airlinesentiment"),
        *("标签", "情感", "情感标签", "情感倾向", "情感极性", "极性", "情绪", "类别"),
    ),
    "split": ("split", "partition"),
}  # fmt: skip

SPLITS = {
    **dict.fromkeys(("train", "training", "训练", "训练集"), "train"),
    **dict.fromkeys(
        ("validation", "valid", "val", "dev", "devel", "development", "验证", "验证集"),
        "validation",
    ),
    **dict.fromkeys(("test", "testing", "测试", "测试集"), "test"),
    **dict.fromkeys(("unsup", "unsupervised", "unlabeled", "unlabelled"), "unlabelled"),
}
SYNONYMS = {
    **dict.fromkeys(
        ("neg", "bad", "负", "负面", "负向", "负类", "消极", "差评", "贬义"), "negative"
    ),
    **dict.fromkeys(("neu", "neut", "中", "中性", "中立", "中评"), "neutral"),
    **dict.fromkeys(
        ("pos", "good", "正", "正面", "正向", "正类", "积极", "好评", "褒义"), "positive"
    ),
    "extremely negative": "very negative",
    "extremely positive": "very positive",
}
WORDS = (
    "very negative",
    "negative",
    "neutral",
    "positive",
    "very positive",
)  # the order of their labels
# Numbers whose meaning custom has settled; 0, 1, 2 is not among them: some files begin with neutral. 0, 4 is Sentiment140's.
NUMBERS: dict[tuple[str, ...], tuple[str, ...]] = {
    **dict.fromkeys(
        (("0", "1"), ("-1", "1"), ("1", "2"), ("0", "4"), ("false", "true")),
        ("negative", "positive"),
    ),
    **dict.fromkeys((("-1", "0", "1"), ("0", "2", "4")), ("negative", "neutral", "positive")),
}
KNOWN_LABELS = {*WORDS, *SYNONYMS, *(number for numbers in NUMBERS for number in numbers)}
RARE = 0.001  # of the labels: a value outside the scheme of most others that is as rare, or occurs once, is a fault

TAG = re.compile(
    r"</?(?:br|p|i|b|u|em|strong|span|div|a|hr|font|small|sub|sup|ul|ol|li|h[1-6]|img|blockquote|table|tr|td)(?:\s[^<>]*)?/?>",
    re.I,
)  # and no others: <grin> and 《》 written as <色戒> are words of the review
ENTITY = re.compile(
    r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.I
)  # a bare & is no entity: AT&T
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x9f\xad\u200b\ufeff]")


def _windows(code: int) -> str:
    return bytes([code]).decode("cp1252", errors="ignore")


# Windows-1252 that was decoded as Latin-1 gives dashes, quotes and the ellipsis back (U+0085 is one, in every review seen).
REPAIRED = {chr(code): _windows(code) for code in range(0x80, 0xA0)}


def clean_text(text: str) -> str:
    """Return the text without tags, entities, control characters and odd blanks; cleaning it again changes nothing."""
    while True:
        new = text
        if not new.isascii() or not new.isprintable():
            new = CONTROL.sub(lambda found: REPAIRED.get(found[0], ""), new)
        if "&" in new:
            new = ENTITY.sub(lambda found: unescape(found[0]), new)
        if "<" in new:
            new = TAG.sub(" ", new)
        new = " ".join(new.split())  # no-break, ideographic and line-breaking blanks too
        if new == text:
            return text
        text = new


def names_known(cells: Iterable[object], asked: Iterable[object] = ()) -> bool:
    """Tell whether a first row is a header: one of its cells is a known name of a text or label column, or one asked for."""
    names = {
        *ALIASES["text"],
        *ALIASES["label"],
        *(normalize_name(name) for name in asked if name is not None),
    }
    return any(normalize_name(cell) in names for cell in cells)


def find_columns(
    names: Iterable[object], where: str, text: object = None, label: object = None
) -> dict[str, int]:
    """Return the position of text, label and split, where there are such; `text` and `label` are names that must be there."""
    known = [str(name).strip() for name in names]
    plains = [normalize_name(name) for name in known]
    asked = {"text": text, "label": label}
    for field, name in asked.items():
        if name is not None and normalize_name(name) not in plains:
            raise UserError(
                f"{where} has no column '{name}', which data.{field} asks for{did_you_mean(str(name), known)}"
            )
    found = {}
    for field, aliases in ALIASES.items():
        wanted = aliases if asked.get(field) is None else (normalize_name(asked[field]),)
        hit = next((alias for alias in wanted if alias in plains), None)
        if hit is not None:
            found[field] = plains.index(hit)
    return found


def to_words(values: pd.Series) -> pd.Series:
    """Return labels in one form: lower case, 1.0 as 1, pos and 正面 as positive; '' where missing."""
    codes, distinct = pd.factorize(values)
    text = [re.sub(r"^(-?\d+)\.0+$", r"\1", str(value).strip().casefold()) for value in distinct]
    words = [SYNONYMS.get(word, "" if word in ("nan", "none", "null") else word) for word in text]
    return (
        pd.Series([*words, ""], dtype=object).take(codes).set_axis(values.index)
    )  # code -1, a missing value, takes the last


def to_splits(values: pd.Series) -> pd.Series:
    """Return train, validation, test or unlabelled; missing where it is none of the names of these."""
    return values.astype(str).str.strip().str.casefold().map(SPLITS)


def find_classes(words: pd.Series) -> dict[str, str]:
    """Return the classes of a column of words, in the order of their labels: word -> name.

    A value outside a known scheme is left out if it occurs once, or in at most a thousandth of the rows: then it is a fault.
    """
    counts = words.value_counts()
    schemes = [
        dict(zip(numbers, names, strict=True))
        for numbers, names in NUMBERS.items()
        if set(numbers) <= set(counts.index)
    ]
    schemes.append({word: word for word in WORDS if word in counts.index})
    best = max(schemes, key=lambda scheme: counts[list(scheme)].sum())
    rest = counts.drop(list(best))
    if len(best) > 1 and (rest <= max(1, RARE * len(words))).all() and rest.sum() <= len(words) / 4:
        return best
    return {str(word): str(word) for word in sorted(counts.index, key=_rank)}


def _rank(word: str) -> tuple[int, float, str]:
    """Order numbers by value, then words of sentiment from bad to good, then others by the alphabet."""
    if re.fullmatch(r"-?\d+(\.\d+)?", word):
        return 0, float(word), ""
    return (1, WORDS.index(word), "") if word in WORDS else (2, 0.0, word)


# ---- cells

SEPARATORS = "\t,;|@"  # the last is Financial PhraseBank's
Rows = list[tuple[int, list[str]]]  # the line on which a row begins, and its cells


@dataclass(frozen=True)
class Form:
    """What the first lines tell of a table: what parts its cells, whether it has a header, at which end the text stands."""

    separator: str
    header: bool
    text: Literal["first", "last", "between"]


def find_form(content: str, asked: Iterable[object]) -> Form | None:
    """Return the form of a table, None if it is none.

    The first line is a header if it holds a known name; else labels must stand at one end of most of the first 200 lines.
    """
    lines = [line for line in content.split("\n", 201)[:200] if line.strip()]
    for separator in SEPARATORS:
        cells = [cell.strip(' "') for cell in lines[0].split(separator)]
        if names_known(cells, asked):
            if len(cells) == 1:  # a column of texts alone
                return Form(",", True, "first")
            place = find_columns(cells, "").get("text")
            return Form(
                separator,
                True,
                "first" if place == 0 else "last" if place == len(cells) - 1 else "between",
            )
    for separator in SEPARATORS:
        parted = [line for line in lines if separator in line]
        first = sum(_labels(line.split(separator, 1)[0]) for line in parted)
        last = sum(_labels(line.rsplit(separator, 1)[1]) for line in parted)
        if max(first, last) > len(lines) / 2:
            return Form(separator, False, "last" if first > last else "first")
    return None


def _labels(cell: str) -> bool:
    return cell.strip(' "').casefold() in KNOWN_LABELS


def guess_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Take the longest column for the text; for the label the first other that holds two labels or more, and little else."""
    names = [str(name) for name in frame]
    guess = {"text": max(names, key=lambda name: frame[name].str.len().mean())}
    for name in names:
        known = (words := to_words(frame[name])).isin(KNOWN_LABELS)
        if name != guess["text"] and known.mean() > 0.5 and words[known].nunique() > 1:
            return {**guess, "label": name}
    return guess


def find_rows(content: str, form: Form) -> Rows:
    """Split into rows and cells in the way that gives most rows the same width; blank lines are left out.

    Quotes are trusted where all are closed and doubled as they should be: else an inch mark would swallow lines. They win over
    another way that fits as well, but not if they hide a tab and a line break: an open quote is likelier.
    """
    lines = content.split("\n")
    best: Rows = []
    most = (0.0, 0)
    for way in (_quoted, _escaped, _plain, _at_one_end, _line_by_line):
        rows = [(line, cells) for line, cells in way(lines, form) if any(cells)]
        width = width_of(rows, form)
        fit = sum(len(cells) == width for _, cells in rows) / max(len(rows), 1)
        got = (fit, len(rows) if form.separator == "\t" else 0)
        if got > most:
            best, most = rows, got
        if fit == 1 and (form.separator != "\t" or way is _plain):
            break
    return best


def width_of(rows: Rows, form: Form) -> int:
    """Return the cells of the header, or of most rows."""
    widths = [len(cells) for _, cells in rows[: 1 if form.header else None]]
    return Counter(widths).most_common(1)[0][0] if widths else 0


def _quoted(lines: list[str], form: Form) -> Rows:
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=form.separator, strict=True)
    rows, begin = [], 1
    try:
        for cells in reader:
            rows.append((begin, cells))
            begin = reader.line_num + 1
    except csv.Error:  # a quote that is not closed, or followed by text: no such file
        return []
    return rows


def _escaped(lines: list[str], form: Form) -> Rows:
    """Quotes inside are written \\": hidden meanwhile, for csv's own escapechar switches its strictness off."""
    rows = _quoted([line.replace('\\"', "\1") for line in lines], form)
    return [(line, [cell.replace("\1", '"') for cell in cells]) for line, cells in rows]


def _plain(lines: list[str], form: Form) -> Rows:
    return [(i, line.split(form.separator)) for i, line in enumerate(lines, 1)]


def _at_one_end(lines: list[str], form: Form) -> Rows:
    """Of two columns, or one: the text keeps separators that are too many, and loses quotes that enclose it all."""
    filled = [(i, line) for i, line in enumerate(lines, 1) if line.strip()]
    extra = min(line.count(form.separator) for _, line in filled[: 1 if form.header else None])
    if extra > 1 or form.text == "between":
        return []
    part = str.split if form.text == "last" else str.rsplit
    return [
        (i, [_enclosed(cell) for cell in part(line, form.separator, extra)]) for i, line in filled
    ]


def _enclosed(cell: str) -> str:
    inner = cell.strip()
    return inner[1:-1].replace('""', '"') if re.fullmatch(r'"([^"]|"")*"', inner) else cell


def _line_by_line(lines: list[str], form: Form) -> Rows:
    """Quotes again, but a faulty one ends with its line."""
    return [
        (i, cells)
        for i, line in enumerate(lines, 1)
        for cells in csv.reader([line], delimiter=form.separator)
    ]

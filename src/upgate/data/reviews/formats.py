"""The forms in which reviews are written.

Names of columns, labels and splits; markup in texts; separators of cells. Seen in files of IMDb,
SST-2, GLUE, Movie Reviews, UCI, Financial PhraseBank, Sentiment140, ChnSentiCorp and
ChineseNlpCorpus. Which labels are classes is decided by the full column, never cell by cell.
"""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape
from typing import Literal

import pandas as pd

from upgate import messages
from upgate.data.prices.headers import normalize_name
from upgate.data.texts import say
from upgate.errors import UserError, did_you_mean

# The first alias that occurs wins. Stars are absent on purpose: where good begins is the user's
# choice.
ALIASES = {
    "text": (
        *("text", "texta", "review", "reviewtext", "reviewbody", "sentence", "content", "comment"),
        *("commenttext", "tweet", "phrase", "document", "body", "reviews", "comments", "texts"),
        *("sentences", "cleantext", "tweettext", "message"),
        *("评论", "评论内容", "评价", "评价内容", "内容", "文本", "正文", "句子"),
        *("評論", "評論內容", "評價", "內容", "文本內容", "レビュー", "本文", "리뷰", "댓글"),
    ),
    "label": (
        *("label", "labels", "sentiment", "polarity", "class", "target", "airlinesentiment"),
        *("标签", "情感", "情感标签", "情感倾向", "情感极性", "极性", "情绪", "类别"),
        *("標籤", "情感標籤", "類別", "ラベル", "라벨"),
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
# In the order of their labels.
WORDS = ("very negative", "negative", "neutral", "positive", "very positive")
# Numbers whose meaning is conventional; 0, 1, 2 is not among them: some files begin with neutral.
# 0, 4 is Sentiment140's.
NUMBERS: dict[tuple[str, ...], tuple[str, ...]] = {
    **dict.fromkeys(
        (("0", "1"), ("-1", "1"), ("1", "2"), ("0", "4"), ("false", "true")),
        ("negative", "positive"),
    ),
    **dict.fromkeys((("-1", "0", "1"), ("0", "2", "4")), ("negative", "neutral", "positive")),
}
KNOWN_LABELS = {*WORDS, *SYNONYMS, *(number for numbers in NUMBERS for number in numbers)}
# Share of the labels: a value outside the scheme of most others that is as rare, or occurs once, is
# a fault.
RARE = 0.001

# And no others: <grin> and 《》 written as <色戒> are words of the review.
TAG = re.compile(
    r"</?(?:br|p|i|b|u|em|strong|span|div|a|hr|font|small|sub|sup|ul|ol|li|h[1-6]|img"
    r"|blockquote|table|tr|td)(?:\s[^<>]*)?/?>",
    re.I,
)
# A bare & is no entity: AT&T.
ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.I)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x9f\xad\u200b\ufeff]")


def _windows(code: int) -> str:
    return bytes([code]).decode("cp1252", errors="ignore")


# Windows-1252 that was decoded as Latin-1 gives dashes, quotes and the ellipsis back (U+0085 is
# one, in every review seen).
REPAIRED = {chr(code): _windows(code) for code in range(0x80, 0xA0)}


def clean_text(text: str) -> str:
    """The text without tags, entities, control characters and odd blanks; idempotent."""
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


def is_header(cells: Iterable[object], requested: Iterable[object] = ()) -> bool:
    """Whether a first row is a header.

    One of its cells is a known name of a text or label column, or a requested one.
    """
    own = (normalize_name(name) for name in requested if name is not None)
    names = {*ALIASES["text"], *ALIASES["label"], *own}
    return any(normalize_name(cell) in names for cell in cells)


def find_review_columns(
    names: Iterable[object], where: str, text: object = None, label: object = None
) -> dict[str, int]:
    """The position of text, label and split, as far as there are such.

    Raises UserError where a column named by `text` or `label` is missing.
    """
    known = [str(name).strip() for name in names]
    normalized = [normalize_name(name) for name in known]
    requested = {"text": text, "label": label}
    for field, name in requested.items():
        if name is not None and normalize_name(name) not in normalized:
            known_by = {"where": where, "name": str(name), "key": f"data.{field}"}
            hint = did_you_mean(str(name), known)
            raise UserError(messages.say("column_of_key_missing", hint=hint, **known_by))
    positions = {}
    for field, aliases in ALIASES.items():
        if requested.get(field) is not None:
            aliases = (normalize_name(requested[field]),)
        alias = next((alias for alias in aliases if alias in normalized), None)
        if alias is not None:
            positions[field] = normalized.index(alias)
    return positions


def to_words(values: pd.Series) -> pd.Series:
    """Labels in canonical form: lower case, 1.0 as 1, pos and 正面 as positive; '' if missing."""
    codes, distinct = pd.factorize(values)
    text = [_plain_label(str(value)) for value in distinct]
    words = [SYNONYMS.get(word, "" if word in ("nan", "none", "null") else word) for word in text]
    by_code = pd.Series([*words, ""], dtype=object)  # code -1, a missing value, takes the last
    return by_code.take(codes).set_axis(values.index)


def _plain_label(label: str) -> str:
    """+1 and １ as 1, the typographic −1 as -1, 1.0 as 1."""
    plain = unicodedata.normalize("NFKC", label).replace("−", "-").strip().casefold()
    return re.sub(r"^(?:\+(?=\d)|(-))?(\d+)(?:\.0+)?$", r"\1\2", plain)


def to_splits(values: pd.Series) -> pd.Series:
    """train, validation, test or unlabelled; missing where it is none of the names of these."""
    return values.astype(str).str.strip().str.casefold().map(SPLITS)


def find_classes(words: pd.Series) -> dict[str, str]:
    """The classes of a column of words, in the order of their labels: word -> name.

    A value outside a known scheme is left out if it occurs once, or in at most a thousandth of the
    rows: then it is a fault.
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
    rare = bool((rest <= max(1, RARE * len(words))).all())
    if len(best) > 1 and rare and rest.sum() <= len(words) / 4:
        return best
    return {str(word): str(word) for word in sorted(counts.index, key=_rank)}


def _rank(word: str) -> tuple[int, float, str]:
    """Order numbers by value, then `WORDS` from bad to good, then others by the alphabet."""
    if re.fullmatch(r"-?\d+(\.\d+)?", word):
        return 0, float(word), ""
    return (1, WORDS.index(word), "") if word in WORDS else (2, 0.0, word)


# ---- labels in front of texts

FASTTEXT = re.compile(r"__label__(\S+)\s*(.*)")
NUMBERED = re.compile(r"(-?\d+)\s+(\D.*)")


def labels_in_front(content: str) -> list[tuple[int, str, str]] | None:
    """(line, label, text) of lines such as `__label__1 text` or `1 text`; None for other files.

    Raises UserError for lines with several labels.
    """
    lines = [(i, line) for i, line in enumerate(content.split("\n"), 1) if line.strip()]
    for pattern in (FASTTEXT, NUMBERED):
        head = [pattern.match(line) for _, line in lines[:200]]
        labels = {match[1] for match in head if match}
        if sum(map(bool, head)) <= 0.9 * len(head) or not _are_labels(labels, pattern):
            continue
        rows = []
        for i, line in lines:
            found = pattern.match(line)
            label, text = (found[1], found[2]) if found else ("", line)
            if text.startswith("__label__"):
                second = text.split()[0].removeprefix("__label__")
                raise UserError(say("two_labels", line=i, first=label, second=second))
            rows.append((i, label, text))
        return rows
    return None


def _are_labels(labels: set[str], pattern: re.Pattern[str]) -> bool:
    return pattern is FASTTEXT or (len(labels) > 1 and labels <= KNOWN_LABELS)


# ---- cells

SEPARATORS = "\t,;|@"  # the last is Financial PhraseBank's
ENCLOSED = re.compile(r'"([^"]|"")*"')
Rows = list[tuple[int, list[str]]]  # the line on which a row begins, and its cells


@dataclass(frozen=True)
class Form:
    """The form of a table: its separator, whether it has a header, in which column the text is."""

    separator: str
    header: bool
    text: Literal["first", "last", "between"]


def find_form(content: str, requested: Iterable[object]) -> Form | None:
    """The form of a table, None if it is none.

    The first line is a header if it holds a known name, or short names above a column of labels;
    else labels must stand in a column of most of the first 200 lines, or columns be requested by
    their numbers.
    """
    lines = [line for line in content.split("\n", 201)[:200] if line.strip()]
    asked = [name for name in requested if name is not None]
    named = [name for name in asked if not str(name).isdecimal()]
    for separator in SEPARATORS:
        cells = [cell.strip(' "') for cell in lines[0].split(separator)]
        if is_header(cells, named) or (
            len(cells) > 1
            and set(map(str, asked)) <= set(cells)
            and all(cell.isdecimal() or not cell for cell in cells)
            and len(set(cells)) == len(cells)
            and len(asked) > 0
        ):
            return _header_form(cells, separator)
    form = _headerless_form(lines)
    if form is None and asked and not named:
        separator = max(SEPARATORS, key=lambda mark: sum(mark in line for line in lines))
        return Form(separator, False, "between")
    return form


def _headerless_form(lines: list[str]) -> Form | None:
    """The form of lines that have labels in one column; None where most of them have none."""
    for separator in SEPARATORS:
        split = [line for line in lines if separator in line]
        first = [_is_label(line.split(separator, 1)[0]) for line in split]
        last = [_is_label(line.rsplit(separator, 1)[1]) for line in split]
        if max(sum(first), sum(last)) > len(lines) / 2:
            at_end = first if sum(first) > sum(last) else last
            cells = lines[0].split(separator)
            if not at_end[0] and all(at_end[1:]) and _are_names(cells):
                return _header_form([cell.strip(' "') for cell in cells], separator)
            return Form(separator, False, "last" if at_end is first else "first")
    return _middle_form(lines)


def _are_names(cells: list[str]) -> bool:
    names = [cell.strip(' "') for cell in cells]
    return len(names) > 1 and all(re.fullmatch(r"[^\W\d][\w .-]{0,29}", name) for name in names)


def _middle_form(lines: list[str]) -> Form | None:
    """The form of lines whose labels stand between other cells."""
    for separator in SEPARATORS:
        rows = [next(csv.reader([line], delimiter=separator), []) for line in lines]
        width = Counter(map(len, rows)).most_common(1)[0][0]
        whole = [row for row in rows if len(row) == width]
        if width < 3 or len(whole) < len(rows) / 2:
            continue
        for column in zip(*whole, strict=True):
            labels = {cell for cell in column if _is_label(cell)}
            share = sum(cell in labels for cell in column) / len(column)
            if share > 0.5 and len(labels) > 1:
                return Form(separator, False, "between")
    return None


def _header_form(cells: list[str], separator: str) -> Form:
    if len(cells) == 1:  # a column of texts alone
        return Form(",", True, "first")
    position = find_review_columns(cells, "").get("text")
    if position == 0:
        return Form(separator, True, "first")
    return Form(separator, True, "last" if position == len(cells) - 1 else "between")


def _is_label(cell: str) -> bool:
    return cell.strip(' "').casefold() in KNOWN_LABELS


def guess_columns(frame: pd.DataFrame) -> dict[str, str]:
    """The longest column as the text; as the label the first other that is mostly labels.

    It must hold two different ones at least.
    """
    names = [str(name) for name in frame]
    guess = {"text": max(names, key=lambda name: frame[name].str.len().mean())}
    for name in names:
        known = (words := to_words(frame[name])).isin(KNOWN_LABELS)
        if name != guess["text"] and known.mean() > 0.5 and words[known].nunique() > 1:
            return {**guess, "label": name}
    return guess


def find_rows(content: str, form: Form) -> Rows:
    """Split into rows and cells in the way that gives most rows the same width.

    Blank lines are left out. Quotes are trusted where all are closed and doubled as they should be:
    else an inch mark would swallow lines. They win over another way that fits as well, but not if
    they hide a tab and a line break: an open quote is likelier, unless the first line has all cells
    in quotes.
    """
    lines = content.split("\n")
    is_doubtful = form.separator == "\t" and not all(map(ENCLOSED.fullmatch, lines[0].split("\t")))
    best: Rows = []
    most = (0.0, 0)
    for way in (_quoted, _escaped, _unquoted, _at_one_end, _line_by_line):
        rows = [(line, cells) for line, cells in way(lines, form) if any(cells)]
        width = row_width(rows, form)
        fit = sum(len(cells) == width for _, cells in rows) / max(len(rows), 1)
        quality = (fit, len(rows) if is_doubtful else 0)
        if quality > most:
            best, most = rows, quality
        if fit == 1 and not (is_doubtful and _hides_lines(rows)):
            break
    return best


def _hides_lines(rows: Rows) -> bool:
    """Whether a cell holds a tab and a line break: where an open quote swallows lines, it does."""
    return any("\t" in cell and "\n" in cell for _, cells in rows for cell in cells)


def row_width(rows: Rows, form: Form) -> int:
    """The number of cells of the header, or of most rows."""
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
    """Quotes inside are written \\": hidden meanwhile, for csv's escapechar ends its strictness."""
    rows = []
    for line, cells in _quoted([line.replace('\\"', "\1") for line in lines], form):
        rows.append((line, [cell.replace("\1", '"') for cell in cells]))
    return rows


def _unquoted(lines: list[str], form: Form) -> Rows:
    return [(i, line.split(form.separator)) for i, line in enumerate(lines, 1)]


def _at_one_end(lines: list[str], form: Form) -> Rows:
    """Of two columns, or one: the text keeps surplus separators, and loses enclosing quotes."""
    filled = [(i, line) for i, line in enumerate(lines, 1) if line.strip()]
    extra = min(line.count(form.separator) for _, line in filled[: 1 if form.header else None])
    if extra > 1 or form.text == "between":
        return []
    split = str.split if form.text == "last" else str.rsplit
    rows = []
    for i, line in filled:
        rows.append((i, [_enclosed(cell) for cell in split(line, form.separator, extra)]))
    return rows


def _enclosed(cell: str) -> str:
    inner = cell.strip()
    return inner[1:-1].replace('""', '"') if ENCLOSED.fullmatch(inner) else cell


def _line_by_line(lines: list[str], form: Form) -> Rows:
    """Quotes again, but a faulty one ends with its line."""
    return [
        (i, cells)
        for i, line in enumerate(lines, 1)
        for cells in csv.reader([line], delimiter=form.separator)
    ]

"""The canonical table of reviews: what it holds, what is refused, and its identity."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

import numpy as np
import pandas as pd

from upgate.data.cleaning import TableCleaner
from upgate.data.reviews.formats import clean_text, find_classes, to_splits, to_words
from upgate.data.texts import say
from upgate.errors import UserError

MAX_CLASSES = 50  # more distinct labels are scores or ids, taken for labels


@dataclass(frozen=True, eq=False)
class Reviews:
    """Labelled texts in the order of their source; no text is empty, repeats are kept.

    `table`: text (str, cleaned), label (int64, 0 to K-1) and, only where the source has an official
    split, split (str: train, validation, test). `classes`: the K names of the labels. `source`: a
    phrase that says where they came from. `dropped`: reason -> rows left out, if any. `ceiling`:
    the best attainable accuracy on the test part, known for generated reviews.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    source: str
    dropped: dict[str, int]
    ceiling: float | None = None

    def hash(self) -> str:
        """The sha256 of the values in their order, in hex: the same for every file format."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        split = self.table["split"].tolist() if "split" in self.table else []
        head = json.dumps([len(self.table), *self.classes])
        texts = "\0".join([head, *split, *self.table["text"]])  # no text holds a \0
        digest = hashlib.sha256(texts.encode())
        digest.update(self.table["label"].to_numpy("<i8").tobytes())
        return digest.hexdigest()


def clean_reviews(raw: pd.DataFrame, *, where: str, bad: str = "refuse") -> Reviews:
    """The canonical table of raw columns text, label, and perhaps split and fault.

    fault: what is wrong with a row. `where` names the table in errors and becomes the source; its
    index names the rows. Dropped and counted are blank rows, missing labels, missing texts and
    texts without a character after cleaning. A fault, an unknown split and a label that is none of
    the others raise UserError, or are dropped and counted where `bad` is "drop"; one label alone,
    or more than `MAX_CLASSES`, always raise.
    """
    if bad not in ("refuse", "drop"):
        raise UserError(say("bad_refuse_or_drop", bad=bad))
    cleaner = TableCleaner(raw, where, bad)
    if "fault" in raw:
        faults = raw["fault"].fillna("")
        cleaner.reject(faults != "", "wrong number of cells", lambda row: row["fault"])
    if "split" in raw:
        name_splits(cleaner)
    clean_texts(cleaner)
    classes = number_labels(cleaner)
    columns = [name for name in ("text", "label", "split") if name in cleaner.frame]
    types = {name: np.int64 if name == "label" else str for name in columns}
    table = cleaner.frame[columns].reset_index(drop=True).astype(types)
    return Reviews(table, classes, where, dict(cleaner.dropped))


def name_splits(cleaner: TableCleaner) -> None:
    """Name the splits train, validation and test; drop the column if none is one of these.

    Rows that have no label on purpose are dropped.
    """
    cleaner.drop(to_splits(cleaner.frame["split"]) == "unlabelled", "unlabelled")
    names = to_splits(cleaner.frame["split"])
    if names.isna().all():
        cleaner.frame = cleaner.frame.drop(columns="split")
        return
    cleaner.reject(
        names.isna(),
        "unknown split",
        lambda row: say("no_split", split=str(row["split"])),
    )
    cleaner.frame = cleaner.frame.assign(split=names.dropna())
    # GLUE's way to hide labels; elsewhere it is a label.
    minus = to_words(cleaner.frame["label"]) == "-1"
    cleaner.drop(minus.groupby(cleaner.frame["split"]).transform("all"), "unlabelled")


def clean_texts(cleaner: TableCleaner) -> None:
    """Clean the texts, and leave out rows without one."""
    text = cleaner.frame["text"]
    missing = text.isna() | (text.astype(str).str.strip() == "")
    blank = missing & (to_words(cleaner.frame["label"]) == "")
    cleaner.drop(blank, "blank")
    cleaner.drop(missing[~blank], "no text")
    cleaned = [clean_text(text) for text in cleaner.frame["text"].astype(str)]
    cleaner.frame = cleaner.frame.assign(
        text=pd.Series(cleaned, index=cleaner.frame.index, dtype=object)
    )
    cleaner.drop(cleaner.frame["text"] == "", "empty after cleaning")


def number_labels(cleaner: TableCleaner) -> tuple[str, ...]:
    """Replace the label column by labels 0 to K-1; return the names of the classes."""
    cleaner.frame = cleaner.frame.assign(word=to_words(cleaner.frame["label"]))
    cleaner.drop(cleaner.frame["word"] == "", "unlabelled")
    if cleaner.frame.empty:
        raise UserError(say("no_reviews", where=cleaner.where, dropped=cleaner.describe_dropped()))
    trained = cleaner.frame["word"]
    if "split" in cleaner.frame and (is_train := cleaner.frame["split"] == "train").any():
        trained = trained[is_train]  # a test part may write its labels in another way
    classes = find_classes(trained)
    check_count(classes, cleaner.where)
    names = ", ".join(classes)
    cleaner.reject(
        ~cleaner.frame["word"].isin(classes),
        "unknown label",
        lambda row: say("no_label", label=row["word"][:30], names=names),
    )
    labels = {word: label for label, word in enumerate(classes)}
    cleaner.frame = cleaner.frame.assign(label=cleaner.frame["word"].map(labels))
    return tuple(classes.values())


def check_count(classes: dict[str, str], where: str) -> None:
    """Raise UserError for one class, and for more than `MAX_CLASSES`."""
    if len(classes) > MAX_CLASSES:
        some = ", ".join(f"'{name[:30]}'" for name in list(classes)[:3])
        raise UserError(say("too_many_labels", where=where, count=len(classes), some=some))
    if len(classes) < 2:
        raise UserError(say("one_label", where=where, label=next(iter(classes))))


def leaked(train: Sequence[str], test: Sequence[str]) -> np.ndarray:
    """Which test texts also occur in the training part, letter by letter: (len(test),) bool."""
    seen = set(train)
    return np.fromiter((text in seen for text in test), bool, len(test))


def draw_train(reviews: Reviews, n: int) -> Reviews:
    """Keep n training reviews (of all, where there is no split), each class by its share.

    Other splits are kept completely. The draw is the same on every machine. Raises UserError where
    there are fewer than n, or n is less than the number of classes.
    """
    table = reviews.table
    pool = np.flatnonzero(table["split"] == "train") if "split" in table else np.arange(len(table))
    if not len(reviews.classes) <= n <= len(pool):
        raise UserError(say("subset_out_of_range", n=n, least=len(reviews.classes), most=len(pool)))
    labels = table["label"].to_numpy()[pool]
    draw = Random(0).random  # a sequence that Python promises to keep
    shuffled = np.argsort([draw() for _ in pool], kind="stable")
    drawn = labels[shuffled]
    rank = pd.Series(drawn).groupby(drawn).cumcount().to_numpy()  # the number within its class
    share = (rank + 0.5) / np.bincount(labels)[drawn]
    # Every class is used up at the same pace.
    kept = pool[shuffled[np.argsort(share, kind="stable")[:n]]]
    keep = np.ones(len(table), dtype=bool)
    keep[np.setdiff1d(pool, kept)] = False
    source = f"{reviews.source}, {n} training reviews drawn"
    return replace(reviews, table=table[keep].reset_index(drop=True), source=source)

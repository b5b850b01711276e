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
from upgate.errors import UserError

MOST_CLASSES = 50  # more distinct labels are scores or ids, taken for labels


@dataclass(frozen=True, eq=False)
class Reviews:
    """Labelled texts in the order of their source; no text is empty, repeats are kept.

    `table`: text (str, cleaned), label (int64, 0 to K-1) and, only where the source has an official split, split (str: train,
    validation, test). `classes`: the K names of the labels. `source`: a phrase that says where they came from. `dropped`:
    reason -> rows left out, if any. `ceiling`: the best attainable accuracy on the test part, known for generated reviews.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    source: str
    dropped: dict[str, int]
    ceiling: float | None = None

    def hash(self) -> str:
        """Return the sha256 of the values in their order, in hex: the same for every file that holds these reviews."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        split = self.table["split"].tolist() if "split" in self.table else []
        head = json.dumps([len(self.table), *self.classes])
        digest = hashlib.sha256(
            "\0".join([head, *split, *self.table["text"]]).encode()
        )  # no text holds a \0
        digest.update(self.table["label"].to_numpy("<i8").tobytes())
        return digest.hexdigest()


def clean(raw: pd.DataFrame, *, where: str, bad: str = "refuse") -> Reviews:
    """Return the canonical table of raw columns text, label, perhaps split, and perhaps fault, which says what is wrong with a row.

    `where` names the table in errors and becomes the source; its index names the rows. Dropped and counted are blank rows,
    missing labels, missing texts and texts without a character after cleaning. A fault, an unknown split and a label that is
    none of the others raise `UserError`, or are dropped and counted where `bad` is "drop"; one label alone, or more than
    `MOST_CLASSES`, always raise.
    """
    if bad not in ("refuse", "drop"):
        raise UserError(f"data.bad is '{bad}', but it can only be refuse or drop")
    sieve = TableCleaner(raw, where, bad)
    if "fault" in raw:
        faults = raw["fault"].fillna("")
        sieve.reject(faults != "", "wrong number of cells", lambda row: row["fault"])
    if "split" in raw:
        name_splits(sieve)
    clean_texts(sieve)
    classes = number_labels(sieve)
    columns = [name for name in ("text", "label", "split") if name in sieve.frame]
    table = (
        sieve.frame[columns]
        .reset_index(drop=True)
        .astype({"label": np.int64, **dict.fromkeys(set(columns) - {"label"}, str)})
    )
    return Reviews(table, classes, where, dict(sieve.dropped))


def name_splits(sieve: TableCleaner) -> None:
    """Call the splits train, validation and test, or forget them if none is; drop what is without labels on purpose."""
    sieve.drop(to_splits(sieve.frame["split"]) == "unlabelled", "unlabelled")
    names = to_splits(sieve.frame["split"])
    if names.isna().all():
        sieve.frame = sieve.frame.drop(columns="split")
        return
    sieve.reject(
        names.isna(),
        "unknown split",
        lambda row: f"the split is '{row['split']}', not train, validation or test",
    )
    sieve.frame = sieve.frame.assign(split=names.dropna())
    minus = (
        to_words(sieve.frame["label"]) == "-1"
    )  # GLUE's way to hide labels; elsewhere it is a label
    sieve.drop(minus.groupby(sieve.frame["split"]).transform("all"), "unlabelled")


def clean_texts(sieve: TableCleaner) -> None:
    """Clean the texts, and leave out rows without one."""
    text = sieve.frame["text"]
    missing = text.isna() | (text.astype(str).str.strip() == "")
    blank = missing & (to_words(sieve.frame["label"]) == "")
    sieve.drop(blank, "blank")
    sieve.drop(missing[~blank], "no text")
    cleaned = [clean_text(text) for text in sieve.frame["text"].astype(str)]
    sieve.frame = sieve.frame.assign(text=pd.Series(cleaned, index=sieve.frame.index, dtype=object))
    sieve.drop(sieve.frame["text"] == "", "empty after cleaning")


def number_labels(sieve: TableCleaner) -> tuple[str, ...]:
    """Make labels 0 to K-1 of the label column, and return the names of the classes."""
    sieve.frame = sieve.frame.assign(word=to_words(sieve.frame["label"]))
    sieve.drop(sieve.frame["word"] == "", "unlabelled")
    if sieve.frame.empty:
        why = ", ".join(f"{count} {reason}" for reason, count in sieve.dropped.items())
        raise UserError(
            f"{sieve.where} holds no labelled review" + (f" (dropped: {why})" if why else "")
        )
    found = find_classes(sieve.frame["word"])
    if len(found) > MOST_CLASSES:
        some = ", ".join(f"'{name[:30]}'" for name in list(found)[:3])
        raise UserError(
            f"{sieve.where} has {len(found)} different labels ({some}, ...), which are no classes; name another data.label"
        )
    if len(found) < 2:
        raise UserError(
            f"{sieve.where} has only the label '{next(iter(found))}': two classes at least are needed to tell apart"
        )
    said = ", ".join(found)
    sieve.reject(
        ~sieve.frame["word"].isin(found),
        "unknown label",
        lambda row: f"the label '{row['word'][:30]}' is none of {said}",
    )
    labels = {word: label for label, word in enumerate(found)}
    sieve.frame = sieve.frame.assign(label=sieve.frame["word"].map(labels))
    return tuple(found.values())


def leaked(train: Sequence[str], test: Sequence[str]) -> np.ndarray:
    """Return a mask, (len(test),) bool: which test texts also occur in the training part, letter by letter."""
    seen = set(train)
    return np.fromiter((text in seen for text in test), bool, len(test))


def draw_train(reviews: Reviews, n: int) -> Reviews:
    """Keep n training reviews (of all, where there is no split), each class by its share; other splits stay whole.

    The draw is the same on every machine. Raises `UserError` where there are fewer than n, or n is less than the classes.
    """
    table = reviews.table
    pool = np.flatnonzero(table["split"] == "train") if "split" in table else np.arange(len(table))
    if not len(reviews.classes) <= n <= len(pool):
        raise UserError(
            f"data.subset is {n}, but it can only be {len(reviews.classes)} to {len(pool)}, the training reviews there are"
        )
    labels = table["label"].to_numpy()[pool]
    draw = Random(0).random  # a sequence that Python promises to keep
    shuffled = np.argsort([draw() for _ in pool], kind="stable")
    rank = (
        pd.Series(labels[shuffled]).groupby(labels[shuffled]).cumcount().to_numpy()
    )  # its number within its class
    share = (rank + 0.5) / np.bincount(labels)[labels[shuffled]]
    kept = pool[
        shuffled[np.argsort(share, kind="stable")[:n]]
    ]  # every class is used up at the same pace
    keep = np.ones(len(table), dtype=bool)
    keep[np.setdiff1d(pool, kept)] = False
    source = f"{reviews.source}, {n} training reviews drawn"
    return replace(reviews, table=table[keep].reset_index(drop=True), source=source)

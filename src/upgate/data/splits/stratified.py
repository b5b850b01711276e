"""Parts of a table of labelled rows, drawn class by class.

`stratified` keeps an official split and draws what it lacks; `cross_validation` tests every row
once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upgate.config.schema import Range, build
from upgate.config.values import Section
from upgate.data.texts import say
from upgate.errors import UserError
from upgate.seeds import derive

PARTS = ("train", "validation", "test")
Share = Annotated[float, Range("above 0 and at most 0.5", {"exclusiveMinimum": 0, "maximum": 0.5})]
Folds = Annotated[int, Range("2 or more", {"minimum": 2})]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stratified:
    """conf/split/stratified.yaml

    test: share of all rows, where there is no official test part. validation: share of the training
    rows, where there is no official validation part: fold k takes the k-th block of that share, so
    that folds 0 to 1/validation - 1 are a cross-validation. refit: train on the validation part
    too, for a last run whose length is chosen. closed: do not touch the test part and score on the
    validation part instead.
    """

    name: str
    validation: Share
    test: Share
    refit: bool = False
    closed: bool = False


@dataclass(frozen=True)
class CrossValidation:
    """conf/split/cross_validation.yaml

    Fold k is tested on the k-th of so many parts of each class and trained on the others, but for
    `validation` of them. refit: as of Stratified.
    """

    name: str
    folds: Folds
    validation: Share
    refit: bool = False


SPLITS: Mapping[str, type[Stratified | CrossValidation]] = {
    "stratified": Stratified,
    "cross_validation": CrossValidation,
}


def check_stratified(config: Section) -> dict[str, Any]:
    """The split's checked values. Raises UserError for one that cuts by date."""
    if config["name"] not in SPLITS:
        raise UserError(say("by_date", name=config["name"]))
    values = vars(build(SPLITS[config["name"]], config, "split"))
    return {key: value for key, value in values.items() if value is not False}


def split_rows(
    labels: Ints,
    official: NDArray[np.object_] | None,
    split: Section,
    fold: int,
    classes: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Rows of each part, (n,) int64.

    official: the name of each row's part, or None. classes: their names, for the UserError that a
    class which a part lacks raises.
    """
    if official is None:
        none = np.array([], int)
        rows = {"train": np.arange(len(labels)), "validation": none, "test": none}
    else:
        rows = {part: np.flatnonzero(official == part) for part in PARTS}
    if split["name"] == "cross_validation":
        rows["train"], rows["test"] = _test_fold(labels, rows, split["folds"], fold)
        fold = 0  # of the validation part
    elif not len(rows["test"]):
        rows["train"], rows["test"] = draw(labels, rows["train"], split["test"], 0, "test")
    if not len(rows["validation"]):
        rows["train"], rows["validation"] = draw(
            labels, rows["train"], split["validation"], fold, "validation"
        )
    elif fold:
        raise UserError(say("fold_of_official", fold=fold))
    if split.get("refit"):
        rows["train"] = np.union1d(rows["train"], rows["validation"])
    if split.get("closed"):
        rows["test"] = rows["validation"]
    for part, chosen in rows.items():
        check_classes(labels, chosen, part, classes)
    return {part: torch.from_numpy(chosen) for part, chosen in rows.items()}


def _test_fold(labels: Ints, rows: Mapping[str, Ints], folds: int, fold: int) -> tuple[Ints, Ints]:
    """Training and test rows of a fold of a cross-validation. Raises UserError."""
    if len(rows["test"]):
        raise UserError(say("official_test"))
    if fold >= folds:
        raise UserError(say("fold_beyond", fold=fold, folds=folds, last=folds - 1))
    return draw(labels, rows["train"], 1 / folds, fold, "test")


def check_classes(labels: Ints, rows: Ints, part: str, classes: Sequence[str]) -> None:
    """Raise UserError where a part has no row of some class."""
    missing = set(labels.tolist()) - set(labels[rows].tolist())
    if missing:
        first = min(missing)
        name = classes[first] if classes else first
        share = "test" if part == "test" else "validation"
        raise UserError(
            say(
                "class_missing",
                part=part,
                count=len(rows),
                name=str(name),
                all=int((labels == first).sum()),
                share=share,
            )
        )


def draw(labels: Ints, rows: Ints, share: float, block: int, part: str) -> tuple[Ints, Ints]:
    """Split rows into (the others, the `block`-th `share` of each class), both sorted.

    The draw does not depend on a run's seed. Raises UserError for a block that does not exist.
    """
    blocks = int(1 / share + 1e-9)
    if block >= blocks:
        raise UserError(
            say("fold_beyond_share", fold=block, part=part, share=str(share), last=blocks - 1)
        )
    drawn = []
    for label in np.unique(labels[rows]):
        rng = np.random.default_rng(derive(0, part, int(label)))
        shuffled = rng.permutation(rows[labels[rows] == label])
        edges = np.round(np.arange(blocks + 1) * share * len(shuffled)).astype(int)
        drawn.append(shuffled[edges[block] : edges[block + 1]])
    taken = np.sort(np.concatenate(drawn))
    return np.setdiff1d(rows, taken), taken

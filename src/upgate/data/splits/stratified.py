"""Parts of a table of labelled rows: an official split is kept, what it lacks is drawn class by class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upgate.config.schema import Range, build
from upgate.errors import UserError
from upgate.seeds import derive

PARTS = ("train", "validation", "test")
Share = Annotated[float, Range("above 0 and at most 0.5", lambda x: 0 < x <= 0.5)]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stratified:
    """`test`: share of all rows, where no official test part is. `validation`: share of the training rows, where no official one is:
    fold k takes the k-th block of that share, so that folds 0 to 1/validation - 1 are a cross-validation. `refit`: train on the validation
    part too, for a last run whose length is chosen. `closed`: leave the test part alone and score on the validation part instead."""

    name: str
    validation: Share
    test: Share
    refit: bool = False
    closed: bool = False


def check_split(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The split's checked knobs. Raises UserError for one that cuts by date."""
    if asked["name"] != "stratified":
        raise UserError(f"split={asked['name']} cuts prices by date; reviews take split=stratified")
    knobs = vars(build(Stratified, asked, "split"))
    return {key: value for key, value in knobs.items() if value is not False}


def parts_of(
    labels: Ints, official: NDArray[np.object_] | None, split: Mapping[str, Any], fold: int
) -> dict[str, Tensor]:
    """Rows of each part, (n,) int64. `official`: the name of each row's part, or None. Raises UserError for a class missing from a part."""
    rows = (
        {part: np.flatnonzero(official == part) for part in PARTS} if official is not None else {}
    )
    rows = rows or {
        "train": np.arange(len(labels)),
        "validation": np.array([], int),
        "test": np.array([], int),
    }
    if not len(rows["test"]):
        rows["train"], rows["test"] = draw(labels, rows["train"], split["test"], 0, "test")
    if not len(rows["validation"]):
        rows["train"], rows["validation"] = draw(
            labels, rows["train"], split["validation"], fold, "validation"
        )
    elif fold:
        raise UserError(
            f"fold={fold} is not there: these reviews have an official validation part, which is fold 0"
        )
    if split.get("refit"):
        rows["train"] = np.union1d(rows["train"], rows["validation"])
    if split.get("closed"):
        rows["test"] = rows["validation"]
    for part, found in rows.items():
        missing = set(labels.tolist()) - set(labels[found].tolist())
        if missing:
            raise UserError(
                f"the {part} part holds {len(found)} reviews and none of class {min(missing)}; give more reviews"
            )
    return {part: torch.from_numpy(found) for part, found in rows.items()}


def draw(labels: Ints, rows: Ints, share: float, block: int, part: str) -> tuple[Ints, Ints]:
    """Split rows into (the others, the `block`-th `share` of each class), both sorted; the same for every seed of a run."""
    blocks = int(1 / share + 1e-9)
    if block >= blocks:
        raise UserError(
            f"fold={block} is not there; split.{part}={share} gives folds 0 to {blocks - 1}"
        )
    drawn = []
    for label in np.unique(labels[rows]):
        own = np.random.default_rng(derive(0, part, int(label))).permutation(
            rows[labels[rows] == label]
        )
        edges = np.round(np.arange(blocks + 1) * share * len(own)).astype(int)
        drawn.append(own[edges[block] : edges[block + 1]])
    taken = np.sort(np.concatenate(drawn))
    return np.setdiff1d(rows, taken), taken

"""The parts of the data that a search may see.

Folds for its trials, and the test part that is opened once, after the choice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from upgate.config.values import Section
from upgate.data.datamodule import FoldDataModule
from upgate.errors import UserError
from upgate.tasks.blocks import Block
from upgate.tasks.texts import say

FOLDS = 3


@dataclass(frozen=True)
class BlockRequest:
    """What a task needs to know to cut the data for a search.

    split: the checked section of the run as it was given; folds: how many were requested, None for
    the default; datamodule: overrides of the split and a fold -> the tensors of that fold.
    """

    split: Section
    folds: int | None
    nested: bool
    table: Any
    datamodule: Callable[[Sequence[str], int], FoldDataModule]


def split_overrides(split: Section, name: str, keys: Sequence[str]) -> list[str]:
    """The overrides that choose a split and set these keys to the values that `split` has."""
    return [f"split={name}", *(f"split.{key}={split[key]}" for key in keys)]


def stratified_block(request: BlockRequest, limit: int, reason: str, refusal: str) -> Block:
    """Validation folds of the training part; the test part stays closed during the search.

    limit: the largest number of folds, for a `reason` that an error states; refusal: the error for
    a nested search. Raises UserError.
    """
    if request.nested:
        raise UserError(refusal)
    if request.split["name"] != "stratified":
        raise UserError(say("tests_every_row", split=str(request.split["name"])))
    folds = request.folds or min(FOLDS, limit)
    if folds > limit:
        raise UserError(say("more_folds_than_there", folds=folds, reason=reason, limit=limit))
    final = split_overrides(request.split, "stratified", ("validation", "test"))
    return Block("", [*final, "split.closed=true"], list(range(folds)), final, [0])

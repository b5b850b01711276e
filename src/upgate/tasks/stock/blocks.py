"""Prices for a search: walk-forward folds that end before the test part, with gap and purge.

A nested search has a block of its own before each test block of walk-forward.
"""

from collections.abc import Sequence

from upgate.config.values import Section
from upgate.data.datamodule import FoldDataModule
from upgate.errors import UserError
from upgate.tasks.blocks import Block
from upgate.tasks.search_blocks import FOLDS, BlockRequest, split_overrides
from upgate.tasks.stock.datamodule import StockDataModule
from upgate.tasks.stock.texts import say


def search_blocks(request: BlockRequest) -> list[Block]:
    """One block, or one for each test block of a nested search. Raises UserError."""
    split = request.split
    folds = list(range(request.folds or FOLDS))
    walks = split["name"] == "walk_forward"
    if request.nested and not walks:
        raise UserError(say("nested_of_walk"))
    name, keys = "holdout", ["validation", "test", "gap"]
    if walks:
        name, keys = "walk_forward", [*keys, "folds"]
    final = split_overrides(split, name, keys)
    tests = list(range(split["folds"])) if walks else [0]
    if not request.nested:
        return [Block("", before_test(split, folds, split["test"]), folds, final, tests)]
    shares = [share_of_test(request.datamodule(final, k)) for k in tests]
    return [
        Block(f"fold {k}", before_test(split, folds, share), folds, final, [k])
        for k, share in zip(tests, shares, strict=True)
    ]


def share_of_test(data: FoldDataModule) -> float:
    """The share of all dates from the start of a fold's test part on."""
    assert isinstance(data, StockDataModule)
    return share_from(data.fold.test.start, len(data.tensors.panel.dates))


def share_from(start: int, n: int) -> float:
    """The share of n dates from `start` on, such that int(n * share) is exact."""
    return (n - start + 0.5) / n


def before_test(split: Section, folds: Sequence[int], test: float) -> list[str]:
    """Walk-forward folds that end a gap before the last `test` of the dates."""
    shortened = {**split, "folds": len(folds), "test": test}
    return split_overrides(shortened, "development", ("folds", "validation", "test", "gap"))

"""The parts of the data that a search may see: folds for its trials, and the test part that is opened once, after the choice.

Prices: walk-forward folds that end before the test part (split=development), gap and purge as everywhere. Reviews: the stratified
validation blocks of the training part, the test part closed. Nested (prices): before each test block of walk-forward a search of its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upgate.errors import UserError
from upgate.execution.driver import Job
from upgate.experiment.jobs import make_job
from upgate.run.datasets import Datasets
from upgate.tune.options import Asked

FOLDS = 3


@dataclass(frozen=True)
class Block:
    """A search and the test that follows it. search, final: words of the split; folds, tests: which of its folds."""

    name: str  # empty where there is but one
    search: list[str]
    folds: list[int]
    final: list[str]
    tests: list[int]


def without_split(words: Sequence[str]) -> list[str]:
    return [word for word in words if not re.match(r"split[.=]", word)]


def blocks_of(
    base: Job, asked: Asked, words: Sequence[str], extra: str | None, library: Datasets
) -> list[Block]:
    """The search's blocks; `base` is a job of the words as they are. Raises UserError for folds that are not there."""
    split = base.spec.split
    if base.spec.task["name"] != "stock":
        return [reviews(base, asked, library)]
    folds = list(range(asked.folds or FOLDS))
    walks = split["name"] == "walk_forward"
    if asked.nested and not walks:
        raise UserError(
            "tune.nested=true searches before each test block of walk-forward; give split=walk_forward beside it"
        )
    final = said(
        split,
        "walk_forward" if walks else "holdout",
        ("validation", "test", "gap", *(("folds",) if walks else ())),
    )
    tests = list(range(split["folds"])) if walks else [0]
    if not asked.nested:
        return [Block("", inner(split, folds, split["test"]), folds, final, tests)]
    plain = [*without_split(words), "twin=false"]
    outer = [
        library.fetch(make_job([*plain, *final, f"fold={k}"], library, extra)[0])[1] for k in tests
    ]
    shares = [share_from(one.fold.test.start, len(one.tensors.panel.dates)) for one in outer]  # type: ignore[attr-defined]
    return [
        Block(f"fold {k}", inner(split, folds, share), folds, final, [k])
        for k, share in zip(tests, shares, strict=True)
    ]


def share_from(start: int, n: int) -> float:
    """The share of n dates that stands from `start` on, such that int(n * share) is exact."""
    return (n - start + 0.5) / n


def inner(split: Mapping[str, Any], folds: Sequence[int], test: float) -> list[str]:
    """Walk-forward folds that end a gap before the last `test` of the dates."""
    return said(
        {**split, "folds": len(folds), "test": test},
        "development",
        ("folds", "validation", "test", "gap"),
    )


def said(split: Mapping[str, Any], name: str, knobs: Sequence[str]) -> list[str]:
    return [f"split={name}", *(f"split.{knob}={split[knob]}" for knob in knobs)]


def reviews(base: Job, asked: Asked, library: Datasets) -> Block:
    if asked.nested:
        raise UserError(
            "tune.nested=true is for prices: reviews have one test part, which a search leaves closed"
        )
    split, table = base.spec.split, library.fetch(base)[0].table  # type: ignore[attr-defined]
    official = "split" in table and bool((table["split"] == "validation").any())
    there = 1 if official else int(1 / split["validation"] + 1e-9)
    folds = asked.folds or min(FOLDS, there)
    if folds > there:
        why = (
            "these reviews have an official validation part"
            if official
            else f"split.validation={split['validation']}"
        )
        raise UserError(f"tune.folds={folds} is more than there are: {why} gives {there}")
    final = said(split, "stratified", ("validation", "test"))
    return Block("", [*final, "split.closed=true"], list(range(folds)), final, [0])

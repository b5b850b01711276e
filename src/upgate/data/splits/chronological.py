"""Chronological folds as pure integers: n sorted dates in, ranges of them out.

All fractions are of dates, not of rows. `test` is the share of all dates that is ever tested, by
all folds together: so `holdout`, `walk_forward` and `development` with the same `test` agree on
which dates are the last, untouched ones. With `refit` a fold trains on its validation part too, for
a last run whose length is chosen: what is validated then has been trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from upgate.config.schema import Fraction, NonNegativeInt, PositiveInt, check
from upgate.config.values import Section
from upgate.data.texts import say
from upgate.errors import UserError

Gap = NonNegativeInt | None  # null, in a configuration: the horizon


@dataclass(frozen=True)
class Fold:
    """Ranges of the n sorted distinct dates; `gap` dates between two parts are unused."""

    train: range
    validation: range
    test: range


def holdout(
    n: int,
    *,
    validation: Fraction = 0.15,
    test: Fraction = 0.15,
    gap: Gap = 0,
    refit: bool = False,
) -> list[Fold]:
    """One fold: the last `test` of the n dates, `validation` of n before them, training before."""
    return [_fold(n, range(n - int(n * test), n), int(n * validation), gap or 0, refit)]


def walk_forward(
    n: int,
    *,
    folds: PositiveInt,
    validation: Fraction,
    test: Fraction,
    gap: Gap = 0,
    refit: bool = False,
) -> list[Fold]:
    """Folds whose equal test blocks tile the last `test` of the dates; the training part expands.

    `validation` is the share of what stands before a fold's test block, its last part: it grows
    with the training part, and never overlaps a test block of its own fold, though it does those of
    earlier folds (as time has passed by then). Where `int(n * test)` is no multiple of `folds`, the
    remaining dates stay before the first test block.
    """
    size, gap = int(n * test) // folds, gap or 0
    starts = range(n - folds * size, n, size) if size else [n]
    return [_fold(n, range(s, s + size), int((s - gap) * validation), gap, refit) for s in starts]


def development(
    n: int, *, folds: PositiveInt, validation: Fraction, test: Fraction, gap: Gap = 0
) -> list[Fold]:
    """`walk_forward` over the dates before the last `test` of them and a gap: for a search.

    Nothing chosen on these folds has seen a date that `holdout` or `walk_forward` with the same
    `test` scores on.
    """
    return walk_forward(
        n - int(n * test) - (gap or 0), folds=folds, validation=validation, test=test, gap=gap
    )


SPLITS: dict[str, Callable[..., list[Fold]]] = {
    "holdout": holdout,
    "walk_forward": walk_forward,
    "development": development,
}


def check_chronological(config: Section, horizon: int) -> dict[str, Any]:
    """A split's name and checked values in canonical form: a gap of null is the horizon.

    Raises UserError for a shorter gap, and for a split that does not cut by date.
    """
    name, values = config["name"], {key: config[key] for key in config if key != "name"}
    if name not in SPLITS:
        raise UserError(say("not_by_date", name=name, names=", ".join(SPLITS)))
    gap = horizon if values.get("gap") is None else values["gap"]
    known = check(SPLITS[name], {"n": 0, **values, "gap": gap}, "split")
    if known["gap"] < horizon:
        raise UserError(say("gap_too_short", gap=gap, horizon=horizon))
    kept = [key for key in (*values, "gap") if key != "refit" or known[key]]
    return {"name": name, **{key: known[key] for key in kept}}


def _fold(n: int, test: range, validation: int, gap: int, refit: bool) -> Fold:
    stop = test.start - gap
    start = stop - validation
    fold = Fold(range(max(start - gap, 0)), range(max(start, 0), max(stop, 0)), test)
    lengths = len(fold.train), len(fold.validation), len(fold.test)
    if min(lengths) <= gap:  # not one label of gap dates would fit
        raise UserError(
            say(
                "too_few_dates",
                n=n,
                train=lengths[0],
                validation=lengths[1],
                test=lengths[2],
                gap=gap,
            )
        )
    return replace(fold, train=range(fold.validation.stop)) if refit else fold

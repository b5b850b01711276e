"""Chronological folds as pure integers: n sorted dates in, ranges of them out.

All fractions are of dates, not of rows. `test` is the share of all dates that is ever tested, by all folds together: so
`holdout`, `walk_forward` and `development` with the same `test` agree on which dates are the last, untouched ones.
"""

from dataclasses import dataclass

from upgate.errors import UserError
from upgate.schema import Fraction, NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class Fold:
    """Ranges of the n sorted distinct dates; `gap` dates lie unused between one part and the next."""

    train: range
    validation: range
    test: range


def holdout(n: int, *, validation: Fraction = 0.15, test: Fraction = 0.15, gap: NonNegativeInt) -> list[Fold]:
    """Return one fold: the last `test` of the n dates, `validation` of the n dates before them, the rest trains."""
    return [_fold(n, range(n - int(n * test), n), int(n * validation), gap)]


def walk_forward(n: int, *, folds: PositiveInt, validation: Fraction, test: Fraction, gap: NonNegativeInt) -> list[Fold]:
    """Return `folds` folds whose equal test blocks tile the last `test` of the dates; the training part expands.

    `validation` is the share of what stands before a fold's test block, its last part: it grows with the training part,
    and never overlaps a test block of its own fold, though it does those of earlier folds (as time has passed by then).
    Where `int(n * test)` is no multiple of `folds`, the remaining dates stay before the first test block.
    """
    size = int(n * test) // folds
    starts = range(n - folds * size, n, size) if size else [n]
    return [_fold(n, range(s, s + size), int((s - gap) * validation), gap) for s in starts]


def development(n: int, *, folds: PositiveInt, validation: Fraction, test: Fraction, gap: NonNegativeInt) -> list[Fold]:
    """Return `walk_forward` over the dates before the last `test` of them (and a gap): for choosing hyperparameters.

    Nothing chosen on these folds has seen a date that `holdout` or `walk_forward` with the same `test` scores on.
    """
    return walk_forward(n - int(n * test) - gap, folds=folds, validation=validation, test=test, gap=gap)


def _fold(n: int, test: range, validation: int, gap: int) -> Fold:
    stop = test.start - gap
    start = stop - validation
    fold = Fold(range(max(start - gap, 0)), range(max(start, 0), max(stop, 0)), test)
    if min(len(fold.train), len(fold.validation), len(fold.test)) <= gap:  # not one label of gap dates would fit
        raise UserError(
            f"{n} dates are too few for this split: training, validation and test would get {len(fold.train)}, "
            f"{len(fold.validation)} and {len(fold.test)} dates, and each needs more than the gap of {gap}; "
            "take more data, fewer folds, other fractions or a smaller gap"
        )
    return fold

"""Folds are disjoint, in order, gapped, and the last dates stay untouched while hyperparameters are
chosen.
"""

import pytest

from upgate.data.splits.chronological import Fold, development, holdout, walk_forward
from upgate.errors import UserError

SIZES = [60, 251, 1259, 24720]
GAPS = [0, 1, 5]


def in_order(fold: Fold, gap: int) -> bool:
    starts_at_the_first_date = fold.train.start == 0
    train_gap = fold.validation.start - fold.train.stop
    test_gap = fold.test.start - fold.validation.stop
    return (
        starts_at_the_first_date
        and train_gap == test_gap == gap
        and min(map(len, vars(fold).values())) > gap
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("gap", GAPS)
def test_holdout_uses_every_date_but_the_gaps(n: int, gap: int) -> None:
    (fold,) = holdout(n, gap=gap)
    assert in_order(fold, gap) and fold.test.stop == n
    assert len(fold.train) + len(fold.validation) + len(fold.test) + 2 * gap == n
    assert len(fold.test) == len(fold.validation) == int(n * 0.15)


@pytest.mark.parametrize("n", [251, 1259, 24720])
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("folds", [1, 3, 5])
def test_walk_forward_blocks_are_equal_and_tile_the_end(n: int, gap: int, folds: int) -> None:
    result = walk_forward(n, folds=folds, validation=0.2, test=0.4, gap=gap)
    assert len(result) == folds and all(in_order(fold, gap) for fold in result)
    assert [d for fold in result for d in fold.test] == list(range(result[0].test.start, n))
    assert len({len(fold.test) for fold in result}) == 1
    assert (
        0 <= int(n * 0.4) - (n - result[0].test.start) < folds
    )  # the remainder stands before the first block
    assert [len(fold.train) for fold in result] == sorted(
        {len(fold.train) for fold in result}
    )  # strictly expanding
    for fold in result:
        assert len(fold.validation) == int((fold.test.start - gap) * 0.2)


@pytest.mark.parametrize("n", [251, 1259, 24720])
@pytest.mark.parametrize("gap", GAPS)
def test_development_never_touches_a_test_date(n: int, gap: int) -> None:
    fractions = {"validation": 0.15, "test": 0.2}
    scored = walk_forward(n, folds=4, gap=gap, **fractions) + holdout(n, gap=gap, **fractions)
    first = min(fold.test.start for fold in scored)
    chosen_on = development(n, folds=4, gap=gap, **fractions)
    assert len(chosen_on) == 4 and all(in_order(fold, gap) for fold in chosen_on)
    assert max(fold.test.stop for fold in chosen_on) == n - int(n * 0.2) - gap <= first - gap


@pytest.mark.parametrize(
    "make",
    [
        lambda: holdout(0, gap=1),
        lambda: holdout(6, gap=1),
        lambda: holdout(10, gap=5),
        lambda: holdout(100, validation=0.9, test=0.5, gap=1),
        lambda: holdout(100, validation=0.0, gap=1),
        lambda: holdout(100, test=0.0, gap=1),
        lambda: walk_forward(100, folds=30, validation=0.2, test=0.2, gap=1),
        lambda: walk_forward(100, folds=10, validation=0.2, test=0.2, gap=2),
        lambda: development(40, folds=5, validation=0.2, test=0.5, gap=3),
    ],
)
def test_a_split_that_cannot_be_is_refused_in_one_sentence(make) -> None:
    with pytest.raises(
        UserError, match=r"^\d+ dates are too few for this split: [^\n]+; take more data"
    ):
        make()

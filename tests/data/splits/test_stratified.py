"""Parts of labelled rows: official ones are kept, the others drawn class by class, the same on
every machine and for every run's seed.
"""

import numpy as np
import pytest
import torch

from upgate.data.splits.stratified import PARTS, check_stratified, split_rows
from upgate.errors import UserError

SPLIT = {"name": "stratified", "validation": 0.1, "test": 0.2}
LABELS = np.repeat([0, 1, 2], [600, 300, 100])  # sorted by class, as such files are


def rows(
    official: np.ndarray | None = None, fold: int = 0, labels: np.ndarray = LABELS
) -> dict[str, np.ndarray]:
    return {
        part: found.numpy() for part, found in split_rows(labels, official, SPLIT, fold).items()
    }


def test_parts_are_disjoint_complete_and_stratified() -> None:
    found = rows()
    assert sorted(np.concatenate(list(found.values()))) == list(range(1000))
    assert [len(found[part]) for part in PARTS] == [720, 80, 200]
    for part in PARTS:
        assert (np.bincount(LABELS[found[part]]) / len(found[part])).tolist() == pytest.approx(
            [0.6, 0.3, 0.1], abs=0.01
        )
    assert all(np.array_equal(a, b) for a, b in zip(found.values(), rows().values(), strict=True))


def test_folds_are_a_cross_validation_with_one_test_part() -> None:
    folds = [rows(fold=k) for k in range(10)]
    assert all(np.array_equal(fold["test"], folds[0]["test"]) for fold in folds)
    together = np.concatenate([fold["validation"] for fold in folds])
    assert len(together) == 800 and len(set(together)) == 800
    with pytest.raises(
        UserError, match=r"fold=10 is not there; split.validation=0\.1 gives folds 0 to 9"
    ):
        rows(fold=10)


def test_a_cross_validation_tests_every_row_once() -> None:
    split = {"name": "cross_validation", "folds": 3, "validation": 0.1}
    folds = [split_rows(LABELS, None, split, k) for k in range(3)]
    for fold in folds:
        assert sorted(torch.cat(list(fold.values())).tolist()) == list(range(1000))
        assert len(fold["validation"]) == pytest.approx(0.1 * (1000 - len(fold["test"])), abs=1)
    tested = torch.cat([fold["test"] for fold in folds])
    assert sorted(tested.tolist()) == list(range(1000))
    with pytest.raises(UserError, match=r"fold=3 is not there; split.folds=3 gives folds 0 to 2"):
        split_rows(LABELS, None, split, 3)
    official = np.array(["train", "test"], dtype=object)[np.arange(1000) % 2]
    with pytest.raises(UserError, match="official test part, which split=stratified keeps"):
        split_rows(LABELS, official, split, 0)


def test_official_parts_are_kept() -> None:
    official = np.array(["train", "test"], dtype=object)[(np.arange(1000) % 4 == 0).astype(int)]
    found = rows(official)
    assert np.array_equal(found["test"], np.flatnonzero(official == "test"))
    assert set(official[found["validation"]]) == {"train"}
    official[found["validation"]] = "validation"
    assert np.array_equal(rows(official)["validation"], found["validation"])
    with pytest.raises(UserError, match="official validation part, which is fold 0"):
        rows(official, fold=1)


def test_a_class_that_a_part_lacks_is_told() -> None:
    with pytest.raises(UserError, match="holds 8 reviews and none of the class 1, which has 3"):
        rows(labels=np.array([0] * 97 + [1] * 3))


def test_the_folds_of_a_cross_validation_are_checked() -> None:
    with pytest.raises(UserError, match=r"split\.folds"):
        check_stratified({"name": "cross_validation", "folds": 1, "validation": 0.1})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"test": 0.7}, "split.test"),
        ({"validation": 0}, "split.validation"),
        ({"name": "holdout"}, "split=holdout cuts prices by date; reviews take split=stratified"),
        ({"fols": 3}, "unknown key split.fols"),
    ],
)
def test_a_wrong_split_is_told(changed: dict, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_stratified(SPLIT | changed)

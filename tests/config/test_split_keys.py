"""split.*: checked before anything runs, and two spellings of a split are one."""

import pytest

from upgate.config.compose import choices, compose
from upgate.data.splits.chronological import SPLITS, check_chronological
from upgate.errors import UserError


def split(*words: str, horizon: int = 5) -> dict[str, object]:
    return check_chronological(compose(words)["split"], horizon)


@pytest.mark.parametrize("name", SPLITS)
def test_no_gap_is_the_horizon(name: str) -> None:
    assert (
        split(f"split={name}")
        == split(f"split={name}", "split.gap=null")
        == split(f"split={name}", "split.gap=5")
    )
    assert split(f"split={name}")["gap"] == 5 and split(f"split={name}", "split.gap=7")["gap"] == 7


def test_every_split_of_prices_has_its_yaml_and_its_knobs_stay() -> None:
    assert set(SPLITS) <= set(choices("split"))
    asked = compose(
        ["split=walk_forward", "split.folds=4", "split.validation=0", "split.test=0.25"]
    )["split"]
    before = dict(asked)
    assert check_chronological(asked, 1) == {
        "name": "walk_forward",
        "folds": 4,
        "validation": 0.0,
        "test": 0.25,
        "gap": 1,
    }
    assert type(check_chronological(asked, 1)["validation"]) is float and asked == before
    assert check_chronological(check_chronological(asked, 1), 1) == check_chronological(asked, 1)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("split.gap=abc", "split.gap=abc must be a whole number"),
        ("split.gap=-1", "split.gap=-1 must be 0 or more"),
        (
            "split.gap=4",
            "split.gap=4 is shorter than task.horizon=5; labels would overlap, take 5 or more",
        ),
        ("split.validation=1", "split.validation=1 must be between 0 and 1, 1 excluded"),
        ("split.test=half", "split.test=half must be a number"),
        ("split.folds=0", "split.folds=0 must be 1 or more"),
        ("split.folds=2.5", "split.folds=2.5 must be a whole number"),
    ],
)
def test_a_knob_that_cannot_be_is_told(word: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        split("split=walk_forward", word)
    assert str(caught.value) == told


def test_a_split_of_other_data_or_without_a_knob_is_told() -> None:
    with pytest.raises(
        UserError,
        match=(
            r"^split=own does not cut by date, as prices need; there is holdout, walk_forward,"
            r" development$"
        ),
    ):
        check_chronological({"name": "own"}, 1)
    with pytest.raises(UserError, match=r"^split\.folds is missing"):
        check_chronological({"name": "walk_forward", "validation": 0.1, "test": 0.1}, 1)

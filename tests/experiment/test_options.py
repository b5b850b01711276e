"""The options of a study or a search among the overrides of training."""

import re

import pytest

from upgate.errors import UserError
from upgate.experiment.options import check_choice, parse_options, separate, split_list

OWN = re.compile(r"study[.=]|(study)$")


def test_options_are_told_from_overrides_in_their_order() -> None:
    given = ["task=stock", "study=pair", "clip=norm", "study.seeds=3", "study"]
    own, rest = separate(given, OWN, "a study", {})
    assert own == ["study=pair", "study.seeds=3", "study"] and rest == ["task=stock", "clip=norm"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=1", "seed=1 cannot be given to a study; give study.seeds=6"),
        ("trainer.fast_dev_run=true", "a study tries every recipe out for two steps by itself"),
    ],
)
def test_what_the_command_sets_itself_is_refused(override: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        separate([override], OWN, "a study", {"seed": "study.seeds=6"})


def test_values_are_typed_and_a_short_key_is_the_long_one() -> None:
    given = ["study=parts", "study.alpha=0.1", "study.seeds=[1,2]", "study.arms=a, b clip=[x,y]"]
    values = parse_options(given, {"study": "study.design"}, lists=("study.arms",))
    assert values == {
        "study.design": "parts",
        "study.alpha": 0.1,
        "study.seeds": [1, 2],
        "study.arms": ["a", "b clip=[x,y]"],
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["study=pair", "study.design=parts"], "study.design is given twice"),
        (["study.seeds"], "study.seeds needs a value, as in study.seeds=..."),
        (["study.seeds= "], "study.seeds needs a value"),
        (["study.seeds=1,2"], "study.seeds=1,2 holds several values"),
    ],
)
def test_an_option_that_cannot_be_read_is_one_sentence(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        parse_options(given, {"study": "study.design"}, lists=())


def test_lists_are_split_outside_brackets_only() -> None:
    assert split_list("[traditional, 'upgraded clip=none']") == [
        "traditional",
        "upgraded clip=none",
    ]
    assert split_list("regularization=[l1,l2], upgraded,") == ["regularization=[l1,l2]", "upgraded"]


def test_a_wrong_choice_names_the_nearest_one() -> None:
    check_choice("study", "pair", ("pair", "parts"))
    with pytest.raises(UserError, match="study=pear is not a choice, did you mean 'pair'"):
        check_choice("study", "pear", ("pair", "parts"))

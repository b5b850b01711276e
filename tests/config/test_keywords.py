"""Python's values as overrides: what is read back is what was given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upgate.config.compose import compose
from upgate.config.keywords import hydra_text, keyword_overrides
from upgate.config.overrides import parse_override
from upgate.errors import UserError

VALUES = [
    *(0, -3, 1.5, 1e-5, 1e22, True, False, None, "word", "two words", "true", "null", "inf", "12"),
    *("", "a,b", "[a]", '"quoted"', "it's", "a\\b", "ends\\", 'a\\"b', "价格.csv", "k=v", "x: y"),
    *([], [1, 2.5], ["a b", "c"], [[1], [2, 3]]),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    read = parse_override(f"key={hydra_text(value)}").value
    assert read == value and type(read) is type(value)


def test_paths_and_numpys_numbers_are_plain() -> None:
    assert hydra_text(np.float64(0.5)) == "0.5" and hydra_text(np.bool_(True)) == "true"
    assert parse_override(f"key={hydra_text(Path('a b/c.csv'))}").value == "a b/c.csv"
    with pytest.raises(UserError, match="no plain value"):
        hydra_text(object())


def test_choices_come_with_their_knobs() -> None:
    words = {
        "recipe": "traditional",
        "optimizer": {"name": "adamw", "lr": 0.1, "betas": (0.8, 0.9)},
        "clip": None,
        "regularization": {"dropout": {"p": 0.3}, "l1": {}},
        "model": {"hidden_size": 7},
    }
    config = compose(keyword_overrides(words))
    assert config["optimizer"]["lr"] == 0.1 and config["optimizer"]["betas"] == [0.8, 0.9]
    assert config["clip"]["name"] == "none" and config["model"]["hidden_size"] == 7
    assert config["regularization"]["dropout"]["p"] == 0.3 and "l1" in config["regularization"]
    assert keyword_overrides({"regularization": ["l1", "l2"]}) == ["regularization=[l1,l2]"]

"""Dataclasses to JSON and back: nothing is lost, and stored names outlive Python names."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from upgate.errors import UserError
from upgate.experiment.designs import Arm
from upgate.serialization import from_json, read_json, stored_as, to_dict, to_json


class Pair(NamedTuple):
    low: float
    high: float | None


@dataclass(frozen=True)
class Inner:
    verdict: str = field(metadata=stored_as("word"))
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None
    by_arm: dict[str, list[Inner]]
    pair: Pair
    anything: dict[str, Any]
    count: int = 0


def example() -> Outer:
    inner = Inner("helps", [1.0, math.inf, -math.inf])
    return Outer("a 中", inner, {"x": [inner], "y": []}, Pair(0.5, None), {"k": [1, None]}, 3)


def test_a_value_survives_the_way_to_json_and_back() -> None:
    assert from_json(Outer, to_json(example())) == example()
    nothing = Outer("b", None, {}, Pair(-math.inf, 2.0), {})
    assert from_json(Outer, to_json(nothing)) == nothing
    (value,) = from_json(Inner, to_json(Inner("x", [math.nan]))).values
    assert math.isnan(value)


def test_a_field_keeps_its_stored_name() -> None:
    stored = json.loads(to_json(example()))
    assert stored["inner"] == {"word": "helps", "values": [1.0, "inf", "-inf"]}
    assert list(stored) == ["name", "inner", "by_arm", "pair", "anything", "count"]
    assert to_dict(Arm("upgraded", ["task=stock"], ["clip"])) == {
        "name": "upgraded",
        "words": ["task=stock"],
        "on": ["clip"],
    }
    assert from_json(Arm, '{"name": "upgraded", "words": ["task=stock"]}').overrides == [
        "task=stock"
    ]


def test_text_is_kept_as_it_is_and_ends_with_a_newline() -> None:
    text = to_json(example())
    assert "a 中" in text and text.endswith("}\n") and "NaN" not in text and "Infinity" not in text


OTHERS = ["{}", '{"name": "a", "unknown": 1}', '{"name": 1, "words": []}']


@pytest.mark.parametrize("text", OTHERS)
def test_the_text_of_something_else_is_refused(text: str) -> None:
    with pytest.raises((TypeError, KeyError)):
        from_json(Arm, text)


@pytest.mark.parametrize("text", [*OTHERS, "", "[]", "null", "\0" * 9, "[" * 99_999])
def test_a_file_of_something_else_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(UserError, match=r"study\.json is not what was written") as caught:
        read_json(Arm, tmp_path / "study.json")
    assert "\n" not in str(caught.value)

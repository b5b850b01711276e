"""A value fits its annotation, or one sentence names the key, the value and what would fit."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from upgate.config.schema import (
    Fraction,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Range,
    build,
    check,
    format_value,
)
from upgate.errors import UserError, did_you_mean, nearest
from upgate.messages import in_language


@dataclass(frozen=True)
class Knobs:
    """One field of every kind; `number` alone has no default."""

    number: float
    whole: int = 0
    flag: bool = False
    text: str = "a"
    way: Literal["mean", "median", 3] = "mean"
    pair: list[float] | None = None
    nested: list[list[int]] | None = None
    maybe: Positive | None = None
    either: int | str = 0
    positive: Positive = 1.0
    nonnegative: NonNegative = 0.0
    fraction: Fraction = 0.0
    positive_int: PositiveInt = 1
    nonnegative_int: NonNegativeInt = 0
    even: Annotated[int, Range("even", lambda x: x % 2 == 0)] = 0
    mapping: dict[str, int] | None = None
    anything: Any = None


def one(key: str, value: Any) -> Any:
    return getattr(build(Knobs, {"number": 0.0, key: value}, "knobs"), key)


def refusal(values: dict[str, Any], where: str = "knobs") -> str:
    with pytest.raises(UserError) as caught:
        check(Knobs, values, where)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FITS = [
    ("number", 1.5, 1.5),
    ("number", -3, -3.0),
    ("whole", -3, -3),
    ("flag", True, True),
    ("text", "", ""),
    ("text", "数据 a,b=c", "数据 a,b=c"),
    ("way", "median", "median"),
    ("way", 3, 3),
    ("pair", None, None),
    ("pair", [], []),
    ("pair", [1, 0.5], [1.0, 0.5]),
    ("pair", (1, 2), [1.0, 2.0]),
    ("nested", [[1, 2], []], [[1, 2], []]),
    ("maybe", None, None),
    ("maybe", 2, 2.0),
    ("either", 3, 3),
    ("either", "x", "x"),
    ("positive", 5e-324, 5e-324),
    ("nonnegative", 0, 0.0),
    ("fraction", 0, 0.0),
    ("fraction", 1 - 2**-53, 1 - 2**-53),
    ("positive_int", 1, 1),
    ("nonnegative_int", 0, 0),
    ("even", -4, -4),
    ("mapping", {"a": 1}, {"a": 1}),
    ("anything", [None, "x", {1: 2}], [None, "x", {1: 2}]),
]


@pytest.mark.parametrize(("key", "value", "expected"), FITS, ids=lambda part: repr(part))
def test_a_value_that_fits(key: str, value: Any, expected: Any) -> None:
    found = one(key, value)
    assert found == expected and type(found) is type(expected)
    if isinstance(expected, list) and key == "pair":
        assert all(type(item) is float for item in found)


REFUSED = [
    ("number", "1e-3x", "a number"),
    ("number", True, "a number"),
    ("number", None, "a number"),
    ("number", [1.0], "a number"),
    ("number", math.nan, "finite"),
    ("number", math.inf, "finite"),
    ("number", -math.inf, "finite"),
    ("whole", 1.0, "a whole number"),
    ("whole", True, "a whole number"),
    ("whole", "3", "a whole number"),
    ("flag", 1, "true or false"),
    ("flag", "yes", "true or false"),
    ("flag", None, "true or false"),
    ("text", 12, "text"),
    ("text", None, "text"),
    ("way", "medain", "did you mean 'median'?"),
    ("way", "zzz", "3, mean, median"),
    ("way", True, "mean"),
    ("way", 3.0, "mean"),
    ("way", None, "mean"),
    ("pair", 0.5, "[0.5]"),
    ("pair", "ab", "a list"),
    ("pair", [1, "x"], "a number"),
    ("pair", [1, math.nan], "finite"),
    ("nested", [[1], 2], "a list"),
    ("nested", [[1.5]], "a whole number"),
    ("maybe", 0, "above 0"),
    ("either", None, "text"),
    ("positive", 0, "above 0"),
    ("positive", math.nan, "finite"),
    ("positive", math.inf, "finite"),
    ("positive", "big", "a number"),
    ("nonnegative", -1e-9, "0 or more"),
    ("nonnegative", math.nan, "finite"),
    ("fraction", 1, "between 0 and 1"),
    ("fraction", -0.1, "between 0 and 1"),
    ("positive_int", 0, "1 or more"),
    ("positive_int", 2.0, "a whole number"),
    ("positive_int", False, "a whole number"),
    ("nonnegative_int", -1, "0 or more"),
    ("even", 3, "even"),
    ("mapping", [1], "a mapping"),
]


@pytest.mark.parametrize(("key", "value", "part"), REFUSED, ids=lambda part: repr(part))
def test_a_value_that_does_not_fit(key: str, value: Any, part: str) -> None:
    sentence = refusal({"number": 0.0, key: value})
    shown = (
        format_value(value) if key not in ("pair", "nested") or not isinstance(value, list) else ""
    )
    assert sentence.startswith(f"knobs.{key}={shown}") and part in sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"numbr": 1.0}, "unknown key knobs.numbr, did you mean 'number'?"),
        ({"number": 1.0, "Postive": 1.0}, "unknown key knobs.Postive, did you mean 'positive'?"),
        ({}, "knobs.number is missing; give it a value, as in knobs.number=..."),
        ({"whole": 1}, "knobs.number is missing; give it a value, as in knobs.number=..."),
        ({"number": -1, "positive": -2}, "knobs.positive=-2 must be above 0"),
    ],
)
def test_the_sentence_in_full(values: dict[str, Any], sentence: str) -> None:
    assert refusal(values) == sentence


def test_without_a_place_the_key_stands_alone() -> None:
    assert refusal({}, "") == "number is missing; give it a value, as in number=..."
    assert refusal({"number": "x"}, "") == "number=x must be a number"


def test_an_unknown_key_with_no_near_one_lists_what_there_is() -> None:
    def norm(max_norm: Positive) -> None: ...

    with pytest.raises(UserError, match=r"unknown key clip\.zzz; there is max_norm"):
        check(norm, {"max_norm": 1.0, "zzz": 1}, "clip")


def test_defaults_are_left_to_the_function_and_values_are_not_changed() -> None:
    values = {"number": 1, "pair": [1, 2]}
    assert check(Knobs, values, "knobs") == {"number": 1.0, "pair": [1.0, 2.0]}
    assert values == {"number": 1, "pair": [1, 2]} and type(values["number"]) is int
    assert build(Knobs, values, "knobs") == Knobs(number=1.0, pair=[1.0, 2.0])


def test_functions_and_classes_alike_and_an_annotation_may_be_absent() -> None:
    class Plain:
        def __init__(self, size: PositiveInt, rest=None) -> None:  # type: ignore[no-untyped-def]
            self.size, self.rest = size, rest

    assert vars(build(Plain, {"size": 2, "rest": "x"}, "plain")) == {"size": 2, "rest": "x"}
    with pytest.raises(UserError, match=r"plain\.size=0 must be 1 or more"):
        build(Plain, {"size": 0}, "plain")
    with pytest.raises(UserError, match=r"unknown key plain\.self"):
        build(Plain, {"size": 1, "self": 2}, "plain")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (-0.001, "-0.001"),
        ("a b", "a b"),
        ([1, None, [True]], "[1,null,[true]]"),
        ((), "[]"),
    ],
)
def test_said_is_what_one_writes(value: Any, text: str) -> None:
    assert format_value(value) == text


def test_nearest_and_did_you_mean() -> None:
    assert (
        nearest("ADAM", ["adamw", "adam", "sgd"]) == "adam" and nearest("adma", ["Adam"]) == "Adam"
    )
    assert nearest("zzz", ["adam"]) is None and nearest("x", []) is None
    assert did_you_mean("zzz", []) == "; there is none"
    assert in_language(did_you_mean("zzz", []), "zh") == "；目前一个也没有"
    assert did_you_mean("zzz", map(str, range(20))).count(",") == 19
    assert did_you_mean("zzz", map(str, range(21))).endswith(", ...")

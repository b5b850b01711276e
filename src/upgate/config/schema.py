"""Values asked for, checked against the annotations of the function that will get them.

A knob is declared once, as a parameter with its type and range; its default stands in the choice's yaml. Nothing else knows it:

    def norm(max_norm: Positive) -> Clip: ...        conf/clip/norm.yaml:  max_norm: 1.0
"""

import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from upgate.errors import UserError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """A set of values: its words, and how to know a member."""

    words: str
    holds: Callable[[Any], bool]


Positive = Annotated[float, Range("above 0", lambda x: x > 0)]
NonNegative = Annotated[float, Range("0 or more", lambda x: x >= 0)]
Fraction = Annotated[float, Range("between 0 and 1, 1 excluded", lambda x: 0 <= x < 1)]
PositiveInt = Annotated[int, Range("1 or more", lambda x: x >= 1)]
NonNegativeInt = Annotated[int, Range("0 or more", lambda x: x >= 0)]


def check(make: Callable[..., T], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return `values` as `make` wants them (an int where a float is meant becomes a float).

    Raises UserError naming the key, the value and the nearest right one: for unknown, missing, mistyped or out-of-range keys.
    """
    hints, parameters = _declared(make)
    at = f"{where}." if where else ""
    for key in values:
        if key not in parameters:
            raise UserError(f"unknown key {at}{key}{did_you_mean(key, parameters)}")
    for key, parameter in parameters.items():
        if key not in values and parameter.default is parameter.empty:
            raise UserError(f"{at}{key} is missing; give it a value, as in {at}{key}=...")
    return {key: _value(value, hints.get(key, Any), f"{at}{key}") for key, value in values.items()}


@lru_cache
def _declared(make: Callable[..., Any]) -> tuple[dict[str, Any], Mapping[str, inspect.Parameter]]:
    """A function's annotations and parameters; reading them takes longer than checking values against them."""
    hints = get_type_hints(make.__init__ if inspect.isclass(make) else make, include_extras=True)
    return hints, inspect.signature(make).parameters


def build(make: Callable[..., T], values: Mapping[str, Any], where: str) -> T:
    """Call `make` with the checked values: the one place where configuration becomes typed Python."""
    return make(**check(make, values, where))


def _value(value: Any, hint: Any, where: str) -> Any:
    """Check one value against one annotation and return it in the annotation's type."""
    if hint is Any:
        return value
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        typed = _value(value, args[0], where)
        for bound in args[1:]:
            if isinstance(bound, Range) and not bound.holds(typed):
                raise UserError(f"{where}={format_value(value)} must be {bound.words}")
        return typed
    if origin in (Union, types.UnionType):
        return _union(value, args, where)
    if origin is Literal:
        if not any(value == one and type(value) is type(one) for one in args):  # 1 == True
            raise UserError(
                f"{where}={format_value(value)} is not a choice{did_you_mean(format_value(value), map(format_value, args))}"
            )
        return value
    if origin is list:
        if not isinstance(value, list | tuple):
            raise UserError(
                f"{where}={format_value(value)} must be a list, as in {where}=[{format_value(value)}]"
            )
        return [_value(item, args[0], where) for item in value]
    return _plain(value, origin or hint, where)


def _union(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    for option in rest[:-1]:
        try:
            return _value(value, option, where)
        except (
            UserError
        ):  # the next member of the union may fit; the last one's sentence is the user's
            continue
    return _value(value, rest[-1], where)


WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    type(None): "null",
}


def _plain(value: Any, kind: type, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        must = (
            f"text, as in {where}='\"{format_value(value)}\"'"
            if kind is str
            else WORDS.get(kind, kind.__name__)
        )
        raise UserError(f"{where}={format_value(value)} must be {must}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where}={value} must be a finite number")
    return value


def format_value(value: Any) -> str:
    """A value as one writes it on the command line."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(format_value, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{format_value(one)}' for key, one in value.items())}}}"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


said = format_value
checked = check

"""Configured values, checked against the annotations of the function that will get them.

A knob is declared once, as a parameter with its type and range; its default stands in the choice's
yaml. Nothing else knows it:

    def norm(max_norm: Positive) -> Clip: ...        conf/clip/norm.yaml:  max_norm: 1.0
"""

import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from upgate.config.json_schema import Schema, fits
from upgate.errors import UserError, did_you_mean, not_a_choice, unknown_key
from upgate.messages import say

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Range:
    """A set of values: its description for error sentences, and its members.

    members: keywords of JSON Schema (`json_schema.KEYWORDS`), which editors get too; or a function,
    where no keyword says it.
    """

    description: str
    members: Schema | Callable[[Any], bool]

    def holds(self, value: Any) -> bool:
        """Whether a value is a member."""
        return self.members(value) if callable(self.members) else fits(value, self.members)


Positive = Annotated[float, Range("above 0", {"exclusiveMinimum": 0})]
NonNegative = Annotated[float, Range("0 or more", {"minimum": 0})]
Fraction = Annotated[
    float, Range("between 0 and 1, 1 excluded", {"minimum": 0, "exclusiveMaximum": 1})
]
PositiveInt = Annotated[int, Range("1 or more", {"minimum": 1})]
NonNegativeInt = Annotated[int, Range("0 or more", {"minimum": 0})]


def check(make: Callable[..., T], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return `values` as `make` wants them (an int where a float is meant becomes a float).

    `where`: the prefix of the keys in error sentences. Raises UserError naming the key, the value
    and the nearest right one, for unknown, missing, mistyped and out-of-range keys.
    """
    hints, parameters = read_signature(make)
    prefix = f"{where}." if where else ""
    for key in values:
        if key not in parameters:
            raise unknown_key(f"{prefix}{key}", did_you_mean(key, parameters))
    for key, parameter in parameters.items():
        if key not in values and parameter.default is parameter.empty:
            raise UserError(say("is_missing", prefix=prefix, key=key))
    return {
        key: _convert(value, hints.get(key, Any), f"{prefix}{key}") for key, value in values.items()
    }


@lru_cache
def read_signature(
    make: Callable[..., Any],
) -> tuple[dict[str, Any], Mapping[str, inspect.Parameter]]:
    """Annotations and parameters; cached, as reading them takes longer than checking values."""
    hints = get_type_hints(make.__init__ if inspect.isclass(make) else make, include_extras=True)
    return hints, inspect.signature(make).parameters


def build(make: Callable[..., T], values: Mapping[str, Any], where: str) -> T:
    """Call `make` with the checked values: here configuration becomes typed Python."""
    return make(**check(make, values, where))


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Check one value against one annotation and return it in the annotation's type."""
    if hint is Any:
        return value
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _convert_annotated(value, args, where)
    if origin in (Union, types.UnionType):
        return _convert_union(value, args, where)
    if origin is Literal:
        return _convert_literal(value, args, where)
    if origin is list:
        if not isinstance(value, list | tuple):
            shown = format_value(value)
            raise UserError(say("must_be_list", where=where, value=shown))
        return [_convert(item, args[0], where) for item in value]
    return _convert_plain(value, origin or hint, where)


def _convert_annotated(value: Any, args: tuple[Any, ...], where: str) -> Any:
    typed = _convert(value, args[0], where)
    for bound in args[1:]:
        if isinstance(bound, Range) and not bound.holds(typed):
            choice = f"{where}={format_value(value)}"
            raise UserError(
                say("must_be", choice=choice, expected=say.of("expected", bound.description))
            )
    return typed


def _convert_literal(value: Any, options: tuple[Any, ...], where: str) -> Any:
    same = [option for option in options if value == option]
    if not any(type(value) is type(option) for option in same):  # 1 == True
        shown = format_value(value)
        hint = did_you_mean(shown, map(format_value, options))
        raise not_a_choice(f"{where}={shown}", hint)
    return value


def _convert_union(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    for option in rest[:-1]:
        try:
            return _convert(value, option, where)
        except UserError:  # the next member may fit; the last one's sentence is the user's
            continue
    return _convert(value, rest[-1], where)


KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    type(None): "null",
}


def _convert_plain(value: Any, kind: type, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        shown = format_value(value)
        expected = KINDS.get(kind, kind.__name__)
        if kind is str:
            expected = say("expected_text", where=where, value=shown)
        raise UserError(
            say("must_be", choice=f"{where}={shown}", expected=say.of("expected", expected))
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(say("must_be_finite", where=where, value=str(value)))
    return value


def format_value(value: Any) -> str:
    """A value as one types it on the command line."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(format_value, value))}]"
    if isinstance(value, dict):
        items = [f"{key}:{format_value(inner)}" for key, inner in value.items()]
        return f"{{{','.join(items)}}}"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)

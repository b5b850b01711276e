"""Dataclasses to JSON and back.

A field may keep the name under which older versions stored it, so that a Python name can change
while files, and the ids that are hashes of their JSON, stay as they are:

    overrides: list[str] = field(metadata=stored_as("words"))
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from upgate.errors import UserError
from upgate.messages import say

T = TypeVar("T")
STORED = "stored"


def stored_as(name: str) -> dict[str, str]:
    """The metadata of a field that JSON holds under another name."""
    return {STORED: name}


def to_json(value: Any) -> str:
    """The JSON text of a dataclass. Infinities and nan, which JSON lacks, become texts."""
    plain = _without_infinities(to_dict(value))
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_dict(value: Any) -> Any:
    """Plain values: dataclasses as dicts under their stored names, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {_stored_name(one): to_dict(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_dict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(one) for one in value]
    return value


def from_json(kind: type[T], text: str) -> T:
    """A dataclass from the text of `to_json`.

    Raises TypeError or KeyError for the text of something else.
    """
    value: T = from_plain(kind, json.loads(text))
    return value


def read_json(kind: type[T], path: Path) -> T:
    """A dataclass from a file of the store. Raises UserError where somebody has changed it."""
    try:
        return from_json(kind, path.read_text(encoding="utf-8"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(say("not_what_was_written", path=str(path), reason=reason)) from error


def from_plain(hint: Any, value: Any) -> Any:
    """A plain value in the type that an annotation gives."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return None if value is None else from_plain(_first_type(args), value)
    if origin is list:
        return [from_plain(args[0], one) for one in value]
    if origin is dict:
        return {key: from_plain(args[1], one) for key, one in value.items()}
    if is_dataclass(hint):
        return _dataclass(hint, value)
    if isinstance(hint, type) and issubclass(hint, tuple):
        hints = get_type_hints(hint).values()
        return hint(*(from_plain(one, item) for one, item in zip(hints, value, strict=True)))
    if hint in (str, int, bool) and not isinstance(value, hint):
        raise TypeError(f"{str(value)[:30]!r} is no {hint.__name__}")
    return float(value) if hint is float else value


def _stored_name(field: Any) -> str:
    return str(field.metadata.get(STORED, field.name))


def _first_type(args: tuple[Any, ...]) -> Any:
    return next(one for one in args if one is not type(None))


def _dataclass(kind: Any, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    names = {_stored_name(one): one.name for one in fields(kind)}
    return kind(**{names[key]: from_plain(hints[names[key]], one) for key, one in values.items()})


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_infinities(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_infinities(one) for one in value]
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite else repr(float(value))

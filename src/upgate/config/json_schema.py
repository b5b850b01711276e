"""JSON Schema of annotations, and the few of its keywords that ranges are made of.

A range is written once, in these keywords: `fits` tests a value by them, and editors get them as
they are. The words are those of draft 2020-12.
"""

import re
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

Schema = Mapping[str, Any]

TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list, tuple),
    "boolean": (bool,),
    "integer": (int,),
    "null": (types.NoneType,),
    "number": (int, float),
    "object": (dict,),
    "string": (str, date),  # a day in a yaml without quotes
}
NUMBER, TEXT, LIST = TYPES["number"], (str,), TYPES["array"]
# Keyword -> the types that it is about, which alone it tests, and its test of value and limit.
KEYWORDS: Mapping[str, tuple[tuple[type, ...], Callable[[Any, Any], bool]]] = {
    "type": ((object,), lambda value, names: _has_type(value, names)),
    "enum": ((object,), lambda value, members: value in members),
    "anyOf": ((object,), lambda value, options: any(fits(value, one) for one in options)),
    "minimum": (NUMBER, lambda value, limit: value >= limit),
    "exclusiveMinimum": (NUMBER, lambda value, limit: value > limit),
    "maximum": (NUMBER, lambda value, limit: value <= limit),
    "exclusiveMaximum": (NUMBER, lambda value, limit: value < limit),
    "multipleOf": (NUMBER, lambda value, step: value % step == 0),
    "pattern": (TEXT, lambda value, pattern: re.search(pattern, value) is not None),
    "items": (LIST, lambda value, schema: all(fits(item, schema) for item in value)),
    "minItems": (LIST, lambda value, count: len(value) >= count),
    "maxItems": (LIST, lambda value, count: len(value) <= count),
}


def fits(value: Any, schema: Schema) -> bool:
    """Whether a value is a member. Raises KeyError for a keyword that is not in `KEYWORDS`."""
    return all(_holds(value, keyword, limit) for keyword, limit in schema.items())


def _holds(value: Any, keyword: str, limit: Any) -> bool:
    about, test = KEYWORDS[keyword]
    return (object not in about and type(value) not in about) or test(value, limit)


def _has_type(value: Any, names: str | Sequence[str]) -> bool:
    return any(
        type(value) in TYPES[name] for name in ([names] if isinstance(names, str) else names)
    )

"""JSON Schema of the knobs that functions declare: the annotations that `schema.check` reads."""

import inspect
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from upgate.config.json_schema import Schema
from upgate.config.schema import Range, read_signature

NAMES: Mapping[Any, str] = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    types.NoneType: "null",
}
# What Hydra replaces before a value is checked: it may stand for any.
REFERENCE: Schema = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}


def annotation_schema(hint: Any) -> dict[str, Any]:
    """What values an annotation takes. One that JSON has no word for takes any here."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = [bound.members for bound in _ranges(args) if not callable(bound.members)]
        return _all_of([annotation_schema(args[0]), *map(dict, bounds)])
    if origin in (Union, types.UnionType):
        return any_of(
            [
                annotation_schema(member)
                for member in args
                if member in NAMES or get_origin(member) is not None
            ]
        )
    if origin is Literal:
        return {"enum": list(args)}
    if origin is list:
        return {"type": "array", "items": or_reference(annotation_schema(args[0]))}
    name = NAMES.get(origin or hint)
    return {"type": name} if name else {}


def _ranges(args: Collection[Any]) -> Iterator[Range]:
    yield from (one for one in args if isinstance(one, Range))


def _all_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """One that takes what all take; flat where no keyword stands in two."""
    schemas = [schema for schema in schemas if schema]
    keywords = [keyword for schema in schemas for keyword in schema]
    if len(keywords) > len(set(keywords)):
        return {"allOf": schemas}
    return {keyword: limit for schema in schemas for keyword, limit in schema.items()}


def any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """One that takes what one of them takes."""
    different: list[dict[str, Any]] = []
    for schema in schemas:
        options = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
        different += [one for one in options if one not in different]
    return different[0] if len(different) == 1 else {"anyOf": different}


def or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or what Hydra replaces."""
    return any_of([schema, dict(REFERENCE)]) if schema not in ({}, {"type": "string"}) else schema


def knob_schemas(
    make: Callable[..., Any], without: Collection[str], defaults: Schema, texts: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Parameter -> what it takes, with its default and its text, where there are such."""
    hints, parameters = read_signature(make)
    return {
        key: {
            **_description(hints.get(key, Any), texts.get(key, "")),
            **({"default": defaults[key]} if key in defaults else {}),
            **or_reference(annotation_schema(hints.get(key, Any))),
        }
        for key in parameters
        if key not in without
    }


def _description(hint: Any, text: str) -> dict[str, str]:
    bounds = [bound.description for bound in _ranges(_members(hint))]
    parts = [part for part in (text, *bounds) if part]
    return {"description": "; ".join(parts)} if parts else {}


def _members(hint: Any) -> list[Any]:
    """What an annotation is made of, at any depth."""
    inner = [one for arg in get_args(hint) for one in (arg, *_members(arg))]
    return inner if get_origin(hint) is not Literal else []


def required_knobs(make: Callable[..., Any], without: Collection[str]) -> list[str]:
    """The parameters that have no default."""
    parameters = read_signature(make)[1]
    needed = (key for key, one in parameters.items() if one.default is inspect.Parameter.empty)
    return [key for key in needed if key not in without]

"""Python values as the command line's words, so that Python goes the command line's way."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from upgate.config.choices import PARTS, REGULARIZATION
from upgate.config.values import Value
from upgate.errors import UserError, did_you_mean, unknown_key

NO_TEXTS = ("true", "false", "null", "inf", "nan")  # what Hydra reads as something else
# A choice by its name, or by its name and knobs: {"name": "sgd", "lr": 0.1}; of knobs alone, the
# default choice with these.
Part = str | Mapping[str, Value]


class RecipeWords(TypedDict, total=False):
    """The parts of a recipe, each as `Part` says; those not given are those of `recipe`.

    regularization: also several names, or name -> knobs: {"dropout": {"p": 0.2}}.
    """

    recipe: str
    optimizer: Part
    schedule: Part
    clip: Part
    regularization: str | Sequence[str] | Mapping[str, Mapping[str, Value]]
    init: Part
    layerwise: Part
    averaging: Part
    stopping: Part


def check_parts(words: Iterable[str], known: Sequence[str] = (*PARTS, "recipe")) -> None:
    """Raise UserError for a keyword that is none of these. A type checker says it before."""
    for key in words:
        if key not in known:
            raise unknown_key(key, did_you_mean(key, known))


def keyword_overrides(words: Mapping[str, Any]) -> list[str]:
    """`group=choice` and `key=value` for each keyword; None is no word.

    A mapping is a choice with knobs, by its `name`, or values below the key.
    """
    overrides: list[str] = []
    for key, value in words.items():
        if value is not None:
            overrides += _regularizers(value) if key == REGULARIZATION else _value_words(key, value)
    return overrides


def _value_words(key: str, value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{key}={hydra_text(value)}"]
    chosen = [f"{key}={value['name']}"] if "name" in value else []
    for name, knob in value.items():
        if name != "name" and knob is not None:
            chosen += _value_words(f"{key}.{name}", knob)
    return chosen


def _regularizers(value: str | Sequence[str] | Mapping[str, Any]) -> list[str]:
    if isinstance(value, Mapping):
        names = f"{REGULARIZATION}=[{','.join(value)}]"
        return [names, *_value_words(REGULARIZATION, value)]
    listed = [value] if isinstance(value, str) else value
    return [f"{REGULARIZATION}=[{','.join(listed)}]"]


def hydra_text(value: object) -> str:
    """A value in Hydra's grammar. Raises UserError for one that is not plain."""
    value = value.item() if hasattr(value, "item") else value  # of NumPy
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return _quote_text(str(value))
    if isinstance(value, Sequence):
        return f"[{','.join(hydra_text(item) for item in value)}]"
    raise UserError(f"{value!r} is no plain value: give a number, a text, or a list of these")


def _quote_text(text: str) -> str:
    if re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII) and text.lower() not in NO_TEXTS:
        return text
    inner = re.sub(r'(\\*)"', r'\1\1\\"', text)
    end = re.search(r"\\*$", inner)
    return f'"{inner}{end[0] if end else ""}"'

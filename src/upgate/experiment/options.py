"""The options of a study or a search, given as section.KEY=VALUE among the overrides of training.

Imports nothing heavy: a typo is answered at once.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeVar

from upgate import messages
from upgate.config import texts
from upgate.config.overrides import parse_override, single_value_hint
from upgate.config.schema import format_value
from upgate.errors import UserError, did_you_mean, not_a_choice
from upgate.experiment.texts import say

T = TypeVar("T")


def declare(default: T, text: str) -> T:
    """A field of an options dataclass with what `upgate COMMAND --help` says of it."""
    return field(default=default, metadata={"help": text})


def separate(
    overrides: Sequence[str], own: re.Pattern[str], noun: str, refused: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """The options that match `own`, and the rest: overrides of training, which hold for every arm.

    noun: a study, a search. refused: keys of training that the command sets itself -> what to give
    instead. Raises UserError for these.
    """
    options = [one for one in overrides if own.match(one)]
    rest = [one for one in overrides if not own.match(one)]
    what = say.of("noun", noun)
    for override in rest:
        key = override.partition("=")[0]
        if key in refused:
            instead = say.of("instead", refused[key])
            raise UserError(say("not_to_command", word=override, noun=what, instead=instead))
        if key == "trainer.fast_dev_run":
            raise UserError(say("tries_by_itself", word=override, noun=what))
    return options, rest


def parse_options(
    options: Sequence[str], aliases: Mapping[str, str], lists: Collection[str]
) -> dict[str, Any]:
    """Key -> value. aliases: a short key -> its full one; lists: full keys of comma lists.

    Raises UserError for a key that is given twice or without a value.
    """
    values: dict[str, Any] = {}
    for option in options:
        key, is_pair, text = option.partition("=")
        name = aliases.get(key, key)
        if name in values:
            raise UserError(say("given_twice", key=key))
        if not is_pair or not text.strip():
            raise UserError(messages.say("needs_value", key=key))
        values[name] = split_list(text) if name in lists else parse_value(option)
    return values


def parse_value(option: str) -> Any:
    """An option's value in Hydra's grammar. Raises UserError for a sweep."""
    override = parse_override(option)
    if override.is_sweep:
        hint = single_value_hint(option)
        raise UserError(texts.say("several_values", word=option, hint=hint))
    return override.value


def split_list(text: str) -> list[str]:
    """Recipes or keys separated by commas; a comma inside brackets separates nothing."""
    inner = text.strip()
    inner = inner[1:-1] if inner.startswith("[") and inner.endswith("]") else inner
    items = [item.strip().strip("\"'").strip() for item in re.split(r",(?![^\[]*\])", inner)]
    return [item for item in items if item]


def check_choice(key: str, value: Any, choices: Collection[str]) -> None:
    """Raise UserError, with the nearest choice, for a value that is not one."""
    if value not in choices:
        text = format_value(value)
        raise not_a_choice(f"{key}={text}", did_you_mean(text, choices))

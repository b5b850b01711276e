"""Overrides of the command line, parsed once in Hydra's grammar; sweeps expanded."""

import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from upgate import messages
from upgate.config.choices import choices
from upgate.config.texts import say
from upgate.config.values import Value
from upgate.errors import UserError, did_you_mean

# Hydra's grammar takes unquoted text of these characters only; other text (a Chinese path, a ticker
# such as ^GSPC) is quoted for it.
_KEY = re.compile(r"\$?\w[\w.$@/-]*", re.ASCII)
_BARE = re.compile(r"(?:\$\{[^}]*\}|\\=|[\w \t/\\+.$%*@?|:-])*", re.ASCII)
_TEXTS = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?:\$\{[^}]*\}|[^,()\[\]{}"'])+""")


@dataclass(frozen=True)
class Override:
    """One `key=value`. `text`: as typed, for display; `key`: a group or a dotted key."""

    text: str
    key: str
    parsed: Any = field(repr=False, compare=False)  # Hydra's own value, which has no stubs

    @property
    def value(self) -> Value:
        """The value; of an override that is no sweep."""
        value: Value = self.parsed.value()
        return value

    @property
    def is_sweep(self) -> bool:
        """Whether it holds several values, each for a run of its own."""
        return bool(self.parsed.is_sweep_override())

    @property
    def is_assignment(self) -> bool:
        """Whether it is group=choice or key=value, without Hydra's other operators."""
        plain = self.parsed.package is None and "/" not in self.key
        return plain and self.parsed.type.name == "CHANGE"

    def expand(self, config_dir: str | None) -> list[str]:
        """The overrides of the single runs. Raises UserError for a sweep without an end."""
        if not self.is_sweep:
            return [self.text]
        from hydra.core.override_parser.types import Glob, RangeSweep

        key, value = self.parsed.get_key_element(), self.parsed.value()
        if not (self.parsed.is_discrete_sweep() or isinstance(value, Glob)):
            raise UserError(say("cannot_expand", word=self.text, key=key))
        if isinstance(value, RangeSweep) and value.step == 0:
            raise UserError(say("endless_range", word=self.text))
        hint = ""
        if isinstance(value, Glob):
            available = choices(key, config_dir)
            values, hint = value.filter(available), did_you_mean("", available)
        else:
            values = list(self.parsed.sweep_string_iterator())
        if not values:
            raise UserError(say("empty_sweep", word=self.text, hint=hint))
        return [f"{key}={value}" for value in values]

    def first(self, config_dir: str | None) -> str:
        """The override of one run, with the first value of a sweep, an interval's too."""
        if self.parsed.is_interval_sweep():
            return f"{self.parsed.get_key_element()}={self.parsed.value().start}"
        return self.expand(config_dir)[0]


def expand_sweeps(
    overrides: Sequence[str], multirun: bool, config_dir: str | None = None
) -> list[list[str]]:
    """Split sweeps (`optimizer=sgd,adam`) into one list of overrides per run, in Hydra's order.

    `config_dir`, a folder of the user's own choices, matters to `glob(...)` only.
    """
    parsed = parse_overrides(overrides)
    for override in parsed:
        if override.is_sweep and not multirun:
            raise UserError(
                say("needs_multirun", word=override.text, hint=single_value_hint(override.text))
            )
    axes = [override.expand(config_dir) for override in parsed]
    return [list(single) for single in itertools.product(*axes)]


def parse_overrides(texts: Sequence[str]) -> list[Override]:
    """Parse overrides. Raises UserError where two set one key: one of them would be ignored."""
    seen: dict[str, str] = {}
    for text in texts:
        key = text.partition("=")[0]
        if key in seen:
            raise UserError(messages.say("set_twice", first=seen[key], second=text, key=key))
        seen[key] = text
    return [parse_override(text) for text in texts]


@lru_cache
def hydra_parser() -> Any:
    """Hydra's parser, which keeps nothing of what it parses; to make one takes longer than that."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create()


@lru_cache(maxsize=1 << 15)
def parse_override(text: str) -> Override:
    """Parse one override; cached: a sweep is parsed when it is expanded, checked and planned."""
    from hydra.errors import HydraException

    key, equals, value = text.partition("=")
    if not _KEY.fullmatch(key.lstrip("+~")):
        raise UserError(say("unreadable_key", word=text))
    quoted = key + equals + _TEXTS.sub(_quote, value)
    try:
        parsed = hydra_parser().parse_override(quoted)
    except HydraException:
        if not equals:
            raise UserError(say("unreadable_word", word=text, key=key)) from None
        raise UserError(
            say("unreadable_text", word=text, quoted=_quote_for_shell(key, value))
        ) from None
    return Override(text, parsed.key_or_group, parsed)


def _quote(text: re.Match[str]) -> str:
    core = text[0].strip(" \t")
    plain = core.replace("=", "") if "(" in text.string else core  # glob(*, exclude=sgd)
    return text[0] if text[1] or _BARE.fullmatch(plain) else text[0].replace(core, f"'{core}'")


def _quote_for_shell(key: str, value: str) -> str:
    """How to type a value so that it is one text, whatever it holds."""
    text = value.strip("\"'").replace('"', '\\"')
    return shlex.quote(f'{key}="{text}"')


def single_value_hint(text: str) -> str:
    """How to write a sweep if one value was meant: the end of a sentence."""
    key, _, value = text.partition("=")
    if "(" in value:
        return ""
    return say("one_list", key=key, value=value, quoted=_quote_for_shell(key, value))

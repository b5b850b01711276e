"""Words as they are typed -> Hydra's overrides: what is quoted for its grammar, and sweeps counted out."""

import itertools
import re
import shlex
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from upgate.config.choices import choices
from upgate.errors import UserError, did_you_mean

# Hydra's grammar reads bare words of these letters only; other text (a Chinese path, a ticker such as ^GSPC) is quoted for it.
_KEY = re.compile(r"\$?\w[\w.$@/-]*", re.ASCII)
_BARE = re.compile(r"(?:\$\{[^}]*\}|\\=|[\w \t/\\+.$%*@?|:-])*", re.ASCII)
_TEXTS = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?:\$\{[^}]*\}|[^,()\[\]{}"'])+""")


def expand(words: Sequence[str], multirun: bool, extra: str | None = None) -> list[list[str]]:
    """Split sweeps (`optimizer=sgd,adam`) into one list of overrides per job, in Hydra's own grammar and order.

    `extra`, a folder of the user's own choices, matters to `glob(...)` only.
    """
    axes = []
    for word, override in parsed(words).items():
        if override.is_sweep_override() and not multirun:
            raise UserError(
                f"{word} asks for several runs; add -m to sweep (make train ARGS=-m ...){as_one(word)}"
            )
        axes.append(_axis(word, override, extra) if override.is_sweep_override() else [word])
    return [list(job) for job in itertools.product(*axes)]


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Word -> Hydra's override; two words for one key raise, for one of them would be ignored."""
    seen: dict[str, str] = {}
    for word in words:
        key = word.partition("=")[0]
        if key in seen:
            raise UserError(f"{seen[key]} and {word} both set {key}; give one of them")
        seen[key] = word
    return {word: _parse(word) for word in words}


@lru_cache(maxsize=1024)
def _parse(word: str) -> Any:
    """Read one word in Hydra's grammar; a sweep over seeds reads its other words once."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = word.partition("=")
    if not _KEY.fullmatch(key.lstrip("+~")):
        raise UserError(
            f"{word} cannot be read; write key=value, the key in letters, digits, _ and dots"
        )
    try:
        return OverridesParser.create().parse_override(key + equals + _TEXTS.sub(_quoted, value))
    except HydraException:
        if not equals:
            raise UserError(f"{word} cannot be read; write key=value, as in {key}=...") from None
        example = _as_text(key, value)
        raise UserError(
            f"{word} cannot be read; text that holds brackets, commas or quotes is quoted, as in {example}"
        ) from None


def _quoted(text: re.Match[str]) -> str:
    core = text[0].strip(" \t")
    plain = core.replace("=", "") if "(" in text.string else core  # glob(*, exclude=sgd)
    return text[0] if text[1] or _BARE.fullmatch(plain) else text[0].replace(core, f"'{core}'")


def _as_text(key: str, value: str) -> str:
    """How to write a value for the shell so that it is one text, whatever it holds."""
    text = value.strip("\"'").replace('"', '\\"')
    return shlex.quote(f'{key}="{text}"')


def as_one(word: str) -> str:
    """How to write a sweep's word if one value was meant: the end of a sentence."""
    key, _, text = word.partition("=")
    return "" if "(" in text else f"; one list is {key}=[{text}], one text {_as_text(key, text)}"


def _axis(word: str, override: Any, extra: str | None) -> list[str]:
    """A sweep's alternatives, each a word that asks for a single value."""
    from hydra.core.override_parser.types import Glob, RangeSweep

    key, value = override.get_key_element(), override.value()
    if not (override.is_discrete_sweep() or isinstance(value, Glob)):
        raise UserError(
            f"{word} cannot be counted out; list the values, as in {key}=1,2,3 or {key}='range(0,6)'"
        )
    if isinstance(value, RangeSweep) and value.step == 0:
        raise UserError(f"{word} never ends; give a step other than 0")
    found = (
        value.filter(choices(key, extra))
        if isinstance(value, Glob)
        else list(override.sweep_string_iterator())
    )
    if not found:
        there = did_you_mean("", choices(key, extra)) if isinstance(value, Glob) else ""
        raise UserError(f"{word} holds nothing to sweep over{there}")
    return [f"{key}={one}" for one in found]

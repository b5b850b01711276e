"""The space of a search: the ranges that the yamls of the selected parts carry, the model's and the batch size's.

A range is [low, high], [low, high, log], a list of choices ([last, max, mean]; two numbers need a word: [32, 64, choice]), or for a
list of numbers a range for each item. It is over whole numbers where both ends are such. What is not selected has no range: so the space
is conditional by construction.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from upgate.config.compose import PARTS
from upgate.config.schema import said
from upgate.errors import UserError, did_you_mean, nearest

GROUPS = (*PARTS, "model", "batch_size", "task")  # what can be searched; a budget differs in no arm
DIGITS = 5  # of a drawn number: a value is what can be typed


@dataclass(frozen=True)
class Dimension:
    """One axis. `key` is the word's, and for an item of a list its place after it: optimizer.betas.0."""

    key: str
    kind: str  # float, int or choice
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: list[Any] = field(default_factory=list)

    def value(self, u: float) -> Any:
        """The value at u in [0, 1)."""
        if self.kind == "choice":
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        if self.kind == "int":  # each whole number has its own stretch
            low, high = (
                (math.log(self.low), math.log(self.high + 1))
                if self.log
                else (self.low, self.high + 1)
            )
            x = low + u * (high - low)
            return min(
                max(math.floor(math.exp(x) if self.log else x), int(self.low)), int(self.high)
            )
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        x = low + u * (high - low)
        return self.short(math.exp(x) if self.log else x)

    def short(self, x: float) -> float:
        return min(max(float(f"{x:.{DIGITS}g}"), self.low), self.high)

    def axis(self, points: int) -> list[Any]:
        """Its points on a grid, both ends among them."""
        if self.kind == "choice":
            return list(self.choices)
        spread = (np.geomspace if self.log else np.linspace)(self.low, self.high, points).tolist()
        return list(
            dict.fromkeys(round(x) if self.kind == "int" else self.short(x) for x in spread)
        )

    def place(self, value: Any) -> float:
        """Where a value stands between both ends, 0 to 1; clipped; nan of what is no number here."""
        if self.kind == "choice":
            return (
                self.choices.index(value) / max(1, len(self.choices) - 1)
                if value in self.choices
                else math.nan
            )
        if not isinstance(value, int | float) or isinstance(value, bool):
            return math.nan
        at = (lambda x: math.log(max(x, 1e-300))) if self.log else float
        span = at(self.high) - at(self.low)
        return min(max((at(value) - at(self.low)) / span, 0.0), 1.0) if span else 0.5

    def nearest(self, value: Any) -> Any:
        """A value of this axis's kind, moved to the nearest end where it lies outside."""
        if self.kind == "choice":
            return value
        inside = min(max(float(value), self.low), self.high)
        return round(inside) if self.kind == "int" else inside

    @property
    def said(self) -> str:
        if self.kind == "choice":
            return " ".join(map(said, self.choices))
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}{', whole' if self.kind == 'int' else ''}"


def ranges(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key -> range, from every `search` of a composed configuration."""
    for name, value in config.items():
        if name == "search" and isinstance(value, Mapping):
            yield from ((f"{prefix}{key}", one) for key, one in value.items())
        elif isinstance(value, Mapping):
            yield from ranges(value, f"{prefix}{name}.")


def space_of(
    config: Mapping[str, Any], changed: Mapping[str, Any], only: Sequence[str] | None
) -> list[Dimension]:
    """The axes of one arm. `changed` sets and removes ranges of what this arm has. Raises UserError for a range that is none."""
    found = dict(ranges(config))
    for key, asked in changed.items():
        if asked is None:
            found.pop(key, None)
        elif has(config, key):
            found[key] = asked
    kept = {key: asked for key, asked in found.items() if only is None or key in only}
    return [dim for key, asked in kept.items() for dim in dims(key, asked, at(config, key))]


def check_keys(
    configs: Sequence[Mapping[str, Any]], changed: Mapping[str, Any], only: Sequence[str] | None
) -> None:
    """Raise for a key that no arm has, with the nearest one that some has."""
    searched = {key: None for config in configs for key, _ in ranges(config)}
    there = {key: None for config in configs for key in keys_of(config)}
    for key, asked in changed.items():
        known = searched if asked is None else there
        if key.partition(".")[0] not in GROUPS:
            raise UserError(f"tune.space.{key}: {key} cannot be searched{hint(key, searched)}")
        if key not in known:
            what = (
                "nothing searches it"
                if asked is None
                else "no recipe here has it; a key is there where its part is selected"
            )
            raise UserError(f"tune.space.{key}: {what}{hint(key, known)}")
    for key in only or ():
        if key not in searched and changed.get(key) is None:
            raise UserError(
                f"tune.only: {key} has no range{hint(key, searched)}; tune.space.{key}=[low,high] gives one"
            )


def hint(key: str, there: Mapping[str, None]) -> str:
    """The nearest key; where none is near, what the same group has."""
    if nearest(key, there):
        return did_you_mean(key, there)
    own = [name for name in there if name.split(".")[0] == key.split(".")[0]]
    return did_you_mean("", own or there)


def keys_of(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys that can be searched: those of parts, model, task and batch size that hold a value."""
    for name, value in config.items():
        if (not prefix and name not in GROUPS) or name in ("name", "search"):
            continue
        if isinstance(value, Mapping):
            yield from keys_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def has(config: Mapping[str, Any], key: str) -> bool:
    return key in set(keys_of(config))


def at(config: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key; of a part's name that has none there, None."""
    node: Any = config
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def dims(key: str, asked: Any, now: Any) -> list[Dimension]:
    """The axes of one key, one for each item of a list."""
    if not isinstance(asked, list | tuple) or not asked:
        raise UserError(
            f"tune.space.{key}={said(asked)} is no range; give [low,high], [low,high,log] or a list of choices"
        )
    if all(isinstance(one, list | tuple) for one in asked):
        if not isinstance(now, list) or len(now) != len(asked):
            raise UserError(
                f"tune.space.{key}={said(asked)} gives {len(asked)} ranges; {key}={said(now)}"
            )
        return [dim(f"{key}.{i}", list(one)) for i, one in enumerate(asked)]
    if isinstance(now, list):
        raise UserError(
            f"tune.space.{key}={said(list(asked))}: {key} is a list of {len(now)}; give a range for each, as in [[0.8,0.95],...]"
        )
    return [dim(key, list(asked))]


def dim(key: str, asked: list[Any]) -> Dimension:
    ends, word = asked[:2], asked[2] if len(asked) == 3 else None
    if len(ends) == 2 and all(map(is_number, ends)) and (len(asked) == 2 or word == "log"):
        low, high = ends
        if low >= high or (word == "log" and low <= 0):
            raise UserError(
                f"tune.space.{key}={said(asked)}: low must be below high{', and above 0 for log' if word == 'log' else ''}"
            )
        whole = all(isinstance(one, int) for one in ends)
        return Dimension(key, "int" if whole else "float", float(low), float(high), word == "log")
    choices = asked[:-1] if asked[-1] == "choice" else asked
    if (
        any(isinstance(one, list | dict) for one in choices)
        or "log" in choices
        or len(set(map(said, choices))) < len(choices)
    ):
        raise UserError(
            f"tune.space.{key}={said(asked)} is no range; give [low,high], [low,high,log] or a list of different choices"
        )
    return Dimension(key, "choice", choices=choices)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def baseline(space: Sequence[Dimension], config: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the configuration has as it stands."""
    found = {}
    for one in space:
        key, _, item = one.key.rpartition(".")
        found[one.key] = at(config, key)[int(item)] if item.isdigit() else at(config, one.key)
    return found


def words_of(values: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """The overrides that set these values; the items of a list that are not among them stay as they are."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key, _, item = name.rpartition(".")
        if item.isdigit():
            found[key] = list(found.get(key, at(config, key)))
            found[key][int(item)] = value
        else:
            found[name] = value
    return [f"{key}={said(value)}" for key, value in found.items()]


def replaced(words: Sequence[str], new: Sequence[str]) -> list[str]:
    """Words, those of `new` in place of what they set."""
    keys = {word.partition("=")[0] for word in new}
    return [*(word for word in words if word.partition("=")[0] not in keys), *new]

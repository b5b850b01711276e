"""The space of a search: the ranges in the yamls of the selected parts, model and batch size.

A range is [low, high], [low, high, log], a list of choices ([last, max, mean]; two numbers need a
word: [32, 64, choice]), or for a list of numbers a range for each item. It is over whole numbers
where both ends are such. What is not selected has no range, so the space is conditional by
construction.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from upgate.config.compose import PARTS
from upgate.config.schema import format_value
from upgate.config.values import Section
from upgate.errors import UserError, did_you_mean, nearest
from upgate.messages import joined
from upgate.tune.texts import say

GROUPS = (*PARTS, "model", "batch_size", "task")  # can be searched; the budget is equal in all arms
Values = dict[str, Any]  # key -> value of its axis, for a point of a search
DIGITS = 5  # of a drawn number: a value is what can be typed


@dataclass(frozen=True)
class Dimension:
    """One axis. `key` is the override's; for an item of a list its index follows: betas.0."""

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
        # each whole number has its own stretch of equal length
        top = self.high + 1 if self.kind == "int" else self.high
        low, high = (math.log(self.low), math.log(top)) if self.log else (self.low, top)
        x = low + u * (high - low)
        x = math.exp(x) if self.log else x
        if self.kind == "int":
            return min(max(math.floor(x), int(self.low)), int(self.high))
        return self.short(x)

    def short(self, x: float) -> float:
        """A drawn number with few digits, inside the range."""
        return min(max(float(f"{x:.{DIGITS}g}"), self.low), self.high)

    def axis(self, points: int) -> list[Any]:
        """Its points on a grid, both ends among them."""
        if self.kind == "choice":
            return list(self.choices)
        spread = (np.geomspace if self.log else np.linspace)(self.low, self.high, points).tolist()
        values = (round(x) if self.kind == "int" else self.short(x) for x in spread)
        return list(dict.fromkeys(values))

    def position(self, value: Any) -> float:
        """Where a value is between both ends, 0 to 1; clipped; nan where it is no value here."""
        if self.kind == "choice":
            if value not in self.choices:
                return math.nan
            return self.choices.index(value) / max(1, len(self.choices) - 1)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return math.nan
        scale = _safe_log if self.log else float
        span = scale(self.high) - scale(self.low)
        return min(max((scale(value) - scale(self.low)) / span, 0.0), 1.0) if span else 0.5

    def nearest(self, value: Any) -> Any:
        """A value of this axis's kind, moved to the nearest end where it is outside."""
        if self.kind == "choice":
            return value
        inside = min(max(float(value), self.low), self.high)
        return round(inside) if self.kind == "int" else inside

    @property
    def text(self) -> str:
        """The range for people."""
        if self.kind == "choice":
            return " ".join(map(format_value, self.choices))
        marks = [say("log")] * self.log + [say("whole")] * (self.kind == "int")
        ends = say("range_text", low=f"{self.low:g}", high=f"{self.high:g}")
        return joined([ends, *marks], "clauses")


def _safe_log(x: float) -> float:
    return math.log(max(x, 1e-300))


def find_ranges(config: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key -> range, from every `search` of a composed configuration."""
    for name, value in config.items():
        if name == "search" and isinstance(value, Mapping):
            yield from ((f"{prefix}{key}", one) for key, one in value.items())
        elif isinstance(value, Mapping):
            yield from find_ranges(value, f"{prefix}{name}.")


def make_space(config: Section, changed: Section, only: Sequence[str] | None) -> list[Dimension]:
    """The axes of one arm. `changed` sets and removes ranges of what this arm has.

    Raises UserError for a range that is none.
    """
    ranges = dict(find_ranges(config))
    for key, given in changed.items():
        if given is None:
            ranges.pop(key, None)
        elif key in set(searchable_keys(config)):
            ranges[key] = given
    space: list[Dimension] = []
    for key, given in ranges.items():
        if only is None or key in only:
            space += make_dimensions(key, given, get_value(config, key))
    return space


def check_keys(configs: Sequence[Section], changed: Section, only: Sequence[str] | None) -> None:
    """Raise UserError for a key that no arm has, with the nearest one that some arm has."""
    searched: dict[str, None] = {}
    available: dict[str, None] = {}
    for config in configs:
        searched |= dict.fromkeys(key for key, _ in find_ranges(config))
        available |= dict.fromkeys(searchable_keys(config))
    for key, given in changed.items():
        known = searched if given is None else available
        if key.partition(".")[0] not in GROUPS:
            raise UserError(say("not_searchable", key=key, hint=near_key(key, searched)))
        if key not in known:
            reason = say("no_recipe_has")
            if given is None:
                reason = say("nothing_searches")
            raise UserError(say("space_of_key", key=key, reason=reason, hint=near_key(key, known)))
    for key in only or ():
        if key not in searched and changed.get(key) is None:
            raise UserError(say("only_without_range", key=key, hint=near_key(key, searched)))


def near_key(key: str, available: Mapping[str, None]) -> str:
    """The nearest key; where none is near, what the same group has."""
    if nearest(key, available):
        return did_you_mean(key, available)
    group = [name for name in available if name.split(".")[0] == key.split(".")[0]]
    return did_you_mean("", group or available)


def searchable_keys(config: Section, prefix: str = "") -> Iterator[str]:
    """The keys that can be searched: values of parts, model, task and batch size."""
    for name, value in config.items():
        if (not prefix and name not in GROUPS) or name in ("name", "search"):
            continue
        if isinstance(value, Mapping):
            yield from searchable_keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def get_value(config: Section, key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    node: Any = config
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def make_dimensions(key: str, given: Any, current: Any) -> list[Dimension]:
    """The axes of one key, one for each item of a list. Raises UserError for no range."""
    shown = f"tune.space.{key}={format_value(given)}"
    if not isinstance(given, list | tuple) or not given:
        raise UserError(say("no_range", shown=shown))
    if all(isinstance(one, list | tuple) for one in given):
        if not isinstance(current, list) or len(current) != len(given):
            raise UserError(
                say(
                    "ranges_beside_value",
                    shown=shown,
                    n=len(given),
                    key=key,
                    value=format_value(current),
                )
            )
        return [make_dimension(f"{key}.{i}", list(one)) for i, one in enumerate(given)]
    if isinstance(current, list):
        raise UserError(say("range_for_each", shown=shown, key=key, n=len(current)))
    return [make_dimension(key, list(given))]


def make_dimension(key: str, given: list[Any]) -> Dimension:
    """One axis. Raises UserError for a range that is none."""
    ends, word = given[:2], given[2] if len(given) == 3 else None
    is_range = len(given) == 2 or (len(given) == 3 and word == "log")
    if is_range and all(map(is_number, ends)):
        return _numeric_range(key, given, word == "log")
    choices = given[:-1] if given[-1] == "choice" else given
    nested = any(isinstance(one, list | dict) for one in choices)
    if nested or "log" in choices or len(set(map(format_value, choices))) < len(choices):
        raise UserError(say("no_range_of_key", key=key, value=format_value(given)))
    return Dimension(key, "choice", choices=choices)


def _numeric_range(key: str, given: list[Any], log: bool) -> Dimension:
    low, high = given[:2]
    if low >= high or (log and low <= 0):
        positive = say("above_0_for_log") if log else ""
        raise UserError(
            say("low_below_high", key=key, value=format_value(given), positive=positive)
        )
    kind = "int" if isinstance(low, int) and isinstance(high, int) else "float"
    return Dimension(key, kind, float(low), float(high), log)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def baseline_values(space: Sequence[Dimension], config: Section) -> Values:
    """Key -> the value in the configuration as it is."""
    values: Values = {}
    for dim in space:
        key, _, item = dim.key.rpartition(".")
        if item.isdigit():
            values[dim.key] = get_value(config, key)[int(item)]
        else:
            values[dim.key] = get_value(config, dim.key)
    return values


def to_overrides(values: Values, config: Section) -> list[str]:
    """The overrides that set these values; items of a list that are not given stay as they are."""
    complete: Values = {}
    for name, value in values.items():
        key, _, item = name.rpartition(".")
        if item.isdigit():
            complete[key] = list(complete.get(key, get_value(config, key)))
            complete[key][int(item)] = value
        else:
            complete[name] = value
    return [f"{key}={format_value(value)}" for key, value in complete.items()]


def override_all(overrides: Sequence[str], new: Sequence[str]) -> list[str]:
    """Overrides, those of `new` in place of what they set."""
    keys = {override.partition("=")[0] for override in new}
    return [*(one for one in overrides if one.partition("=")[0] not in keys), *new]

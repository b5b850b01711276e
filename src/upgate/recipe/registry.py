"""The parts by group and name.

The name that stands in `conf/`, in metrics and in run keys is the registered one, not the class's.
A part from outside the package (`upgate.config.extensions`) is known by the sha256 of its code as
well, its `source`: that decides a run's numbers, so it stands in the run's spec.
"""

import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from upgate import messages
from upgate.config.choices import PARTS, choices
from upgate.config.extensions import find_code, find_yaml, hash_code, import_file
from upgate.errors import UserError, did_you_mean
from upgate.messages import joined
from upgate.recipe.texts import say

Part = Callable[..., Any]  # a function or class of a part's knobs
T = TypeVar("T", bound=Part)

SOURCE = "source"  # key of a part's spec that holds the hash of its code
SHOWN = 12  # characters of a hash in a sentence


class LocatedPart(NamedTuple):
    """A part, and the hash of its code if it is from outside the package."""

    part: Part
    source: str | None


_PARTS: dict[tuple[str, str], Part] = {}  # of this package
_OUTSIDE: dict[tuple[str, str, str], Part] = {}  # by group, name and source


def register(group: str, name: str) -> Callable[[T], T]:
    """Give a part, a function or class of its knobs, its name in a group.

    A class carries it as `name`. Raises ValueError for an unknown group, and for a name that
    another part of the group has.
    """
    if group not in PARTS:
        raise ValueError(f"{group} is not a group of parts; there is {', '.join(PARTS)}")

    def put(part: T) -> T:
        taken = _PARTS.setdefault((group, name), part)
        if taken is not part:
            raise ValueError(
                f"{group}={name} is registered twice, "
                f"by {taken.__module__} and by {part.__module__}"
            )
        if isinstance(part, type):
            part.name = name  # type: ignore[attr-defined]
        return part

    return put


def lookup(group: str, name: str, knobs: Mapping[str, Any] | None = None) -> Part:
    """The part of that name, as a function of its knobs. See `locate`."""
    return locate(group, name, (knobs or {}).get(SOURCE)).part


def locate(group: str, name: str, source: str | None = None) -> LocatedPart:
    """The part of that name; from outside the package the one of this source, if it is given.

    Raises UserError where there is none, and where its code is not that of `source`.
    """
    _import_group(group)
    if (group, name) in _PARTS:
        return LocatedPart(_PARTS[group, name], None)
    if source is not None and (group, name, source) in _OUTSIDE:
        return LocatedPart(_OUTSIDE[group, name, source], source)
    path = find_code(group, name)
    if path is None:
        raise UserError(_missing(group, name, source))
    actual = hash_code(path)
    if source is not None and actual != source:
        raise UserError(
            say(
                "other_code",
                group=group,
                name=name,
                path=str(path),
                actual=actual[:SHOWN],
                wanted=source[:SHOWN],
            )
        )
    if (group, name, actual) not in _OUTSIDE:
        _OUTSIDE[group, name, actual] = _load(group, name, path, actual)
    return LocatedPart(_OUTSIDE[group, name, actual], actual)


def _missing(group: str, name: str, source: str | None) -> str:
    yaml = find_yaml(group, name)
    if yaml is not None:
        code = yaml.with_suffix(".py")
        return say("no_code_beside", group=group, name=name, yaml=str(yaml), code=str(code))
    if source is not None:
        return say("part_from_outside", group=group, name=name)
    hint = did_you_mean(name, choices(group))
    return messages.say("not_a_choice", choice=f"{group}={name}", hint=hint)


def _load(group: str, name: str, path: Path, source: str) -> Part:
    """Import a file from outside, which must register this part and nothing else."""
    before = set(_PARTS)
    try:
        import_file(path, f"upgate_extension_{group}_{name}_{source[:SHOWN]}")
    finally:
        added = {key: _PARTS.pop(key) for key in set(_PARTS) - before}
    if set(added) != {(group, name)}:
        names = sorted("=".join(key) for key in added)
        registered = joined(names, "and") if names else say("nothing")
        raise UserError(
            say("registers_other", path=str(path), registered=registered, group=group, name=name)
        )
    return added[group, name]


@cache
def _import_group(group: str) -> None:
    """Import the module of a group, or all modules of its package: each registers its parts."""
    home = import_module(f"upgate.recipe.{group}")
    for module in pkgutil.iter_modules(getattr(home, "__path__", ())):
        import_module(f"{home.__name__}.{module.name}")

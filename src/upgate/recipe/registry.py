"""The parts by group and name.

The name that stands in `conf/`, in metrics and in run keys is the registered one, not the class's.
"""

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from upgate.config.choices import PARTS, choices
from upgate.errors import UserError, did_you_mean

Part = Callable[..., Any]  # a function or class of a part's knobs
T = TypeVar("T", bound=Part)

_PARTS: dict[tuple[str, str], Part] = {}


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


def lookup(group: str, name: str) -> Part:
    """The part of that name, as a function of its knobs. Raises UserError where there is none."""
    _import_group(group)
    if (group, name) not in _PARTS:
        raise UserError(f"{group}={name} is not a choice{did_you_mean(name, choices(group))}")
    return _PARTS[group, name]


@cache
def _import_group(group: str) -> None:
    """Import the module of a group, or all modules of its package: each registers its parts."""
    home = import_module(f"upgate.recipe.{group}")
    for module in pkgutil.iter_modules(getattr(home, "__path__", ())):
        import_module(f"{home.__name__}.{module.name}")

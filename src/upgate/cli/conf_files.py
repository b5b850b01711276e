"""The yamls of choices as their authors wrote them, and the functions that get their values."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import yaml

from upgate.config.choices import (
    PARTS,
    REGULARIZATION,
    choices,
    defaults,
    folders,
    name_key,
)
from upgate.execution.executor import OPTIONS
from upgate.model.backbone import Backbone
from upgate.recipe.registry import lookup
from upgate.tasks.registry import get_task

COMMENT = re.compile(r"""^ *(\w+):(?: [^#"\n]*(?:"[^"\n]*"[^#"\n]*)*)?# *(.+)$""", re.MULTILINE)


class ChoiceFile(NamedTuple):
    """values: of the choice alone. texts: key -> its comment."""

    values: Mapping[str, Any]
    texts: Mapping[str, str]


def read_choice_file(group: str, name: str, config_dir: str | None) -> ChoiceFile:
    """What the yaml of a choice holds; nothing where a choice has none of its own name."""
    for folder in folders(config_dir):
        path = folder / group / f"{name}.yaml"
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            held = yaml.safe_load(text) or {}
            below = {"task": "task", REGULARIZATION: name}.get(group)
            return ChoiceFile(held.get(below, {}) if below else held, dict(COMMENT.findall(text)))
    return ChoiceFile({}, {})


def added_keys(config_dir: str | None) -> set[str]:
    """The top-level keys of a configuration, those that tasks and recipes add among them."""
    files = [
        path
        for folder in folders(config_dir)
        for path in folder.glob("*/*.yaml")
        if path.parent.name in ("task", "recipe")
    ]
    added = [yaml.safe_load(path.read_text(encoding="utf-8")) or {} for path in files]
    return set(defaults()).union(*added)


def find_declared(group: str, config_dir: str | None) -> dict[str, Callable[..., Any] | None]:
    """Name -> what declares its knobs; None for one of which nothing is known.

    Imports the code of the choices in a folder of the user's own. Raises UserError.
    """
    names = _choice_names(group, config_dir)
    if group in PARTS:
        return {name: lookup(group, name) for name in names}
    if group == "model":
        return dict.fromkeys(names, Backbone)
    known: dict[str, Callable[..., Any]] = dict(OPTIONS) if group == "executor" else {}
    if group in ("task", "data", "split"):
        for task in _choice_names("task", config_dir):
            known |= get_task(task).declarations().get(group, {})
    return {name: known.get(name) for name in sorted({*names, *known})}


def _choice_names(group: str, config_dir: str | None) -> list[str]:
    """The names that the yamls of a group give: two may be settings of one part."""
    found: set[str] = set()
    for choice in choices(group, config_dir):
        values = read_choice_file(group, choice, config_dir).values
        own = [choice] if values else []
        found |= set(own if group == REGULARIZATION else [values.get(name_key(group), choice)])
    return sorted(found)

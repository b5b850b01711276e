"""Whether an override's key exists in the chosen configuration; if not, which one was meant."""

from collections.abc import Iterator, Sequence
from typing import Any

from upgate import messages
from upgate.config.choices import REGULARIZATION, choices, compose_choices, groups, name_key
from upgate.config.overrides import Override
from upgate.config.schema import format_value
from upgate.config.texts import say
from upgate.config.trainer import PARAMETERS, refuse
from upgate.config.values import Section
from upgate.errors import UserError, did_you_mean, nearest, not_a_choice, unknown_key
from upgate.messages import Message, joined

Tree = Section  # a composed configuration, not resolved


def read_choice(override: Override, config_dir: str | None) -> tuple[str, ...]:
    """The names that `group=choice` picks; several, or none at all, in regularization only."""
    group, value = override.key, override.value
    if isinstance(value, list) and group != REGULARIZATION:
        raise UserError(say("one_choice", word=override.text, group=group, several=REGULARIZATION))
    names = [format_value(name) for name in (value if isinstance(value, list) else [value])]
    available = choices(group, config_dir)
    for name in names:
        if name not in available:
            raise not_a_choice(f"{group}={name}", did_you_mean(name, available))
    if len(set(names)) < len(names) or (len(names) > 1 and "none" in names):
        raise UserError(say("choice_twice", word=override.text))
    return tuple(names) or ("none",)


def check_key(override: Override, config: Tree, config_dir: str | None) -> None:
    """Raise UserError unless the key exists; a Trainer argument may be missing in the yaml."""
    text, key = override.text, override.key
    *path, last = key.split(".")
    parent = _find(config, path)
    if path == ["trainer"]:
        refuse(last)
    _check_not_range(text, key)
    if not isinstance(parent, dict) or last not in parent:
        if path == ["trainer"] and last in PARAMETERS:
            return
        message = _describe_owner(text, key, config, config_dir)
        raise UserError(message) if message else unknown_key(text, hint(key, config))
    if len(path) == 1 and path[0] in groups() and last == name_key(path[0]):
        value = text.partition("=")[2]
        raise UserError(say("choice_by_group", word=text, group=path[0], value=value))
    if key in groups():  # a mapping, as a name would have been a choice
        names = ", ".join(choices(key, config_dir))
        raise UserError(say("choose_by_name", word=text, key=key, names=names))
    if isinstance(parent[last], dict):
        example = next(_knobs(config, key))
        raise UserError(say("one_value", word=text, example=example))


def _check_not_range(text: str, key: str) -> None:
    names = key.split(".")
    if "search" in names:
        searched = ".".join(name for name in names if name != "search")
        raise UserError(say("range_of_tune", word=text, key=searched))


def _find(tree: Any, path: Sequence[str]) -> Any:
    """The node at a path of keys, or None."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _leaves(tree: Tree, prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _knobs(config: Tree, prefix: str = "") -> Iterator[str]:
    """The keys below `prefix` that can be set: no group's name, no range of a search."""
    names = {f"{group}.{name_key(group)}" for group in config}
    below = prefix and f"{prefix}."
    return (
        leaf
        for leaf in _leaves(config)
        if leaf.startswith(below) and leaf not in names and "search" not in leaf.split(".")[1:]
    )


def _describe_owner(text: str, key: str, config: Tree, config_dir: str | None) -> str | None:
    """The sentence for a knob of a choice that was not made; None if no choice has it."""
    group, *rest = key.split(".")
    available = choices(group, config_dir)
    if group == REGULARIZATION and rest and rest[0] in available and rest[0] not in config[group]:
        selected = ",".join([*config[group], rest[0]])
        return say("select_it", word=text, name=rest[0], group=group, selected=selected)
    owners = [f"{group}={name}" for name in available if _has_knob(key, group, name, config_dir)]
    if not owners:
        return None
    selected = config[group][name_key(group)]
    knobs = [knob.removeprefix(f"{group}.") for knob in _knobs(config, group)]
    *first, last = owners
    listed = joined([joined(first), last], "and") if first else last
    return say(
        "belongs_to",
        word=text,
        group=group,
        selected=selected,
        knobs=", ".join(knobs) or say("no_knobs"),
        knob=".".join(rest),
        owners=listed,
    )


def _has_knob(key: str, group: str, name: str, config_dir: str | None) -> bool:
    config, _ = compose_choices(((group, (name,)),), config_dir)
    return key in _knobs(config)


def hint(key: str, config: Tree) -> Message:
    """The nearest key below the same parent; for a key without a parent, anywhere."""
    path, _, last = key.rpartition(".")
    names = _candidates(path, config)
    if names is None:
        last, names = key, {leaf: leaf for leaf in _knobs(config)}
    near = nearest(last, names)
    if near:
        return messages.say("did_you_mean", near=names[near])
    return did_you_mean("", names.values() if path else config)


def _candidates(path: str, config: Tree) -> dict[str, str] | None:
    """Last name -> key, of the keys below a path; None if there is no such path."""
    trainer = [f"trainer.{name}" for name in PARAMETERS]
    if not path:
        keys = [*trainer, *_knobs(config), *config]
        return {key.rpartition(".")[2]: key for key in keys}
    if not isinstance(_find(config, path.split(".")), dict):
        return None
    below = trainer if path == "trainer" else _knobs(config, path)
    return {key.removeprefix(f"{path}."): key for key in below}

"""Whether a word's key can be set in the configuration that was chosen; if not, what was most likely meant."""

from collections.abc import Iterator, Sequence
from typing import Any

from upgate.config.choices import REGULARIZATION, choices, chosen, groups, name_key
from upgate.config.schema import said
from upgate.config.trainer import PARAMETERS, refuse
from upgate.errors import UserError, did_you_mean, nearest


def picked(word: str, override: Any, extra: str | None) -> tuple[str, ...]:
    """The names that a word `group=choice` picks; several, or none at all, in regularization only."""
    group, value = override.key_or_group, override.value()
    there = choices(group, extra)
    if isinstance(value, list) and group != REGULARIZATION:
        raise UserError(f"{word}: {group} takes one choice; only {REGULARIZATION} takes several")
    names = tuple(said(name) for name in (value if isinstance(value, list) else [value]))
    for name in names:
        if name not in there:
            raise UserError(f"{group}={name} is not a choice{did_you_mean(name, there)}")
    if len(set(names)) < len(names) or (len(names) > 1 and "none" in names):
        raise UserError(f"{word}: name each choice once, and none by itself")
    return names or ("none",)


def check_key(word: str, key: str, plain: dict[str, Any], extra: str | None) -> None:
    """Raise unless a key is there to be set; a Trainer argument need not stand in the yaml."""
    *path, last = key.split(".")
    parent = _at(plain, path)
    if path == ["trainer"]:
        refuse(last)
    if "search" in key.split("."):
        searched = ".".join(name for name in key.split(".") if name != "search")
        raise UserError(
            f"{word}: a range is for upgate tune alone; give it as tune.space.{searched}=..."
        )
    if not isinstance(parent, dict) or last not in parent:
        if path == ["trainer"] and last in PARAMETERS:
            return
        raise UserError(
            _elsewhere(word, key, plain, extra) or f"unknown key {word}{_hint(key, plain)}"
        )
    if len(path) == 1 and path[0] in groups() and last == name_key(path[0]):
        raise UserError(
            f"{word}: a choice is made by its group, as in {path[0]}={word.partition('=')[2]}"
        )
    if key in groups():  # a mapping, for a name would have been a choice
        raise UserError(
            f"{word}: choose {key} by name ({', '.join(choices(key, extra))}), and set one value at a time beside it"
        )
    if isinstance(parent[last], dict):
        raise UserError(f"{word}: set one value at a time, as in {next(_knobs(plain, key))}=...")


def _at(tree: Any, path: Sequence[str]) -> Any:
    """The node at a path of keys, or None."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield from (
            _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
        )


def _knobs(plain: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys below `prefix` that can be set."""
    names = {f"{group}.{name_key(group)}" for group in plain}
    return (
        leaf
        for leaf in _leaves(plain)
        if leaf not in names and leaf.startswith(prefix and f"{prefix}.")
    )


def _elsewhere(word: str, key: str, plain: dict[str, Any], extra: str | None) -> str | None:
    """The sentence for a knob of a choice that was not made; None if no choice has it."""
    group, *rest = key.split(".")
    there = choices(group, extra)
    if group == REGULARIZATION and rest and rest[0] in there and rest[0] not in plain[group]:
        return f"{word}: {rest[0]} is not selected; select it with {group}=[{','.join([*plain[group], rest[0]])}]"
    owners = [
        f"{group}={name}" for name in there if key in _knobs(chosen(((group, (name,)),), extra)[0])
    ]
    if not owners:
        return None
    now, own = (
        plain[group][name_key(group)],
        [knob.removeprefix(f"{group}.") for knob in _knobs(plain, group)],
    )
    return f"{word}: {group}={now} has {', '.join(own) or 'no values to set'}; {'.'.join(rest)} belongs to {' and '.join(owners)}"


def _hint(key: str, plain: dict[str, Any]) -> str:
    """The nearest key below the same parent; for a bare word, anywhere."""
    path, _, word = key.rpartition(".")
    trainer = [f"trainer.{name}" for name in PARAMETERS]
    if not path:
        names = {leaf.rpartition(".")[2]: leaf for leaf in (*trainer, *_knobs(plain), *plain)}
    elif isinstance(_at(plain, path.split(".")), dict):
        names = {
            leaf.removeprefix(f"{path}."): leaf
            for leaf in (trainer if path == "trainer" else _knobs(plain, path))
        }
    else:
        word, names = key, {leaf: leaf for leaf in _knobs(plain)}
    near = nearest(word, names)
    return (
        f", did you mean '{names[near]}'?"
        if near
        else did_you_mean("", names.values() if path else plain)
    )

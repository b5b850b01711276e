"""From the command line's overrides to a plain, resolved configuration: Hydra composes `conf/`.

Imports nothing heavy: `upgate --help` and every typo answer at once.
"""

import pickle
from collections.abc import Sequence
from functools import lru_cache, reduce
from typing import Any

from upgate import messages
from upgate.config.choices import (
    PARTS,
    REGULARIZATION,
    SECTIONS,
    choices,
    compose_choices,
    conf_dir,
    find_interpolations,
    groups,
    one_line,
)
from upgate.config.extensions import find_folder, use_folder
from upgate.config.keys import check_key, read_choice
from upgate.config.overrides import Override, parse_overrides, single_value_hint
from upgate.config.texts import say
from upgate.config.trainer import check_trainer
from upgate.errors import UserError

__all__ = [
    "PARTS",
    "REGULARIZATION",
    "choices",
    "compose",
    "conf_dir",
    "find_part_changes",
    "group_of",
    "groups",
    "twin_overrides",
]


def compose(overrides: Sequence[str], config_dir: str | None = None) -> dict[str, Any]:
    """The resolved configuration of one run as plain values, the Trainer's arguments checked.

    `overrides`: without sweeps; `config_dir`: a folder of the user's own choices, laid out as
    `conf/`. Raises UserError for an unknown group, choice or key, with the nearest right one.
    """
    use_folder(config_dir)  # a choice may be made of code that stands there
    picks, values = [], []
    for override in parse_overrides(overrides):
        _check_single(override)
        if override.key in groups() and not isinstance(override.value, dict):
            picks.append((override.key, read_choice(override, config_dir)))
        else:
            values.append(override)
    composed, interpolations = compose_choices(tuple(picks), config_dir)
    for override in values:
        check_key(override, composed, config_dir)
    readers = "\n".join([interpolations, *(one.text for one in values if "${" in one.text)])
    late = [override for override in values if _is_late(override, readers)]
    early = tuple(override.text for override in values if override not in late)
    resolved = _resolve_but_plain(composed, early, readers)
    for override in late:
        *path, last = override.key.split(".")
        reduce(dict.__getitem__, path, resolved)[last] = override.value
    trainer = check_trainer(resolved["trainer"])
    folder = {} if config_dir is None else {"config_dir": str(find_folder(config_dir))}
    return {**resolved, "trainer": trainer, **folder}


def _check_single(override: Override) -> None:
    if override.is_sweep:
        raise UserError(
            say("several_values", word=override.text, hint=single_value_hint(override.text))
        )
    if not override.is_assignment:
        raise UserError(say("plain_words_only", word=override.text))


def _is_late(override: Override, interpolations: str) -> bool:
    """Whether a value can be set after interpolations are resolved, as none reads it.

    So a sweep over seeds resolves once.
    """
    plain = isinstance(override.value, int | float | None)
    return plain and not any(name in interpolations for name in override.key.split("."))


def _resolve_but_plain(
    composed: dict[str, Any], overrides: tuple[str, ...], readers: str
) -> dict[str, Any]:
    """The composed configuration with these values, its interpolations resolved.

    Sections that hold no interpolation, are read by none and get none of these values are put in
    as they stand, so that recipes which differ in them alone resolve once: it is slow.
    """
    changed = {group_of(text) for text in overrides}
    plain = {
        group: composed[group]
        for group in SECTIONS
        if group not in changed
        and group not in readers
        and not any(find_interpolations(composed[group], ""))
    }
    rest = {key: value for key, value in composed.items() if key not in plain}
    resolved: dict[str, Any] = pickle.loads(_resolve(pickle.dumps(rest), overrides))
    resolved |= pickle.loads(pickle.dumps(plain))  # a copy
    return {key: resolved.pop(key) for key in composed} | resolved


@lru_cache(maxsize=256)
def _resolve(pickled: bytes, overrides: tuple[str, ...]) -> bytes:
    """The composed configuration with these values, its interpolations resolved; pickled."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        config = OmegaConf.create(pickle.loads(pickled))
        for override in parse_overrides(overrides):
            OmegaConf.update(config, override.key, override.value, merge=False, force_add=True)
        resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(messages.say("is_missing", prefix="", key=str(error.full_key))) from None
    except OmegaConfBaseException as error:
        raise UserError(one_line(error)) from None
    return pickle.dumps({str(key): value for key, value in resolved.items()})


def twin_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides of a run's twin: the traditional recipe, and all that concerns no part."""
    kept = [text for text in overrides if group_of(text) not in (*PARTS, "recipe")]
    return [*kept, "recipe=traditional"]


def find_part_changes(overrides: Sequence[str]) -> list[str]:
    """The overrides that change the recipe's parts, for names and tags."""
    return [text for text in overrides if group_of(text) in PARTS]


def group_of(text: str) -> str:
    """The group of an override, or the first word of its key: optimizer of optimizer.lr=0.1."""
    return text.partition("=")[0].partition(".")[0]

"""From words on the command line to a plain, resolved configuration: Hydra composes `conf/`, unknown words raise.

Imports nothing heavy: `upgate --help` and every typo answer at once.
"""

import pickle
from collections.abc import Sequence
from typing import Any

from upgate.config_choices import PARTS, REGULARIZATION, choices, chosen, conf_dir, groups, sentence
from upgate.config_keys import check_key, picked
from upgate.config_trainer import check_trainer
from upgate.config_words import as_one, expand, parsed
from upgate.errors import UserError

__all__ = ["PARTS", "REGULARIZATION", "changes", "choices", "compose", "conf_dir", "expand", "groups", "twin_words"]


def compose(words: Sequence[str], extra: str | None = None) -> dict[str, Any]:
    """Return the resolved configuration of one run as plain values, the Trainer's arguments checked.

    Args: overrides without sweeps; `extra`, a folder of the user's own choices, laid out as `conf/`.
    Raises UserError for an unknown group, choice or key, with the nearest right one.
    """
    known = groups()
    picks, values = [], []
    for word, override in parsed(words).items():
        if override.is_sweep_override():
            raise UserError(f"{word} holds several values, and here goes one{as_one(word)}")
        if override.package is not None or "/" in override.key_or_group or override.type.name != "CHANGE":
            raise UserError(f"{word}: only group=choice and key=value are understood here")
        if override.key_or_group in known and not isinstance(override.value(), dict):
            picks.append((override.key_or_group, picked(word, override, extra)))
        else:
            values.append((word, override))
    plain, frozen = chosen(tuple(picks), extra)
    for word, override in values:
        check_key(word, override.key_or_group, plain, extra)
    resolved = _resolved(frozen, [override for _, override in values])
    return {**resolved, "trainer": check_trainer(resolved["trainer"])}


def _resolved(frozen: bytes, overrides: Sequence[Any]) -> dict[str, Any]:
    """The composed configuration with these values in it, its interpolations resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        config = pickle.loads(frozen)
        for override in overrides:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=False, force_add=True)
        resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is missing; give it a value, as in {error.full_key}=...") from None
    except OmegaConfBaseException as error:
        raise UserError(sentence(error)) from None
    return {str(key): value for key, value in resolved.items()}


def twin_words(words: Sequence[str]) -> list[str]:
    """The overrides of a run's twin: the traditional recipe, everything that is not a part left as it was."""
    kept = [word for word in words if _group(word) not in (*PARTS, "recipe")]
    return [*kept, "recipe=traditional"]


def changes(words: Sequence[str]) -> list[str]:
    """The words that change the recipe's parts, for names and tags."""
    return [word for word in words if _group(word) in PARTS]


def _group(word: str) -> str:
    return word.partition("=")[0].partition(".")[0]

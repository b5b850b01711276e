"""From words on the command line to a plain, resolved configuration: Hydra composes `conf/`, unknown words raise.

Imports nothing heavy: `upgate --help` and every typo answer at once.
"""

import pickle
from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce
from typing import Any

from upgate.config.choices import PARTS, REGULARIZATION, choices, chosen, conf_dir, groups, sentence
from upgate.config.extensions import find_folder, use_folder
from upgate.config.keys import check_key, picked
from upgate.config.overrides import as_one, expand, parsed
from upgate.config.trainer import check_trainer
from upgate.errors import UserError

__all__ = [
    "PARTS",
    "REGULARIZATION",
    "choices",
    "compose",
    "conf_dir",
    "expand",
    "find_part_changes",
    "groups",
    "twin_overrides",
]


def compose(words: Sequence[str], extra: str | None = None) -> dict[str, Any]:
    """Return the resolved configuration of one run as plain values, the Trainer's arguments checked.

    Args: overrides without sweeps; `extra`, a folder of the user's own choices, laid out as `conf/`.
    Raises UserError for an unknown group, choice or key, with the nearest right one.
    """
    use_folder(extra)  # a choice may be made of code that stands there
    known = groups()
    picks, values = [], []
    for word, override in parsed(words).items():
        if override.is_sweep_override():
            raise UserError(f"{word} holds several values, and here goes one{as_one(word)}")
        if (
            override.package is not None
            or "/" in override.key_or_group
            or override.type.name != "CHANGE"
        ):
            raise UserError(f"{word}: only group=choice and key=value are understood here")
        if override.key_or_group in known and not isinstance(override.value(), dict):
            picks.append((override.key_or_group, picked(word, override, extra)))
        else:
            values.append((word, override))
    plain, frozen = chosen(tuple(picks), extra)
    for word, override in values:
        check_key(word, override.key_or_group, plain, extra)
    aside = [override for _, override in values if _is_aside(override, _interpolations(frozen))]
    resolved: dict[str, Any] = pickle.loads(
        _resolved(frozen, tuple(word for word, override in values if override not in aside))
    )
    for override in aside:
        *path, last = override.key_or_group.split(".")
        reduce(dict.__getitem__, path, resolved)[last] = override.value()
    trainer = check_trainer(resolved["trainer"])
    folder = {} if extra is None else {"config_dir": str(find_folder(extra))}  # for workers
    return {**resolved, "trainer": trainer, **folder}


def _is_aside(override: Any, interpolations: str) -> bool:
    """Whether a value can be set after interpolations are resolved, for none reads it: a sweep over seeds resolves once."""
    plain = isinstance(override.value(), int | float | None)
    return plain and not any(name in interpolations for name in override.key_or_group.split("."))


@lru_cache(maxsize=256)
def _interpolations(frozen: bytes) -> str:
    """All texts of a composed configuration that read others, and the keys that must be given."""
    from omegaconf import OmegaConf

    def texts(node: Any, key: str) -> Iterator[str]:
        if isinstance(node, dict | list):
            for inner, one in node.items() if isinstance(node, dict) else enumerate(node):
                yield from texts(one, str(inner))
        elif isinstance(node, str) and ("${" in node or node == "???"):
            yield key if node == "???" else node

    return "\n".join(texts(OmegaConf.to_container(pickle.loads(frozen), resolve=False), ""))


@lru_cache(maxsize=256)
def _resolved(frozen: bytes, words: tuple[str, ...]) -> bytes:
    """The composed configuration with these words' values in it, its interpolations resolved; plain and pickled."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        config = pickle.loads(frozen)
        for override in parsed(words).values():
            OmegaConf.update(
                config, override.key_or_group, override.value(), merge=False, force_add=True
            )
        resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(
            f"{error.full_key} is missing; give it a value, as in {error.full_key}=..."
        ) from None
    except OmegaConfBaseException as error:
        raise UserError(sentence(error)) from None
    return pickle.dumps({str(key): value for key, value in resolved.items()})


def twin_overrides(words: Sequence[str]) -> list[str]:
    """The overrides of a run's twin: the traditional recipe, everything that is not a part left as it was."""
    kept = [word for word in words if _group(word) not in (*PARTS, "recipe")]
    return [*kept, "recipe=traditional"]


def find_part_changes(words: Sequence[str]) -> list[str]:
    """The words that change the recipe's parts, for names and tags."""
    return [word for word in words if _group(word) in PARTS]


def _group(word: str) -> str:
    return word.partition("=")[0].partition(".")[0]


changes, twin_words = find_part_changes, twin_overrides

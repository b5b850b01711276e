"""`+experiment=NAME`: the words that a file of `conf/experiment/`, or of one's own, stands for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from upgate.config.choices import (
    EXPERIMENT,
    REGULARIZATION,
    choices,
    folders,
    groups,
    one_line,
)
from upgate.config.keywords import hydra_text
from upgate.config.overrides import parse_override
from upgate.config.texts import say
from upgate.errors import UserError, did_you_mean

GROUP = re.compile(r"override /(\w+)")
PACKAGE = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)


def words_left(words: Sequence[str], given: Sequence[str]) -> list[str]:
    """An experiment's words but for those that the command line gives otherwise.

    given: the command line's own words. A choice of theirs leaves out the experiment's values of
    the choice that it replaces.
    """
    keys = {word.partition("=")[0] for word in given}
    chosen = {key: word for word in given if (key := word.partition("=")[0]) in groups()}
    return [
        word
        for word in words
        if word.partition("=")[0] not in keys and not _is_replaced(word, words, chosen)
    ]


def _is_replaced(word: str, words: Sequence[str], chosen: Mapping[str, str]) -> bool:
    """Whether a file's word is a value of a choice that the command line replaces."""
    group, *rest = word.partition("=")[0].split(".")
    if not rest or group not in chosen or chosen[group] in words:
        return False
    value = parse_override(chosen[group]).value
    names = value if isinstance(value, list) else [value]
    return group != REGULARIZATION or rest[0] not in names


def read_experiment(name: str, config_dir: str | None) -> list[str]:
    """`group=choice` and `key=value` of an experiment's file. Raises UserError."""
    available = choices(EXPERIMENT, config_dir)
    if name not in available:
        raise UserError(say("no_experiment", name=name, hint=did_you_mean(name, available)))
    files = [folder / EXPERIMENT / f"{name}.yaml" for folder in folders(config_dir)]
    path = next(file for file in files if file.is_file())
    content = _read_experiment(path)
    made = content.pop("defaults", [])
    entries = made if isinstance(made, list) else [made]
    return [*(word for entry in entries for word in _choice(entry, path)), *_assignments(content)]


def _read_experiment(path: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        package = PACKAGE.search(path.read_text(encoding="utf-8"))
        content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (YAMLError, OmegaConfBaseException, ValueError, OSError) as error:
        raise UserError(say("unreadable_file", path=str(path), cause=one_line(error))) from None
    if package and package[1] != "_global_":
        raise UserError(say("odd_package", path=str(path), package=package[1]))
    if not isinstance(content, dict):
        raise UserError(say("no_mapping", path=str(path), content=str(content)))
    return content


def _choice(entry: object, path: Path) -> Iterator[str]:
    """The word of one line of the defaults list."""
    if entry == "_self_":
        return
    pair = list(entry.items()) if isinstance(entry, dict) else []
    group = GROUP.fullmatch(str(pair[0][0])) if len(pair) == 1 else None
    if group is None:
        raise UserError(say("odd_default", path=str(path), entry=str(entry)))
    yield f"{group[1]}={hydra_text(pair[0][1])}"


def _assignments(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _assignments(value, f"{prefix}{key}.")
        elif value != "???":  # which the command line has to give
            yield f"{prefix}{key}={hydra_text(value)}"

"""The choices of `conf/` and of a user's own folder, and the yamls of some composed by Hydra."""

import pickle
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from upgate.config.extensions import find_folder
from upgate.config.texts import say
from upgate.errors import UserError, did_you_mean

PARTS = (
    "optimizer",
    "schedule",
    "clip",
    "regularization",
    "init",
    "layerwise",
    "averaging",
    "stopping",
)
SETTINGS = ("data", "split", "model", "executor")  # groups whose yamls are one section each, too
SECTIONS = (*PARTS, *SETTINGS)
EXPERIMENT = "experiment"  # the folder of experiments, which are words and no choices
REGULARIZATION = "regularization"  # the one group of which several choices can be made at once


def conf_dir() -> Path:
    """The shipped `conf/`: beside `src/` in a checkout, inside the package in a wheel."""
    checkout = Path(__file__).parents[3] / "conf"
    return checkout if (checkout / "config.yaml").exists() else Path(__file__).parents[1] / "conf"


def choices(group: str, config_dir: str | None = None) -> list[str]:
    """Names of the choices in a group, those of the user's own folder included."""
    files = [path for folder in folders(config_dir) for path in (folder / group).glob("*.yaml")]
    return sorted({path.stem for path in files})


@lru_cache
def groups() -> tuple[str, ...]:
    """Names of the groups: each stands for something that the program knows how to use."""
    names = {path.parent.name for path in conf_dir().glob("*/*.yaml")}
    return tuple(sorted(names - {EXPERIMENT}))


@lru_cache
def defaults() -> dict[str, Any]:
    """`conf/config.yaml` as it stands: top-level keys, and its list of default choices."""
    return _load_plain(conf_dir() / "config.yaml")


def plain_choices() -> dict[str, str | list[str]]:
    """Group -> the choice of `conf/config.yaml`, which a recipe or a task may replace."""
    chosen: dict[str, str | list[str]] = {}
    for entry in defaults()["defaults"]:
        chosen |= entry if isinstance(entry, dict) else {}
    return chosen


def default_choices() -> dict[str, str | list[str]]:
    """Group -> the choice that is made without a word; what task and recipe choose wins."""
    chosen = plain_choices()
    for group in ("task", "recipe"):
        for entry in _load_plain(conf_dir() / group / f"{chosen[group]}.yaml")["defaults"]:
            chosen |= {key.removeprefix("override /"): name for key, name in entry.items()}
    return chosen


def _load_plain(path: Path) -> dict[str, Any]:
    """A yaml of our own, without Hydra."""
    import yaml

    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def folders(config_dir: str | None) -> list[Path]:
    """Those that hold choices: the shipped one, and the user's own. Raises UserError."""
    if config_dir is None:
        return [conf_dir()]
    folder = find_folder(config_dir)
    names = {path.parent.name for path in folder.glob("[!.]*/*.yaml")}
    for name in sorted(names - {*groups(), EXPERIMENT}):
        raise UserError(
            say("folder_no_group", folder=config_dir, name=name, hint=did_you_mean(name, groups()))
        )
    return [conf_dir(), folder]


def name_key(group: str) -> str:
    """The key under which a choice's yaml says which one it is."""
    return "source" if group == "data" else "name"


Picks = tuple[tuple[str, tuple[str, ...]], ...]  # group and names, each


@lru_cache(maxsize=256)
def compose_choices(picks: Picks, config_dir: str | None) -> tuple[dict[str, Any], str]:
    """Compose the picked yamls; a sweep over values or seeds composes once.

    Returns the configuration as plain values, not resolved and not to be changed, and the
    interpolations that it holds, one a line. Raises UserError for whatever a file of the user's
    may hold.

    Hydra takes a third of a second for a composition, and sweeps and studies need dozens. Of a
    shipped choice, but for a task and a recipe, a section is its yaml and nothing else, so it
    replaces the section that Hydra composed, unless a recipe or a task has added something to it.
    """
    sections = SECTIONS if config_dir is None else ()
    replaced = {group: names for group, names in picks if group in sections}
    rest = tuple(pick for pick in picks if pick[0] not in replaced)
    composed = _compose(rest, config_dir)
    if not replaced or replaced.keys() <= _find_untouched(rest):
        composed |= {group: _read_section(group, names) for group, names in replaced.items()}
    else:
        composed = _compose(picks, config_dir)
    for group in (*SECTIONS, "recipe", "task", "trainer"):
        _check_shape(group, composed.get(group))
    return composed, "\n".join(find_interpolations(composed, ""))


def find_interpolations(node: Any, key: str) -> Iterator[str]:
    """All texts of a composed configuration that read others, and the keys that must be given."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from find_interpolations(inner, str(name))
    elif isinstance(node, list):
        for i, inner in enumerate(node):
            yield from find_interpolations(inner, str(i))
    elif node == "???":
        yield key
    elif isinstance(node, str) and "${" in node:
        yield node


@lru_cache
def _find_untouched(picks: Picks) -> set[str]:
    """The groups whose composed section is the yamls of its own choices and nothing else."""
    composed, found = _compose(picks, None), set()
    for group in SECTIONS:
        section = composed[group]
        names = section if group == REGULARIZATION else [section[name_key(group)]]
        if section == _read_section(group, names):
            found.add(group)
    return found


def _read_section(group: str, names: Iterable[str]) -> dict[str, Any]:
    """The yamls of a group's shipped choices, merged."""
    return {key: value for name in names for key, value in _read_yaml(group, name).items()}


@lru_cache
def _read_yaml(group: str, name: str) -> dict[str, Any]:
    from omegaconf import OmegaConf

    section = OmegaConf.load(conf_dir() / group / f"{name}.yaml")
    return dict(OmegaConf.to_container(section, resolve=False))  # type: ignore[arg-type]


def _compose(picks: Picks, config_dir: str | None) -> dict[str, Any]:
    """Hydra's composition as plain values; a recipe may have a version of its own for a task."""
    return dict(pickle.loads(_compose_once(picks, config_dir)))


@lru_cache
def _compose_once(picks: Picks, config_dir: str | None) -> bytes:
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from yaml import YAMLError

    _check_no_shipped_name(config_dir)
    overrides = [_quote_pick(group, names) for group, names in picks]
    if config_dir is not None:
        folder = str(find_folder(config_dir)).replace("'", "\\'")
        overrides.append(f"hydra.searchpath=['file://{folder}']")
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            chosen = plain_choices() | {group: names[0] for group, names in picks}
            own, config = f"{chosen['task']}/{chosen['recipe']}", None
            if config_dir is not None:  # a user's file may have another name than its task
                config = hydra.compose("config", overrides)
                own = f"{config.task.name}/{config.recipe}"
            if any((folder / "recipe" / f"{own}.yaml").exists() for folder in folders(config_dir)):
                others = [text for text in overrides if not text.startswith("recipe=")]
                config = hydra.compose("config", [*others, f"recipe={own}"])
            elif config is None:
                config = hydra.compose("config", overrides)
    except (HydraException, YAMLError, ValueError, RecursionError) as error:
        requested = " ".join(f"{group}={','.join(names)}" for group, names in picks)
        raise UserError(say("cannot_compose", words=requested, cause=one_line(error))) from None
    return pickle.dumps(OmegaConf.to_container(config, resolve=False))


def _check_no_shipped_name(config_dir: str | None) -> None:
    for folder in folders(config_dir)[1:]:
        for path in folder.glob("**/*.yaml"):
            if (conf_dir() / path.relative_to(folder)).exists():
                raise UserError(say("shipped_name", path=str(path)))


def _quote_pick(group: str, names: tuple[str, ...]) -> str:
    quoted = ",".join(f"'{name}'" for name in names)
    return f"{group}=[{quoted}]" if group == REGULARIZATION else f"{group}={quoted}"


def _check_shape(group: str, section: Any) -> None:
    """Raise UserError where a file of the user's lacks what every choice of its group has."""
    if group == REGULARIZATION:
        values = section.values() if isinstance(section, dict) else [None]
        fits = all(isinstance(knobs, dict) for knobs in values)
        shape = say("shape_regularization")
    elif group == "trainer":
        fits, shape = isinstance(section, dict), say("shape_trainer")
    elif group == "recipe":
        fits, shape = isinstance(section, str), say("shape_recipe")
    else:
        fits = isinstance(section, dict) and isinstance(section.get(name_key(group)), str)
        shape = say("shape_choice", key=name_key(group))
    if not fits:
        raise UserError(say("odd_shape", group=group, section=str(section), shape=shape))


def one_line(error: Exception) -> str:
    """An error of Hydra's, OmegaConf's or YAML's in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"{mark.name}, line {mark.line + 1}: {getattr(error, 'problem', '')}"
    line = " ".join((str(error) or str(error.__cause__)).split("\n")[0].split())
    key = getattr(error, "full_key", None)
    return f"{key}: {line}" if key else line

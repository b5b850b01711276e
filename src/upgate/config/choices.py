"""What `conf/` and a folder of the user's own offer, and the yamls of some choices composed by Hydra."""

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

from upgate.config.extensions import find_folder
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
REGULARIZATION = "regularization"  # the one group of which several choices can be made at once


def conf_dir() -> Path:
    """The shipped `conf/`: beside `src/` in a checkout, inside the package in a wheel."""
    checkout = Path(__file__).parents[3] / "conf"
    return checkout if (checkout / "config.yaml").exists() else Path(__file__).parents[1] / "conf"


def choices(group: str, extra: str | None = None) -> list[str]:
    """Names of the choices in a group, the user's own folder included."""
    return sorted(
        {path.stem for folder in _folders(extra) for path in (folder / group).glob("*.yaml")}
    )


@lru_cache
def groups() -> tuple[str, ...]:
    """Names of the groups: each stands for something that the program knows how to use."""
    return tuple(sorted({path.parent.name for path in conf_dir().glob("*/*.yaml")}))


def _folders(extra: str | None) -> list[Path]:
    if extra is None:
        return [conf_dir()]
    folder = find_folder(extra)
    own = {path.parent.name for path in folder.glob("[!.]*/*.yaml")}
    for name in sorted(own - set(groups())):
        raise UserError(
            f"--config-dir {extra}: {name} is not a group, so nothing would use its choices{did_you_mean(name, groups())}"
        )
    return [conf_dir(), folder]


def name_key(group: str) -> str:
    """The key under which a choice's yaml says which one it is."""
    return "source" if group == "data" else "name"


@lru_cache(maxsize=256)
def chosen(
    picks: tuple[tuple[str, tuple[str, ...]], ...], extra: str | None
) -> tuple[dict[str, Any], bytes]:
    """Compose the picked yamls; a sweep over values or seeds composes once.

    Returns the configuration as plain values, not resolved, and pickled: unpickling it is six times as fast as a deep copy.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from yaml import YAMLError

    for folder in _folders(extra)[1:]:
        if taken := [
            path
            for path in folder.glob("**/*.yaml")
            if (conf_dir() / path.relative_to(folder)).exists()
        ]:
            raise UserError(
                f"{taken[0]} has the name of a file of Upgate's own, which would win; rename it"
            )
    quoted = {group: ",".join(f"'{name}'" for name in names) for group, names in picks}
    words = [
        f"{group}=[{names}]" if group == REGULARIZATION else f"{group}={names}"
        for group, names in quoted.items()
    ]
    if extra is not None:
        place = str(find_folder(extra)).replace("'", "\\'")
        words.append(f"hydra.searchpath=['file://{place}']")
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = hydra.compose("config", words)
            own = f"{config.task.name}/{config.recipe}"  # a recipe may have a version of its own for a task
            if any((folder / "recipe" / f"{own}.yaml").exists() for folder in _folders(extra)):
                config = hydra.compose(
                    "config",
                    [*(word for word in words if not word.startswith("recipe=")), f"recipe={own}"],
                )
    except (
        HydraException,
        YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # whatever a file of the user's may hold
        asked = " ".join(f"{group}={','.join(names)}" for group, names in picks)
        raise UserError(f"{asked} cannot be composed: {sentence(error)}") from None
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for group in (*PARTS, "recipe", "task", "data", "split", "model", "executor", "trainer"):
        _check_shape(group, plain.get(group))
    return plain, pickle.dumps(config)


def _check_shape(group: str, section: Any) -> None:
    """Raise where a file of the user's lacks what every choice of its group has."""
    if group == REGULARIZATION:
        fits = isinstance(section, dict) and all(
            isinstance(knobs, dict) for knobs in section.values()
        )
        shape = "the choice's name and its knobs below it"
    elif group == "trainer":
        fits, shape = isinstance(section, dict), "arguments of the Trainer and their values"
    elif group == "recipe":
        fits, shape = isinstance(section, str), "recipe: and its name"
    else:
        fits = isinstance(section, dict) and isinstance(section.get(name_key(group)), str)
        shape = f"{name_key(group)}: and the choice's name"
    if not fits:
        raise UserError(
            f"the yaml chosen for {group} gives {section}; it must hold {shape}, as those in conf/ do"
        )


def sentence(error: Exception) -> str:
    """An error of Hydra's, OmegaConf's or YAML's in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"{mark.name}, line {mark.line + 1}: {getattr(error, 'problem', '')}"
    line = " ".join((str(error) or str(error.__cause__)).split("\n")[0].split())
    key = getattr(error, "full_key", None)
    return f"{key}: {line}" if key else line

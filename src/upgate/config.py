"""From words on the command line to a plain, resolved configuration: Hydra composes `conf/`, unknown words raise.

Imports nothing heavy: `upgate --help` and every typo answer at once.
"""

import itertools
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from upgate.errors import UserError, did_you_mean

PARTS = ("optimizer", "schedule", "clip", "regularization", "init", "layerwise", "averaging", "stopping")
REGULARIZATION = "regularization"  # the one group of which several choices can be made at once


def conf_dir() -> Path:
    """The shipped `conf/`: beside `src/` in a checkout, inside the package in a wheel."""
    checkout = Path(__file__).parents[2] / "conf"
    return checkout if (checkout / "config.yaml").exists() else Path(__file__).parent / "conf"


def choices(group: str, extra: str | None = None) -> list[str]:
    """Names of the choices in a group, the user's own folder included."""
    folders = [conf_dir() / group] + ([Path(extra) / group] if extra else [])
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def groups(extra: str | None = None) -> list[str]:
    folders = [conf_dir()] + ([Path(extra)] if extra else [])
    return sorted({path.name for folder in folders for path in folder.iterdir() if path.is_dir()})


def expand(words: Sequence[str], multirun: bool) -> list[list[str]]:
    """Split sweeps (`optimizer=sgd,adam`) into one list of overrides per job, in Hydra's own grammar and order."""
    axes = []
    for override in _parse(words):
        if not override.is_sweep_override():
            axes.append([override.input_line])
        elif not multirun:
            raise UserError(f"{override.input_line} asks for several runs; add -m to sweep (make train ARGS=-m ...)")
        else:
            key = override.get_key_element()
            axes.append([f"{key}={value}" for value in override.sweep_string_iterator()])
    return [list(job) for job in itertools.product(*axes)]


def compose(words: Sequence[str], extra: str | None = None) -> dict[str, Any]:
    """Return the resolved configuration of one run as plain values.

    Args: overrides without sweeps; `extra`, a folder of the user's own choices, laid out as `conf/`.
    Raises UserError for an unknown group, choice or key, with the nearest right one.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    known = groups(extra)
    picks, values = [], []
    for override in _parse(words):
        if override.package is not None or "/" in override.key_or_group or override.type.name != "CHANGE":
            raise UserError(f"{override.input_line}: only group=choice and key=value are understood here")
        if override.key_or_group in known and not isinstance(override.value(), dict):
            picks.append(_choice(override, extra))
        else:
            values.append(override)
    config = deepcopy(_chosen(tuple(picks), extra))
    for override in values:
        _set(config, override)
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(_one_line(error)) from None
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def twin_words(words: Sequence[str]) -> list[str]:
    """The overrides of a run's twin: the traditional recipe, everything that is not a part left as it was."""
    kept = [w for w in words if w.partition("=")[0].split(".")[0] not in (*PARTS, "recipe")]
    return [*kept, "recipe=traditional"]


def changes(words: Sequence[str]) -> list[str]:
    """The words that change the recipe's parts, for names and tags."""
    return [w for w in words if w.partition("=")[0].split(".")[0] in PARTS]


def _parse(words: Sequence[str]) -> list[Any]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        return list(OverridesParser.create().parse_overrides(list(words)))
    except OverrideParseException as error:
        raise UserError(f"{error.override} cannot be read; write key=value, and quote what holds blanks or commas") from None


def _choice(override: Any, extra: str | None) -> str:
    group, there = override.key_or_group, choices(override.key_or_group, extra)
    value = override.value()
    names = value if isinstance(value, list) else [value]
    if isinstance(value, list) and group != REGULARIZATION:
        raise UserError(f"{override.input_line}: {group} takes one choice; only {REGULARIZATION} takes several")
    for name in names:
        if str(name).lower() not in there:  # YAML reads `none` as text but `null` as nothing
            raise UserError(f"{group}={name} is not a choice{did_you_mean(str(name), there)}")
    if len(names) > 1 and "none" in names:
        raise UserError(f"{override.input_line}: none cannot stand beside other choices; leave it out")
    return f"{group}=[{','.join(map(str, names))}]" if group == REGULARIZATION else str(override.input_line)


@lru_cache(maxsize=256)
def _chosen(picks: tuple[str, ...], extra: str | None) -> Any:
    """Compose the chosen yamls; a sweep over values or seeds composes once."""
    import hydra
    from hydra.errors import HydraException

    search = [f"hydra.searchpath=[file://{Path(extra).resolve()}]"] if extra else []
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return hydra.compose("config", [*picks, *search])
    except HydraException as error:
        raise UserError(_one_line(error)) from None


def _set(config: Any, override: Any) -> None:
    """Set one existing key; a Trainer argument need not stand in the yaml, Lightning's signature knows it."""
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    key, value = override.key_or_group, override.value()
    if key.startswith("trainer."):
        _trainer_argument(key)
    elif OmegaConf.select(config, key, default=_MISSING, throw_on_missing=False) is _MISSING and not _exists(config, key):
        keys = list(_leaves(config))
        word = key if "." in key else next((k for k in keys if k.split(".")[-1] == key), key)
        raise UserError(f"unknown key {key}={value}{_hint(word, keys)}")
    try:
        with open_dict(config):
            OmegaConf.update(config, key, _unquoted(value), merge=False)
    except OmegaConfBaseException as error:
        raise UserError(f"{key}={value}: {_one_line(error)}") from None


_MISSING = object()


def _exists(config: Any, key: str) -> bool:
    *path, last = key.split(".")
    node = config
    for name in path:
        node = node.get(name) if hasattr(node, "get") and name in node else None
    return hasattr(node, "keys") and last in node.keys()


def _hint(word: str, keys: list[str]) -> str:
    group = word.split(".")[0]
    near = did_you_mean(word, keys)
    inside = [key for key in keys if key.startswith(f"{group}.")]
    return near if near.startswith(", did") or not inside else f"; {group} has {', '.join(inside)}"


def _leaves(config: Any, prefix: str = "") -> Iterator[str]:
    for key in config:
        node = config._get_node(key)
        if hasattr(node, "keys") and not node._is_none() and not node._is_missing() and not node._is_interpolation():
            yield from _leaves(node, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


OURS = {
    "gradient_clip_val": "clip=norm clip.max_norm=...",
    "gradient_clip_algorithm": "clip=norm or clip=value",
    "logger": "MLFLOW_TRACKING_URI or root=...",
    "callbacks": "the recipe's parts",
    "default_root_dir": "root=...",
    "enable_checkpointing": "root=... (the best checkpoint is always kept)",
    "barebones": "trainer.enable_progress_bar=false",
    "use_distributed_sampler": "nothing: batches come from memory",
    "reload_dataloaders_every_n_epochs": "nothing: batches come from memory",
}


def _trainer_argument(key: str) -> None:
    import inspect

    name = key.split(".")[1]
    if name in OURS:
        raise UserError(f"{key} is set by Upgate; use {OURS[name]}")
    from lightning.pytorch import Trainer

    known = [p for p in inspect.signature(Trainer.__init__).parameters if p != "self" and p not in OURS]
    if name not in known:
        raise UserError(f"unknown key {key}{did_you_mean(name, known)}")


def _unquoted(value: Any) -> Any:
    """Hydra keeps quoted strings as objects of its own; lists may hold them."""
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _unquoted(item) for key, item in value.items()}
    return str(value.text) if hasattr(value, "text") and hasattr(value, "quote") else value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split("\n")[0].split())

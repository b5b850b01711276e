"""Words to launcher and sweeper plugins of Hydra: `hydra/launcher=joblib hydra.launcher.n_jobs=2`.

Hydra finds the plugins that are installed and knows their keys; a wrong word is one sentence.
"""

import re
from collections.abc import Sequence
from typing import Any

from upgate.config.choices import one_line
from upgate.config.keywords import hydra_text
from upgate.config.overrides import parse_override
from upgate.config.texts import say
from upgate.errors import UserError, did_you_mean, unknown_key

OURS = "upgate"  # hydra/launcher=upgate and hydra/sweeper=upgate: no plugin at all
WORD = re.compile(r"\+{0,2}hydra([./](launcher|sweeper)\b[^=]*|\.sweep\.dir)(=|$)")
SILENT = ("hydra/hydra_logging=none", "hydra/job_logging=none")  # Hydra configures no log
PACKAGES = {  # what to install for a plugin
    "launcher": {
        "joblib": "hydra-joblib-launcher",
        "ray": "hydra-ray-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher",
    },
    # it asks for Optuna 2, which would replace ours, and works with ours
    "sweeper": {"optuna": "--no-deps hydra-optuna-sweeper"},
}
BROKEN = {  # 1.2.0, the last one, has a default that dataclasses refuse since Python 3.11
    "ax": "broken_ax",
}


def split_plugins(words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """The words to a launcher, those to a sweeper, and all others; of ours none. Raises UserError.

    Where a plugin is chosen, `hydra.sweep.dir`, its folder, is among its words.
    """
    hydra = {word: found for word in words if (found := WORD.match(word))}
    others = [word for word in words if word not in hydra]
    made = {}
    for kind in PACKAGES:
        own = [word for word, found in hydra.items() if found[2] == kind]
        chosen = [word for word in own if word.lstrip("+").startswith(f"hydra/{kind}=")]
        name = chosen[0].partition("=")[2] if chosen else OURS
        if len(chosen) > 1:
            raise UserError(say("two_plugins", first=chosen[0], second=chosen[1]))
        own = own if name != OURS else [word for word in own if word not in chosen]
        if own and name == OURS:
            raise UserError(say("word_of_plugin", word=own[0], kind=kind))
        made[kind] = own
    folders = [word for word, found in hydra.items() if found[2] is None]
    if folders and not any(made.values()):
        raise UserError(say("not_for_us", word=folders[0], instead=say("runs_go")))
    for kind, own in made.items():
        if own:
            own += folders
            check_plugin(own, kind)
    return made["launcher"], made["sweeper"], others


def check_plugin(words: Sequence[str], kind: str) -> None:
    """Raise UserError unless the plugin is installed and has these keys. kind: as in PACKAGES."""
    name = next(word.partition("=")[2] for word in words if f"hydra/{kind}=" in word)
    available = make_loader().get_group_options(f"hydra/{kind}")
    if name not in available:
        raise UserError(
            say("plugin_missing", kind=kind, name=name, why=_why_missing(name, kind, available))
        )
    choices = [word for word in words if "/" in word.partition("=")[0]]
    section = load_hydra(choices)
    for word in words:
        if word not in choices:
            _check_key(word, section)
    load_hydra(words)


def _why_missing(name: str, kind: str, available: Sequence[str]) -> str:
    """What to do about a plugin that is not there: the end of a sentence."""
    if package := PACKAGES[kind].get(name):
        return say("needs_plugin", package=package)
    if kind == "sweeper" and name in BROKEN:
        return say("plugin_broken", reason=say(BROKEN[name]))
    return say("no_such_plugin", hint=did_you_mean(name, {*available, *PACKAGES[kind], OURS}))


def _check_key(word: str, config: Any) -> None:
    """Raise UserError where Hydra's configuration has no such key; `+` adds below one."""
    from omegaconf import OmegaConf

    node, names = config, word.partition("=")[0].lstrip("+").split(".")
    for name in names[:3] if word.startswith("+") else names:
        if node._is_none():
            return  # a mapping without keys yet
        keys = list(map(str, node)) if OmegaConf.is_dict(node) else []
        if name not in keys:
            raise unknown_key(word, did_you_mean(name, keys))
        node = node._get_node(name)


def load_hydra(words: Sequence[str]) -> Any:
    """Hydra's configuration with these words to it, as `{hydra: ...}`. Raises UserError."""
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException

    try:
        return make_loader().load_configuration(None, list(words), RunMode.MULTIRUN)
    except (HydraException, OmegaConfBaseException, AttributeError) as error:  # the last of a null
        cause = error.__cause__
        reason = one_line(cause if isinstance(cause, Exception) else error)
        raise UserError(f"{' '.join(words)}: {reason}") from None


def make_loader() -> Any:
    """Hydra's loader with the folders of its plugins, and none of ours."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path

    return ConfigLoaderImpl(create_config_search_path(None))


def sweep_folder(root: str) -> str:
    """The word that says where a plugin keeps its own files, for a store's root."""
    return f"hydra.sweep.dir={hydra_text(root + '/hydra/${now:%Y-%m-%d_%H-%M-%S}')}"


def describe_fault(error: Exception) -> str:
    """What a plugin raised, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def executor_words(launcher: Sequence[str]) -> list[str]:
    """The words of the executor that hands runs to a launcher; none for none."""
    return ["executor=launcher", f"executor.words={hydra_text(launcher)}"] if launcher else []


def typed_words(words: Sequence[str]) -> list[str]:
    """The words of a command, those to a launcher as they were typed."""
    typed: list[str] = []
    for word in words:
        if word.startswith("executor.words="):
            typed += map(str, parse_override(word).parsed.value())
        elif word != "executor=launcher":
            typed.append(word)
    return typed

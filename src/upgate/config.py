"""From words on the command line to a plain, resolved configuration: Hydra composes `conf/`, unknown words raise.

Imports nothing heavy: `upgate --help` and every typo answer at once.
"""

import itertools
import pickle
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from upgate.errors import UserError, did_you_mean, nearest
from upgate.schema import said

PARTS = ("optimizer", "schedule", "clip", "regularization", "init", "layerwise", "averaging", "stopping")
REGULARIZATION = "regularization"  # the one group of which several choices can be made at once

OURS = {  # Trainer arguments that Upgate sets, and what to say instead
    "gradient_clip_val": "clip=norm clip.max_norm=...",
    "gradient_clip_algorithm": "clip=norm or clip=value",
    "logger": "MLFLOW_TRACKING_URI or root=...",
    "callbacks": "the recipe's parts",
    "default_root_dir": "root=...",
    "enable_checkpointing": "root=... (the best checkpoint is always kept)",
    "barebones": "trainer.enable_progress_bar=false",
    "use_distributed_sampler": "nothing: batches come from memory",
    "reload_dataloaders_every_n_epochs": "nothing: batches come from memory",
    "log_every_n_steps": "nothing: curves hold a point per epoch",
}

# Hydra's grammar reads bare words of these letters only; other text (a Chinese path, a ticker such as ^GSPC) is quoted for it.
_KEY = re.compile(r"\$?\w[\w.$@/-]*", re.ASCII)
_BARE = re.compile(r"(?:\$\{[^}]*\}|\\=|[\w \t/\\+.$%*@?|:-])*", re.ASCII)
_TEXTS = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?:\$\{[^}]*\}|[^,()\[\]{}"'])+""")


def conf_dir() -> Path:
    """The shipped `conf/`: beside `src/` in a checkout, inside the package in a wheel."""
    checkout = Path(__file__).parents[2] / "conf"
    return checkout if (checkout / "config.yaml").exists() else Path(__file__).parent / "conf"


def choices(group: str, extra: str | None = None) -> list[str]:
    """Names of the choices in a group, the user's own folder included."""
    return sorted({path.stem for folder in _folders(extra) for path in (folder / group).glob("*.yaml")})


def groups(extra: str | None = None) -> list[str]:
    return sorted({path.parent.name for folder in _folders(extra) for path in folder.glob("*/*.yaml")})


def expand(words: Sequence[str], multirun: bool, extra: str | None = None) -> list[list[str]]:
    """Split sweeps (`optimizer=sgd,adam`) into one list of overrides per job, in Hydra's own grammar and order.

    `extra`, a folder of the user's own choices, matters to `glob(...)` only.
    """
    return [list(job) for job in itertools.product(*(_axis(word, multirun, extra) for word in _parsed(words)))]


def compose(words: Sequence[str], extra: str | None = None) -> dict[str, Any]:
    """Return the resolved configuration of one run as plain values.

    Args: overrides without sweeps; `extra`, a folder of the user's own choices, laid out as `conf/`.
    Raises UserError for an unknown group, choice or key, with the nearest right one.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    known = groups(extra)
    picks, values = [], []
    for word, override in _parsed(words).items():
        _axis(word, False, extra)  # raises for a sweep
        if override.package is not None or "/" in override.key_or_group or override.type.name != "CHANGE":
            raise UserError(f"{word}: only group=choice and key=value are understood here")
        if override.key_or_group in known and not isinstance(override.value(), dict):
            picks.append((override.key_or_group, _picked(word, override, extra)))
        else:
            values.append((word, override))
    plain, frozen = _chosen(tuple(picks), extra)
    for word, override in values:
        _check_key(word, override.key_or_group, plain, extra)
    try:
        config = pickle.loads(frozen)
        for _, override in values:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=False, force_add=True)
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is missing; give it a value, as in {error.full_key}=...") from None
    except OmegaConfBaseException as error:
        raise UserError(_sentence(error)) from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def twin_words(words: Sequence[str]) -> list[str]:
    """The overrides of a run's twin: the traditional recipe, everything that is not a part left as it was."""
    kept = [w for w in words if _group(w) not in (*PARTS, "recipe")]
    return [*kept, "recipe=traditional"]


def changes(words: Sequence[str]) -> list[str]:
    """The words that change the recipe's parts, for names and tags."""
    return [w for w in words if _group(w) in PARTS]


def trainer_arguments() -> list[str]:
    """What Lightning's Trainer takes and Upgate leaves to the user, read off its source: importing it takes four seconds."""
    import ast
    from importlib.util import find_spec

    spec = find_spec("lightning")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parent / "pytorch" / "trainer" / "trainer.py"
    classes = [node for node in ast.parse(source.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    trainer = next(node for node in classes if node.name == "Trainer")
    init = next(node for node in trainer.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return [argument.arg for argument in (*init.args.args, *init.args.kwonlyargs) if argument.arg not in ("self", *OURS)]


def _folders(extra: str | None) -> list[Path]:
    if extra is not None and not Path(extra).is_dir():
        raise UserError(f"--config-dir {extra} is not a folder; give one that holds your choices, laid out as conf/")
    return [conf_dir()] + ([Path(extra)] if extra is not None else [])


def _group(word: str) -> str:
    return word.partition("=")[0].partition(".")[0]


def _parsed(words: Sequence[str]) -> dict[str, Any]:
    """Word -> Hydra's override; two words for one key raise, for one of them would be ignored."""
    seen: dict[str, str] = {}
    for word in words:
        key = word.partition("=")[0]
        if key in seen:
            raise UserError(f"{seen[key]} and {word} both set {key}; give one of them")
        seen[key] = word
    return {word: _parse(word) for word in words}


@lru_cache(maxsize=1024)
def _parse(word: str) -> Any:
    """Read one word in Hydra's grammar; a sweep over seeds reads its other words once."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = word.partition("=")
    if not _KEY.fullmatch(key.lstrip("+~")):
        raise UserError(f"{word} cannot be read; write key=value, the key in letters, digits, _ and dots")
    try:
        return OverridesParser.create().parse_override(key + equals + _TEXTS.sub(_quoted, value))
    except HydraException:
        if not equals:
            raise UserError(f"{word} cannot be read; write key=value, as in {key}=...") from None
        example = _as_text(key, value)
        raise UserError(f"{word} cannot be read; text that holds brackets, commas or quotes is quoted, as in {example}") from None


def _quoted(text: re.Match[str]) -> str:
    core = text[0].strip(" \t")
    plain = core.replace("=", "") if "(" in text.string else core  # glob(*, exclude=sgd)
    return text[0] if text[1] or _BARE.fullmatch(plain) else text[0].replace(core, f"'{core}'")


def _as_text(key: str, value: str) -> str:
    """How to write a value for the shell so that it is one text, whatever it holds."""
    text = value.strip("\"'").replace('"', '\\"')
    return shlex.quote(f'{key}="{text}"')


def _axis(word: str, multirun: bool, extra: str | None) -> list[str]:
    """One word's alternatives, each a word that asks for a single value."""
    from hydra.core.override_parser.types import Glob, RangeSweep

    override = _parse(word)
    key, value = override.get_key_element(), override.value()
    if not override.is_sweep_override():
        return [word]
    if not multirun:
        text = word.partition("=")[2]
        other = "" if "(" in text else f"; one list is {key}=[{text}], one text {_as_text(key, text)}"
        raise UserError(f"{word} asks for several runs; add -m to sweep (make train ARGS=-m ...){other}")
    if not (override.is_discrete_sweep() or isinstance(value, Glob)):
        raise UserError(f"{word} cannot be counted out; list the values, as in {key}=1,2,3 or {key}='range(0,6)'")
    if isinstance(value, RangeSweep) and value.step == 0:
        raise UserError(f"{word} never ends; give a step other than 0")
    found = value.filter(choices(key, extra)) if isinstance(value, Glob) else list(override.sweep_string_iterator())
    if not found:
        there = did_you_mean("", choices(key, extra)) if isinstance(value, Glob) else ""
        raise UserError(f"{word} holds nothing to sweep over{there}")
    return [f"{key}={one}" for one in found]


def _picked(word: str, override: Any, extra: str | None) -> tuple[str, ...]:
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


@lru_cache(maxsize=256)
def _chosen(picks: tuple[tuple[str, tuple[str, ...]], ...], extra: str | None) -> tuple[dict[str, Any], bytes]:
    """Compose the picked yamls; a sweep over values or seeds composes once.

    Returns the configuration as plain values, not resolved, and pickled: unpickling it is six times as fast as a deep copy.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from yaml import YAMLError

    for path in Path(extra).glob("**/*.yaml") if extra is not None else []:
        if (conf_dir() / path.relative_to(str(extra))).exists():
            raise UserError(f"{path} has the name of a file of Upgate's own, which would win; rename it")
    quoted = {group: ",".join(f"'{name}'" for name in names) for group, names in picks}
    words = [f"{group}=[{names}]" if group == REGULARIZATION else f"{group}={names}" for group, names in quoted.items()]
    if extra is not None:
        folder = str(Path(extra).resolve()).replace("'", "\\'")
        words.append(f"hydra.searchpath=['file://{folder}']")
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = hydra.compose("config", words)
    except (HydraException, YAMLError, ValueError, RecursionError) as error:  # whatever a file of the user's may hold
        asked = " ".join(f"{group}={','.join(names)}" for group, names in picks)
        raise UserError(f"{asked} cannot be composed: {_sentence(error)}") from None
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for group in (*PARTS, "recipe", "task", "data", "split", "model"):
        _check_shape(group, plain.get(group))
    return plain, pickle.dumps(config)


def _check_shape(group: str, section: Any) -> None:
    """Raise where a file of the user's lacks what every choice of its group has."""
    if group == REGULARIZATION:
        fits = isinstance(section, dict) and all(isinstance(knobs, dict) for knobs in section.values())
        shape = "the choice's name and its knobs below it"
    elif group == "recipe":
        fits, shape = isinstance(section, str), "recipe: and its name"
    else:
        fits = isinstance(section, dict) and isinstance(section.get(_name_key(group)), str)
        shape = f"{_name_key(group)}: and the choice's name"
    if not fits:
        raise UserError(f"the yaml chosen for {group} gives {section}; it must hold {shape}, as those in conf/{group} do")


def _name_key(group: str) -> str:
    """The key under which a choice's yaml says which one it is."""
    return "source" if group == "data" else "name"


def _check_key(word: str, key: str, plain: dict[str, Any], extra: str | None) -> None:
    """Raise unless a key is there to be set; a Trainer argument need not stand in the yaml."""
    *path, last = key.split(".")
    parent = _at(plain, path)
    if path == ["trainer"] and last in OURS:
        raise UserError(f"{key} is set by Upgate; use {OURS[last]}")
    if not isinstance(parent, dict) or last not in parent:
        if path == ["trainer"] and last in trainer_arguments():
            return
        raise UserError(_elsewhere(word, key, plain, extra) or f"unknown key {word}{_hint(key, plain)}")
    if len(path) == 1 and path[0] in groups() and last == _name_key(path[0]):
        raise UserError(f"{word}: a choice is made by its group, as in {path[0]}={word.partition('=')[2]}")
    if key in groups():  # a mapping, for a name would have been a choice
        raise UserError(f"{word}: choose {key} by name ({', '.join(choices(key, extra))}), and set one value at a time beside it")
    if isinstance(parent[last], dict):
        raise UserError(f"{word}: set one value at a time, as in {next(_knobs(plain, key))}=...")


def _at(tree: Any, path: Sequence[str]) -> Any:
    """The node at a path of keys, or None."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield from _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]


def _knobs(plain: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys below `prefix` that can be set."""
    names = {f"{group}.{_name_key(group)}" for group in plain}
    return (leaf for leaf in _leaves(plain) if leaf not in names and leaf.startswith(prefix and f"{prefix}."))


def _elsewhere(word: str, key: str, plain: dict[str, Any], extra: str | None) -> str | None:
    """The sentence for a knob of a choice that was not made; None if no choice has it."""
    group, *rest = key.split(".")
    there = choices(group, extra)
    if group == REGULARIZATION and rest and rest[0] in there and rest[0] not in plain[group]:
        return f"{word}: {rest[0]} is not selected; select it with {group}=[{','.join([*plain[group], rest[0]])}]"
    owners = [f"{group}={name}" for name in there if key in _knobs(_chosen(((group, (name,)),), extra)[0])]
    if not owners:
        return None
    chosen, own = plain[group][_name_key(group)], [knob.removeprefix(f"{group}.") for knob in _knobs(plain, group)]
    return f"{word}: {group}={chosen} has {', '.join(own) or 'no values to set'}; {'.'.join(rest)} belongs to {' and '.join(owners)}"


def _hint(key: str, plain: dict[str, Any]) -> str:
    """The nearest key below the same parent; for a bare word, anywhere."""
    path, _, word = key.rpartition(".")
    trainer = [f"trainer.{name}" for name in trainer_arguments()]
    if not path:
        names = {leaf.rpartition(".")[2]: leaf for leaf in (*trainer, *_knobs(plain), *plain)}
    elif isinstance(_at(plain, path.split(".")), dict):
        names = {leaf.removeprefix(f"{path}."): leaf for leaf in (trainer if path == "trainer" else _knobs(plain, path))}
    else:
        word, names = key, {leaf: leaf for leaf in _knobs(plain)}
    near = nearest(word, names)
    return f", did you mean '{names[near]}'?" if near else did_you_mean("", names.values() if path else plain)


def _sentence(error: Exception) -> str:
    """An error of Hydra's, OmegaConf's or YAML's in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"{mark.name}, line {mark.line + 1}: {getattr(error, 'problem', '')}"
    line = " ".join((str(error) or str(error.__cause__)).split("\n")[0].split())
    key = getattr(error, "full_key", None)
    return f"{key}: {line}" if key else line

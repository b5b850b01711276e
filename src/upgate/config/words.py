"""Hydra's other words made `group=choice` and `key=value`, or refused in one sentence.

`+experiment=NAME`, `++key=value`, `+trainer.key=value`, `~group`. What is Hydra's own (`hydra.*`)
would be read by nothing: Hydra composes the configuration here, and does not run the job.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from upgate import messages
from upgate.config.choices import (
    EXPERIMENT,
    REGULARIZATION,
    choices,
    groups,
    name_key,
    plain_choices,
)
from upgate.config.compose import compose
from upgate.config.experiments import read_experiment, words_left
from upgate.config.keys import hint
from upgate.config.overrides import expand_sweeps, parse_overrides
from upgate.config.plugins import executor_words, split_plugins
from upgate.config.schema import format_value
from upgate.config.texts import say
from upgate.config.values import Section
from upgate.errors import UserError

HYDRA = re.compile(r"[+~]*hydra(?=[./@:=]|$)")
# The beginnings of Hydra's own keys, and what there is instead; the first that fits.
INSTEAD = (
    (r"[./](launcher|sweeper)", "instead_plugin"),
    (r"\.(run|sweep|output_subdir|runtime)", "instead_root"),
    (r"\.searchpath", "instead_folder"),
    (r"\.mode", "instead_multirun"),
    (r"([./].*logging|\.verbose)", "instead_quiet"),
    (r"", "instead_leave_out"),
)
FILE = f"+{EXPERIMENT}="
TRAINER = "+trainer."


def expand(
    overrides: Sequence[str], multirun: bool, config_dir: str | None = None
) -> list[list[str]]:
    """The plain words of each run: sweeps split, in Hydra's order. Raises UserError."""
    words = use_launcher(overrides)
    return [
        plain_words(single, config_dir) for single in expand_sweeps(words, multirun, config_dir)
    ]


def use_launcher(words: Sequence[str]) -> list[str]:
    """The words to a launcher of Hydra's as those of an executor. Raises UserError."""
    launcher, sweeper, others = split_plugins(words)
    refuse_hydra(others)
    if sweeper:
        raise UserError(say("sweeper_of_train", word=sweeper[0], instead=say("own_samplers")))
    return [*others, *executor_words(launcher)]


@dataclass(frozen=True)
class Sweep:
    """A sweep that a plugin of Hydra's decides on.

    plugin: the words to it. swept: those that hold several values, in Hydra's grammar; fixed: all
    others. example: the words of one run.
    """

    plugin: list[str]
    swept: list[str]
    fixed: list[str]
    example: list[str]


def read_sweep(overrides: Sequence[str], multirun: bool, config_dir: str | None) -> Sweep | None:
    """What `hydra/sweeper=NAME` of a command line asks for; None without it. Raises UserError."""
    launcher, plugin, others = split_plugins(overrides)
    if not plugin:
        return None
    refuse_hydra(others)
    if not multirun:
        raise UserError(say("sweeper_needs_multirun", word=plugin[0]))
    words = parse_overrides([*others, *executor_words(launcher)])
    fixed = [word.text for word in words if not word.is_sweep]
    chosen = [word.first(config_dir) for word in words if word.is_sweep]
    swept = [str(word.parsed.input_line) for word in words if word.is_sweep]
    return Sweep(plugin, swept, fixed, plain_words([*fixed, *chosen], config_dir))


def refuse_hydra(words: Sequence[str]) -> None:
    """Raise UserError for a word to Hydra itself: nothing would read it."""
    for word in words:
        if found := HYDRA.match(word):
            rest = word[found.end() :]
            instead = next(key for start, key in INSTEAD if re.match(start, rest))
            raise UserError(say("not_for_us", word=word, instead=say(instead)))


def plain_words(
    words: Sequence[str], config_dir: str | None, own: re.Pattern[str] | None = None
) -> list[str]:
    """`group=choice` and `key=value` in place of Hydra's operators and of an experiment's name.

    words: without sweeps. own: what matches is a command's, and no word of training. Words without
    an operator are returned as they are. Raises UserError.
    """
    words = use_launcher(words)
    for word in words:
        if word.startswith(FILE[1:]) and not (own and own.match(word)):
            raise UserError(say("experiment_of_study", word=word))
    if not any(word.startswith(("+", "~")) for word in words):
        return list(words)
    kept = [_without_plus(word) for word in words if not word.startswith("~")]
    names = [word.removeprefix(FILE) for word in kept if word.startswith(FILE)]
    kept = [word for word in kept if not word.startswith(FILE)]
    training = [word for word in kept if not (own and own.match(word))]
    if len(names) > 1:
        raise UserError(say("two_experiments", start=FILE, first=names[0], second=names[1]))
    filed = words_left(read_experiment(names[0], config_dir), training) if names else []
    if names and own is None:
        _check_experiment(names[0], [*filed, *training], config_dir)
    made: dict[str, str] = {}  # group -> what `~group` makes of it
    for word in words:
        if word.startswith("~"):
            group, choice = _remove(word, [*filed, *training, *made.values()], config_dir)
            made[group] = choice
            filed = words_left(filed, [choice])
    return [*filed, *kept, *made.values()]


def _check_experiment(name: str, words: Sequence[str], config_dir: str | None) -> None:
    """Raise UserError, with the experiment's name, for words that cannot be composed."""
    try:
        compose(words, config_dir)
    except UserError as error:
        raise UserError(messages.say("cause", where=f"{FILE}{name}", cause=error.args[0])) from None


def _without_plus(word: str) -> str:
    """`key=value` of `++key=value` and `+trainer.key=value`; an experiment's word stays."""
    if word.startswith(("++", TRAINER)):
        return word.lstrip("+")
    if word.startswith("+") and not word.startswith(FILE):
        raise UserError(say("plus_of_what", word=word, plain=word[1:]))
    return word


def _remove(word: str, words: Sequence[str], config_dir: str | None) -> tuple[str, str]:
    """The group, and the word that does what `~word` asks for. Raises UserError."""
    target, _, value = word[1:].partition("=")
    group, _, below = target.partition(".")
    config = compose(words, config_dir)
    if group == REGULARIZATION and "." not in below and (below or value):
        return group, _remove_regularizers(word, below or value, list(config[REGULARIZATION]))
    if target not in groups():
        raise UserError(messages.say("cause", where=word, cause=_why_it_stays(target, config)))
    section = config[group]
    made = section if isinstance(section, str) else section.get(name_key(group))
    if value and value != made:
        raise UserError(say("other_choice", word=word, group=group, made=format_value(made)))
    if "none" in choices(group, config_dir):
        return group, f"{group}=none"
    other = format_value(plain_choices()[group])
    raise UserError(say("no_run_without", word=word, group=group, other=other))


def _why_it_stays(key: str, config: Section) -> str:
    """Why a key cannot be removed: there is none, or something reads it."""
    node: object = config
    for name in key.split("."):
        node = node.get(name, config) if isinstance(node, dict) else config
    if node is config:
        return messages.say("unknown_key", key=key, hint=hint(key, config))
    return say("value_stays", key=key)


def _remove_regularizers(word: str, text: str, selected: Sequence[str]) -> str:
    """What stays of regularization."""
    away = [name.strip() for name in text.strip("[]").split(",")]
    for name in away:
        if name not in selected:
            there = ",".join(selected) or "none"
            raise UserError(
                say("not_selected", word=word, name=name, group=REGULARIZATION, selected=there)
            )
    stays = ",".join(name for name in selected if name not in away)
    return f"{REGULARIZATION}=[{stays or 'none'}]"

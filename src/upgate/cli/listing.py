"""What `upgate train` lists in place of training: choices, configuration, where it comes from."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from upgate import messages
from upgate.cli.texts import say
from upgate.config.choices import (
    EXPERIMENT,
    PARTS,
    choices,
    folders,
    groups,
    name_key,
    plain_choices,
)
from upgate.config.compose import compose
from upgate.config.keys import hint
from upgate.config.schema import format_value
from upgate.config.words import expand, use_launcher
from upgate.errors import UserError, did_you_mean, not_a_choice

INFO = ("all", "defaults", "searchpath")
HYDRAS = ("hydra", "all")  # of --cfg, where Hydra prints a configuration of its own


def asked_lists(known: argparse.Namespace) -> list[str]:
    """The flags that ask for a list."""
    names = ("choices", "combinations", "cfg", "info")
    return [name for name in names if getattr(known, name) not in (None, False)]


def list_configuration(known: argparse.Namespace, overrides: Sequence[str]) -> int:
    """Print what the flags ask for. Raises UserError where they ask for two things."""
    asked = asked_lists(known)
    if len(asked) > 1:
        raise UserError(say("two_lists", first=asked[0], second=asked[1]))
    if known.quiet:
        raise UserError(say("quiet_of_training"))
    if known.package is not None and asked != ["cfg"]:
        raise UserError(say("package_of_cfg", key=known.package))
    if known.choices:
        for group in (*groups(), EXPERIMENT):
            title = f"+{group}" if group == EXPERIMENT else group
            print(f"{title:15} {', '.join(choices(group, known.config_dir))}")
    elif known.combinations:
        from upgate.recipe.combinations import table

        print(table())
    elif known.info:
        words = [*overrides, known.info] if "=" in known.info else overrides
        what = "all" if "=" in known.info else known.info
        print("\n".join(_info(what, words, known)))
    else:
        _print_configurations(overrides, known)
    return 0


def _print_configurations(overrides: Sequence[str], known: argparse.Namespace) -> None:
    import yaml

    if known.cfg in HYDRAS:
        raise UserError(say("cfg_of_hydra", name=known.cfg))
    if known.cfg != "job":
        raise UserError(say("cfg_job", name=known.cfg))
    jobs = expand(overrides, known.multirun, known.config_dir)
    configs = [_section(compose(job, known.config_dir), known.package) for job in jobs]
    if known.package:
        print(f"# @package {known.package}")
    print(yaml.safe_dump_all(configs, sort_keys=False, allow_unicode=True), end="")


def _section(config: dict[str, Any], key: str | None) -> Any:
    """The whole configuration, or what stands at a key. Raises UserError."""
    node: Any = config
    for name in key.split(".") if key else ():
        if not isinstance(node, dict) or name not in node:
            unknown = messages.say("unknown_key", key=str(key), hint=hint(str(key), config))
            raise UserError(messages.say("cause", where=f"--package {key}", cause=unknown))
        node = node[name]
    return node


def _info(what: str, overrides: Sequence[str], known: argparse.Namespace) -> Iterator[str]:
    """Each group's choice and what made it; the folders in which choices are looked for."""
    if what not in INFO:
        raise not_a_choice(f"--info {what}", did_you_mean(what, INFO))
    if what != "searchpath":
        jobs = expand(overrides, known.multirun, known.config_dir)
        for job in jobs:
            yield f"defaults of upgate train {' '.join(job)}".rstrip()
            yield from _defaults(job, overrides, known.config_dir)
            yield ""
    if what != "defaults":
        yield "search path"
        own = ("Upgate's own", "--config-dir")
        for folder, title in zip(folders(known.config_dir), own, strict=False):
            yield f"  {title:15} {folder}"


def _defaults(
    job: Sequence[str], overrides: Sequence[str], config_dir: str | None
) -> Iterator[str]:
    """A line per group: its choice, and who made it."""
    config, plain = compose(job, config_dir), plain_choices()
    typed = {word.lstrip("+").partition("=")[0] for word in use_launcher(overrides)}
    chosen = {word.partition("=")[0] for word in job}
    for group in plain:
        section = config[group]
        made = (
            section
            if isinstance(section, str)
            else section.get(name_key(group), list(section) or "none")
        )
        if group in chosen:
            source = "your words" if group in typed else "the experiment, or ~ of your words"
        elif made == plain[group]:
            source = "conf/config.yaml"
        else:
            source = f"recipe={config['recipe']}" if group in PARTS else "the task"
        yield f"  {group:15} {format_value(made):15} {source}"

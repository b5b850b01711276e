"""Arguments of commands and scripts: flags, and key=value pairs."""

import argparse
import sys
from collections.abc import Mapping, Sequence

from upgate import messages
from upgate.cli.commands import COMMANDS, FLAGS, REFUSED
from upgate.cli.texts import say
from upgate.errors import UserError, did_you_mean, unknown_key


def parse_flags(command: str, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split a command's flags from key=value pairs. Raises UserError for an unknown flag."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    names: list[str] = []
    for name in COMMANDS[command].flags:
        flag = FLAGS[name]
        names += flag.names
        dest = name.replace("-", "_")
        if flag.value.startswith("["):
            parser.add_argument(*flag.names, nargs="?", const="all", dest=dest)
        else:
            action = "store" if flag.value else "store_true"
            parser.add_argument(*flag.names, action=action, dest=dest)
    for argument in arguments:
        if instead := REFUSED.get(argument.partition("=")[0]):
            raise UserError(say("refused_flag", flag=argument, instead=say.of("instead", instead)))
    try:
        known, rest = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None
    for argument in rest:
        if argument.startswith("-"):
            hint = did_you_mean(argument, names)
            raise UserError(messages.say("not_a_flag", flag=argument, hint=hint))
    return known, rest


def read_pairs(arguments: Sequence[str], keys: Sequence[str] | None) -> dict[str, str]:
    """key=value pairs as a mapping. keys: those that there are; None where they show later.

    Raises UserError for an unknown, empty or repeated key.
    """
    pairs: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if keys is not None and key not in keys:
            raise unknown_key(key, did_you_mean(key, keys))
        if not equals or not value:
            raise UserError(messages.say("needs_value", key=key))
        if key in pairs:
            first = f"{key}={pairs[key]}"
            raise UserError(messages.say("set_twice", first=first, second=argument, key=key))
        pairs[key] = value
    return pairs


def read_options(defaults: dict[str, str], arguments: Sequence[str]) -> dict[str, str]:
    """A script's options: its defaults, overridden by its arguments.

    A wrong argument ends the script with one sentence and exit code 2.
    """
    try:
        return defaults | read_pairs(arguments, tuple(defaults))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def need_run(command: str, words: Mapping[str, str]) -> None:
    """Raise UserError where a command's run is not named."""
    if not words.get("run"):
        raise UserError(say("needs_run", command=command))

"""Completion of words in a shell: its script, and what may stand at the cursor.

Imports nothing heavy: a shell asks at every press of the key.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from upgate.cli.commands import COMMANDS, FLAGS, keys_of
from upgate.cli.texts import say
from upgate.config.choices import EXPERIMENT, PARTS, choices, folders, groups, name_key
from upgate.config.trainer import PARAMETERS
from upgate.errors import UserError, did_you_mean

ASK = "__complete"  # the hidden command that the scripts call, with the line up to the cursor
BASH = """\
_upgate() {
    local line="${COMP_LINE:0:COMP_POINT}" word prefix="" candidate
    word="${line##* }"
    if [[ $COMP_WORDBREAKS == *=* ]]; then  # what is replaced begins behind the last =
        prefix="${word%"${word##*=}"}"
    fi
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("${candidate#"$prefix"}")
    done < <("$1" __complete "$line" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _upgate upgate
"""
ZSH = """\
#compdef upgate
_upgate() {
    local -a found
    found=(${(f)"$(upgate __complete "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)"})
    if (( ! $#found )); then
        _files
        return
    fi
    compadd -Q -S '' -- ${(M)found:#*=}
    compadd -Q -- ${found:#*=}
}
compdef _upgate upgate
"""
FISH = """\
function __upgate_complete
    upgate __complete (commandline -cp | string collect) 2>/dev/null
end
complete -c upgate -a '(__upgate_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
VALUES = {"--cfg": ("job",), "-c": ("job",), "--info": ("all", "defaults", "searchpath")}
VALUES |= {"-i": VALUES["--info"]}
FOLDERS = ("--config-dir", "-cd")


def completion_command(words: Sequence[str]) -> int:
    """Print a shell's script. Raises UserError."""
    shell = words[0] if len(words) == 1 else ""
    if shell not in SCRIPTS:
        raise UserError(say("takes_a_shell", hint=did_you_mean(shell, SCRIPTS)))
    print(SCRIPTS[shell], end="")
    return 0


def complete(line: str) -> list[str]:
    """The words that may stand in place of the last one of a line, whole; sorted."""
    words = line.split()
    current = words.pop() if words and not line[-1].isspace() else ""
    names = [PurePath(word).name for word in words]
    words = words[names.index("upgate") + 1 :] if "upgate" in names else []
    try:
        found = sorted(set(_completions(words, current)))
    except UserError:  # of a folder that is not there: the command says so when it runs
        return []
    return [word for word in found if word.startswith(current)]


def _completions(words: Sequence[str], current: str) -> Iterable[str]:
    if not words:
        return (*COMMANDS, "help", "--help", "--version")
    command = words[0]
    if command == "help":
        return COMMANDS
    if command == "completion":
        return SCRIPTS
    if command not in COMMANDS or words[-1] in FOLDERS:
        return ()  # the shell names files
    if words[-1] in VALUES:
        return VALUES[words[-1]]
    if current.startswith("-"):
        flags = [FLAGS[name] for name in COMMANDS[command].flags]
        return [*(name for flag in flags for name in flag.names), "--help"]
    config_dir = next((after for flag, after in pairwise(words) if flag in FOLDERS), None)
    if "=" in current:
        return _values_of_key(command, current, config_dir)
    return _keys(command, words, current, config_dir)


def _values_of_key(command: str, current: str, config_dir: str | None) -> Iterator[str]:
    """`key=value` for each choice of the key; the last one of a list."""
    typed, _, value = current.partition("=")
    key = typed.lstrip("+~")
    at = max(value.rfind(","), value.rfind("[")) + 1
    known = {one.name: one.choices for one in keys_of(command)}
    names: Sequence[str] = known.get(key, ())
    if typed == f"+{EXPERIMENT}" or (key in groups() and key in known):
        names = choices(key, config_dir)
    for name in names:
        yield f"{typed}={value[:at]}{name}"


def _keys(
    command: str, words: Sequence[str], current: str, config_dir: str | None
) -> Iterator[str]:
    """`key=` for each key; below a group or `trainer.` those of its choices."""
    if command == "check-part":
        yield from (f"{group}=" for group in PARTS)
        return
    if command == "schema" and len(words) == 1:
        yield from (*groups(), EXPERIMENT)
    for key in keys_of(command):
        if not key.name.isupper() and not key.name.endswith(".KEY"):
            yield f"{key.name}="
    if command not in ("train", "study", "tune"):
        return
    typed = current.lstrip("+~")
    mark = current[: len(current) - len(typed)]
    group, dot, _ = typed.partition(".")
    if mark in ("++", "~") and not dot:
        yield from (f"{mark}{name}{'' if mark == '~' else '='}" for name in groups())
    elif dot and group == "trainer":
        yield from (f"{mark}trainer.{name}=" for name in PARAMETERS)
    elif dot and group in groups():
        chosen = [word.partition("=")[2] for word in words if word.startswith(f"{group}=")]
        for name in chosen or choices(group, config_dir):
            for knob in _knobs_of_choice(group, name, config_dir):
                yield f"{mark}{group}.{knob}="


def _knobs_of_choice(group: str, name: str, config_dir: str | None) -> Iterator[str]:
    """The knobs of a choice, read from its yaml."""
    import yaml

    for folder in folders(config_dir):
        file = folder / group / f"{name}.yaml"
        if file.is_file():
            held = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            section = held.get(group)  # of a task, whose yaml holds more
            yield from _keys_below(section if isinstance(section, dict) else held, group)


def _keys_below(tree: Mapping[str, Any], group: str, prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if key in ("search", "defaults", name_key(group)) and (not prefix or key == "search"):
            continue
        if isinstance(value, dict):
            yield from _keys_below(value, group, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"

"""What `upgate --help`, `upgate COMMAND --help` and `upgate --version` print, in 80 columns."""

import re
import textwrap
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from upgate.cli.commands import BOOLEANS, COMMANDS, FLAGS, LANGUAGE, Key
from upgate.cli.language import CHINESE
from upgate.messages import spoken

HELP = """\
upgate: does the upgraded LSTM recipe help on your data, which part of it, by
how much, and how sure is the answer?

first:
  upgate train task=stock          the recipe, its traditional twin, references
  upgate study task=stock          the plan; both over 6 seeds; the verdict

commands (upgate COMMAND --help: options, defaults, examples):
  upgate train [group=choice ...] [key=value ...]   runs beside their twins
  upgate study [study=pair|parts|factorial|arms]    which part helps, how sure
  upgate tune [search=random|grid|sobol|tpe]        search hyperparameters
  upgate report study=latest                        one HTML page
  upgate runs [optimizer=adam] [limit=all]          list what is stored
  upgate judge data.path=FILE metric=NAME ...       verdicts on anybody's runs
  upgate predict run=latest [data.path=FILE]        forecast, or label texts
  upgate promote run=KEY [alias=champion]           a model in MLflow's registry
  upgate export run=KEY to=onnx|torch               one file for other programs
  upgate delete run=KEY                             remove a run
  upgate ui [port=5000]                             the MLflow UI
  upgate check-part GROUP=NAME                      test a part, your own too
  upgate schema GROUP                               what your yaml may say
  upgate completion bash|zsh|fish                   completion for your shell

words are Hydra's: group=choice and key=value
  upgate train --choices           the groups and their choices
  upgate train --cfg job           the full configuration
  upgate train -m seed=0,1,2       a run for every combination

  -h, --help      this page, or a command's
  -V, --version   which version this is

exit codes: 0 done, 1 a run failed, 2 the request cannot be carried out (one
sentence says why), 130 interrupted
"""

# a word with what may not begin a line after it, or one wide character with the same
PIECE = re.compile(r" +|(?:[\x21-\x7e]+|[^ ])[，。；：、）？！”]*")
NOTE = "After = stands the default; capitals stand for a value of yours."
WIDTH, COLUMN = 80, 26  # of the page; where texts begin


def overview() -> str:
    """What `upgate --help` prints."""
    if spoken() != CHINESE:
        return HELP
    from upgate.cli import help_in_chinese

    return help_in_chinese.HELP


def page(command: str) -> str:
    """A command's help, in the language of the terminal."""
    about = COMMANDS[command]
    lines = [
        *wrap(_usage(about.usage), WIDTH, 14),
        "",
        *wrap(prose(about.summary), WIDTH),
        prose(NOTE),
        "",
    ]
    for title, keys in about.sections().items():
        lines += [_heading(title)]
        for key in keys:
            lines += _option_lines(f"{key.name}={key.value}", _text(key))
        lines += [""]
    if command in ("study", "tune"):
        lines += [prose("words of train: upgate train --help"), ""]
    lines += [_heading("flags")]
    for name in about.flags:
        flag = FLAGS[name]
        lines += _option_lines(f"{', '.join(flag.names)} {flag.value}".strip(), prose(flag.text))
    lines += _option_lines("-h, --help", prose("this page"))
    lines += ["", _heading("any command")]
    lines += _option_lines(f"{LANGUAGE.name}={LANGUAGE.value}", _text(LANGUAGE))
    lines += ["", _heading("examples")]
    for example in about.examples:
        lines += _example(example)
    return "\n".join([*lines, ""])


def prose(text: str) -> str:
    """A text of a page in the language of the terminal; as it is where it holds names alone."""
    if spoken() != CHINESE:
        return text
    from upgate.cli.help_in_chinese import CHINESE as texts

    head, colon, names = text.partition(": ")
    if text not in texts and colon and head in texts:
        return f"{texts[head]}：{names}"
    return texts.get(text, text)


def _usage(words: str) -> str:
    blank = "" if spoken() == CHINESE else " "
    return f"{_heading('usage')}{blank}upgate {words}"


def _heading(text: str) -> str:
    return f"{prose(text)}：" if spoken() == CHINESE else f"{text}:"


def _text(key: Key) -> str:
    """What a key is, after the choices that its text does not name."""
    text = prose(key.text)
    if key.choices == BOOLEANS or all(choice in key.text for choice in key.choices):
        return text
    return ("；" if spoken() == CHINESE else "; ").join(
        filter(None, [", ".join(key.choices), text])
    )


def _option_lines(left: str, text: str) -> Iterator[str]:
    indent = " " * COLUMN
    lines = wrap(text, WIDTH - COLUMN)
    if len(left) + 4 > COLUMN or not lines:
        yield f"  {left}"
    else:
        yield f"  {left}".ljust(COLUMN) + lines.pop(0)
    yield from (indent + line for line in lines)


def _example(line: str) -> Iterator[str]:
    """A command that can be copied, also where it takes two lines."""
    if len(line) + 2 <= WIDTH:
        yield f"  {line}"
        return
    cut = line.rindex(" ", 0, WIDTH - 4)
    yield f"  {line[:cut]} \\"
    yield f"    {line[cut + 1 :]}"


def version_line() -> str:
    """The installed version, or that this is a source tree that is not installed."""
    try:
        return f"upgate {version('upgate')}"
    except PackageNotFoundError:
        return "upgate, a source tree that is not installed"


def wrap(text: str, width: int, indent: int = 0) -> list[str]:
    """The lines of a text. indent: blanks before all but the first."""
    below = " " * indent
    if text.isascii():
        return textwrap.wrap(
            text, width, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
        )
    from rich.cells import cell_len

    lines, line = [], ""
    for piece in PIECE.findall(text):
        if line.strip() and cell_len(line) + cell_len(piece) > width:
            lines.append(line.rstrip())
            line = below
        if line.strip() or piece.strip():
            line += piece
    return [*lines, line] if line.strip() else lines

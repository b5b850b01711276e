"""What `upgate --help`, `upgate COMMAND --help` and `upgate --version` print, in 80 columns."""

import textwrap
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from upgate.cli.commands import BOOLEANS, COMMANDS, FLAGS, LANGUAGE, Key

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

NOTE = "After = stands the default; capitals stand for a value of yours."
WIDTH, COLUMN = 80, 26  # of the page; where texts begin


def page(command: str) -> str:
    """A command's help."""
    about = COMMANDS[command]
    lines = [
        *_wrap_below(f"usage: upgate {about.usage}", 14),
        "",
        *_wrap_below(about.summary, 0),
        NOTE,
        "",
    ]
    for title, keys in about.sections().items():
        lines += [f"{title}:"]
        for key in keys:
            lines += _option_lines(f"{key.name}={key.value}", _text(key))
        lines += [""]
    if command in ("study", "tune"):
        lines += ["words of train: upgate train --help", ""]
    lines += ["flags:"]
    for name in about.flags:
        flag = FLAGS[name]
        lines += _option_lines(f"{', '.join(flag.names)} {flag.value}".strip(), flag.text)
    lines += _option_lines("-h, --help", "this page")
    lines += ["", "any command:"]
    lines += _option_lines(f"{LANGUAGE.name}={LANGUAGE.value}", _text(LANGUAGE))
    lines += ["", "examples:"]
    for example in about.examples:
        lines += _example(example)
    return "\n".join([*lines, ""])


def _text(key: Key) -> str:
    """What a key is, after the choices that its text does not name."""
    if key.choices == BOOLEANS or all(choice in key.text for choice in key.choices):
        return key.text
    return "; ".join(filter(None, [", ".join(key.choices), key.text]))


def _option_lines(left: str, text: str) -> Iterator[str]:
    indent = " " * COLUMN
    lines = textwrap.wrap(text, WIDTH - COLUMN, break_long_words=False, break_on_hyphens=False)
    if len(left) + 4 > COLUMN or not lines:
        yield f"  {left}"
    else:
        yield f"  {left}".ljust(COLUMN) + lines.pop(0)
    yield from (indent + line for line in lines)


def _wrap_below(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)


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

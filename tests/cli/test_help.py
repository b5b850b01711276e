"""Help and version: each command's page holds its keys, their defaults and examples that run."""

import re
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.cells import cell_len

from helpers.store import fresh
from upgate.cli import entry as cli
from upgate.cli import help_in_chinese
from upgate.cli.arguments import parse_flags, read_pairs
from upgate.cli.commands import COMMANDS, FLAGS, JUDGE, TOP_LEVEL, keys_of
from upgate.cli.completion import SCRIPTS
from upgate.cli.help import HELP, NOTE, WIDTH, page
from upgate.cli.promotion import read_promotion
from upgate.config import run_config
from upgate.config.choices import default_choices, groups, name_key
from upgate.config.compose import compose
from upgate.config.schema import format_value
from upgate.config.words import expand
from upgate.messages import speaking
from upgate.referee.options import KEYS, read_question, read_source
from upgate.study.options import StudyOptions, read_study_options
from upgate.tune.options import TuneOptions, read_tune_options

Capture = pytest.CaptureFixture[str]


def test_every_command_has_a_page() -> None:
    assert list(COMMANDS) == list(cli.COMMANDS)


@pytest.mark.parametrize("line", ["{} --help", "{} seed=0 -h", "help {}", "-h {}"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_its_own_page(
    command: str,
    line: str,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # no store here
    assert cli.main(line.format(command).split()) == 0
    out = capsys.readouterr().out
    assert out == page(command) and out.startswith(f"usage: upgate {command}")
    assert all(example.split()[1] == command for example in COMMANDS[command].examples)
    assert max(map(len, out.splitlines())) <= WIDTH and not list(tmp_path.iterdir())


def test_the_overview_fits_one_screen() -> None:
    lines = HELP.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= WIDTH
    assert "upgate COMMAND --help" in HELP


def test_help_in_chinese_fits_and_leaves_no_prose_in_english(capsys: Capture) -> None:
    texts = {NOTE, *(command.summary for command in COMMANDS.values())}
    texts |= {flag.text for flag in FLAGS.values()}
    for command in COMMANDS.values():
        sections = command.sections()
        keys = [key for section in sections.values() for key in section]
        texts |= {title for title in sections if " " in title}
        texts |= {key.text for key in keys if set(key.text.split(", ")) != set(key.choices)}
    assert {text for text in texts if text and help_in_chinese.CHINESE.get(text) is None} <= {
        text for text in texts if text.startswith("a file of words: ")
    }
    pages = ""
    for words in (["--help"], *([command, "--help"] for command in COMMANDS)):
        assert cli.main([*words, "language=zh"]) == 0
        pages += capsys.readouterr().out
        assert max(map(cell_len, pages.splitlines())) <= WIDTH
    joined = re.sub(r"\s", "", pages)
    assert [text for text in help_in_chinese.CHINESE.values()
            if re.sub(r"\s", "", text) not in joined] == []  # fmt: skip
    assert "\n  -q, --quiet             只打印最后一句和出错之处\n" in pages
    with speaking("en"):
        assert cli.overview() == HELP


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(flag: str, capsys: Capture) -> None:
    assert cli.main([flag]) == 0
    assert capsys.readouterr().out == f"upgate {version('upgate')}\n"


def test_version_stands_alone(capsys: Capture) -> None:
    assert cli.main(["--version", "train"]) == 2
    assert "stands alone" in capsys.readouterr().err


def test_help_of_a_command_that_is_none(capsys: Capture) -> None:
    for words in (["help", "trian"], ["--help", "trian"], ["trian", "-h"]):
        assert cli.main(words) == 2
        assert "upgate trian is not a command, did you mean 'train'?" in capsys.readouterr().err


def test_the_defaults_of_train_are_those_that_are_composed() -> None:
    composed = compose([])
    for group, name in default_choices().items():
        made = composed[group]
        if group == "regularization":
            assert list(made) == name
        else:
            assert (made if isinstance(made, str) else made[name_key(group)]) == name
    shown = {key.name: key.value for key in keys_of("train")}
    for name in TOP_LEVEL:
        assert shown[name] == format_value(composed[name])
    assert {*TOP_LEVEL, "search"} == set(run_config.TOP_LEVEL)
    assert shown["trainer.max_epochs"] == format_value(composed["trainer"]["max_epochs"])


@pytest.mark.parametrize(
    ("command", "options", "without"),
    [("study", StudyOptions, set()), ("tune", TuneOptions, {"space"})],
)
def test_every_option_has_its_default_and_a_text(
    command: str, options: type, without: set[str]
) -> None:
    shown = {key.name: key for key in keys_of(command)}
    short = {"study.design": "study", "study.experiment": "experiment", "tune.search": "search"}
    for name, value in vars(options()).items():
        if name not in without:
            full = f"{command}.{name}"
            key = shown[short.get(full, full)]
            assert key.value == format_value(value) and key.text
    assert shown["study" if command == "study" else "search"].choices


def test_every_word_of_judge_is_explained() -> None:
    assert set(JUDGE) == set(KEYS)


def of_example(line: str) -> list[str]:
    return shlex.split(line)[1:]


@pytest.mark.parametrize("example", [one for about in COMMANDS.values() for one in about.examples])
def test_the_words_of_every_example_are_understood(example: str) -> None:
    command, *words = of_example(example)
    known, rest = parse_flags(command, words)
    if command == "train":
        plain = read_promotion(rest)[1]
        assert [compose(single) for single in expand(plain, known.multirun)]
    elif command == "study":
        if rest != ["selftest"]:
            assert compose(read_study_options(rest)[1])
    elif command == "tune":
        assert compose(read_tune_options(rest)[1])
    elif command == "judge":
        pairs = read_pairs(rest, KEYS)
        assert read_source(pairs) and read_question(pairs)
    elif command == "completion":
        assert rest[0] in SCRIPTS
    elif command == "schema":
        assert rest[0] in (*groups(), "experiment") and read_pairs(rest[1:], ("out",))
    else:
        names = {key.name for key in keys_of(command)}
        assert set(read_pairs(rest, None)) <= names


def test_examples_of_lists_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    fresh(tmp_path / "runs")
    for example in COMMANDS["runs"].examples:
        assert cli.main(of_example(example)) == 0
        assert capsys.readouterr().out

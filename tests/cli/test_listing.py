"""--info, --cfg and --package, and Hydra's flags that are not obeyed."""

import pytest
import yaml

from upgate.cli import entry as cli
from upgate.config.choices import conf_dir
from upgate.config.compose import compose

Capture = pytest.CaptureFixture[str]


def test_info_says_who_chose_what(capsys: Capture) -> None:
    words = ["+experiment=volatility", "init=he", "recipe=traditional", "++optimizer=adam"]
    assert cli.main(["train", "--info", *words]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    for row in (
        ["init", "he", "your words"],
        ["optimizer", "adam", "your words"],
        ["clip", "norm", "the experiment, or ~ of your words"],
        ["schedule", "constant", "conf/config.yaml"],
        ["Upgate's", "own", str(conf_dir())],
    ):
        assert row in lines
    assert cli.main(["train", "--info"]) == 0
    assert "recipe=upgraded" in capsys.readouterr().out


def test_a_part_of_the_configuration(capsys: Capture) -> None:
    assert cli.main(["train", "--cfg", "job", "-p", "optimizer", "optimizer=adam"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# @package optimizer\n")
    assert yaml.safe_load(out) == compose(["optimizer=adam"])["optimizer"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cfg", "hydra"], "--cfg job"),
        (["--cfg", "all"], "--cfg job"),
        (["--cfg", ""], "is not a choice"),
        (["--package", "optimizer"], "goes with --cfg job"),
        (["--cfg", "job", "-p", "optimzer"], "did you mean 'optimizer'?"),
        (["--cfg", "job", "--choices"], "give one of them"),
        (["--info", "plugins"], "there is all, defaults, searchpath"),
        (["-sc", "install=bash"], "upgate completion bash"),
        (["--shell-completion", "install=bash"], "upgate completion bash"),
        (["-cn", "mine"], "+experiment=NAME"),
        (["--config-path=x"], "--config-dir DIR"),
        (["--run"], "train runs by itself"),
        (["--resolve", "--cfg", "job"], "by itself"),
        (["--hydra-help"], "upgate COMMAND --help"),
        (["--experimental-rerun", "x"], "goes on where it stopped"),
    ],
)
def test_a_flag_that_is_not_obeyed_is_refused(words: list[str], told: str, capsys: Capture) -> None:
    assert cli.main(["train", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and told in err

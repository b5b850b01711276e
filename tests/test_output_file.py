"""The file of `out=`, whichever command writes it: a file and nothing else, whole or not at all."""

import os
from pathlib import Path

import pytest

from upgate.cli.entry import main
from upgate.errors import UserError
from upgate.output import output_path, write_output


def test_only_files_are_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for place in (pipe, link):
        with pytest.raises(UserError, match="is there, and is no file; name a file"):
            output_path(place)
    with pytest.raises(UserError, match="is a folder"):
        output_path(str(tmp_path))
    with pytest.raises(UserError, match=r"no folder .*/none; create it first"):
        output_path(tmp_path / "none" / "a.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    write_output(path, "before")
    write_output(path, "é")
    assert path.read_bytes() == "é".encode() and output_path(path) == path
    if os.geteuid() == 0:  # root may write anywhere: a name that is too long fails for everybody
        path = tmp_path / ("a" * 300)
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        write_output(path, "after")
    tmp_path.chmod(0o700)
    assert (tmp_path / "a.html").read_bytes() == "é".encode()


COMMANDS = [
    "judge metric=loss group=model baseline=a data.path=a.csv",
    "predict",
    "report",
    "report tune=latest",
    "schema",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_so_before_it_works(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "out=/dev/null"]) == 2
    assert "out=/dev/null is there, and is no file" in capsys.readouterr().err

"""docs/adding-a-task.md is done word for word: its task trains, is studied, tuned and predicts."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from helpers.commands import SMALL, TRAINS
from helpers.project import REPO
from helpers.run import results
from upgate import cli

PAGE = REPO / "docs" / "adding-a-task.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = [
    pytest.mark.pictures,
    pytest.mark.skipif(not PAGE.exists(), reason="no docs: not a checkout"),
]


def blocks(language: str) -> list[tuple[str, str]]:
    """The blocks of a language: the file that the text before a block names, and its content."""
    text, end, found = PAGE.read_text(encoding="utf-8"), 0, []
    for match in BLOCK.finditer(text):
        names = re.findall(r"`(mine/[^`]+)`", text[end : match.start()])
        end = match.end()
        if match[1] == language:
            found.append((names[-1] if names else "", match[2]))
    return found


def write_files(folder: Path) -> dict[str, int]:
    """Write the files of the page; their numbers of lines."""
    lines = {}
    for name, content in [*blocks("yaml"), *blocks("python")]:
        if name:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            lines[name] = len(content.splitlines())
    return lines


def small(line: str, folder: Path) -> list[str]:
    """The words of a line of the page, with a small budget where it trains."""
    program, command, *words = shlex.split(line)
    assert program == "upgate"
    if command not in TRAINS:
        return [command, *words]
    given = {word.partition("=")[0] for word in words}
    more = [word for word in (*SMALL, *TRAINS[command]) if word.partition("=")[0] not in given]
    return [command, *words, *more, f"cache={folder / 'prepared'}"]


def test_the_page_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = write_files(tmp_path)
    for name, content in blocks("python"):
        if not name:
            exec(content, {})
    output = {}
    for line in blocks("bash")[0][1].splitlines():
        assert cli.main(small(line, tmp_path)) == 0, f"{line}\n{capsys.readouterr()}"
        output[line.split()[1]] = capsys.readouterr().out

    runs = results(tmp_path / "runs").values()
    assert {run["task"] for run in runs} == {"sequences"} and all(
        run["metrics"]["test/mean/mse_to_mean"] == 1 for run in runs
    )
    assert "MSE over that of the training mean" in output["runs"]
    for page in ("study.html", "tune.html"):
        assert "MSE to the mean" in (tmp_path / page).read_text(encoding="utf-8")
    predictions = pd.read_csv(tmp_path / "predictions.csv")
    assert len(predictions) == 5 and predictions["prediction"].between(-3, 3).all()

    rows = re.findall(r"^\| `(mine/\S+)` \| (\d+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {name: int(count) for name, count in rows} == lines


def test_the_task_is_loaded_by_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine" / "task" / "unwanted.py").write_text("raise RuntimeError")
    words = ["train", "--config-dir", "mine", "task=stock", "task.window=no"]
    assert cli.main(words) == 2 and "task.window=no" in capsys.readouterr().err

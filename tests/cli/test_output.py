"""Manners of what is printed: nothing but text into a pipe, NO_COLOR, a reader that goes, -q."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from helpers.store import fresh
from upgate.cli import entry as cli
from upgate.console import show_failures
from upgate.experiment.jobs import expand_jobs
from upgate.run.datasets import Datasets

Capture = pytest.CaptureFixture[str]
COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])(?:;\d+)*m")
TINY = [
    "data.start=2016",
    "task.window=10",
    "model.hidden_size=4",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.accelerator=cpu",
    "threads=1",
    "cache=cache",
]


def test_quiet_is_the_last_sentence_and_a_pipe_gets_text_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "-q", *TINY]) == 0
    sentence, err = capfd.readouterr()
    assert err == "" and sentence.count("\n") == 1
    assert sentence.endswith("One seed is an anecdote.\n")
    assert cli.main(["train", *TINY]) == 0  # of the stored run, with all its lines
    out, err = capfd.readouterr()
    assert err == "" and sentence in out and out.count("\n") > 10 and "\x1b" not in out
    assert cli.main(["train", "--quiet", "-m", *TINY, "seed=0"]) == 0
    assert capfd.readouterr().out == sentence
    assert cli.main(["train", "-q", *TINY, "trainer.fast_dev_run=true"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "fast_dev_run: 2 recipes trained and validated; nothing was recorded."
    ]


def test_quiet_says_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*TINY, "twin=false"]
    (job,) = expand_jobs([*words, "seed=1"], False, None, Datasets())
    (tmp_path / "runs" / job.spec.key[:16] / "best.ckpt").mkdir(parents=True)  # not to be written
    assert cli.main(["train", "-q", "-m", "seed=0,1", *words]) == 1
    failed, last = capfd.readouterr().out.splitlines()
    assert failed.startswith("failed upgraded seed=1: ")
    assert last == "1 of 2 runs finished; upgate runs lists them"


def test_quiet_and_a_list_are_refused(capsys: Capture) -> None:
    assert cli.main(["train", "-q", "--choices"]) == 2
    assert "a list is printed whole" in capsys.readouterr().err


@dataclass
class Failed:
    name: str = "seed=0"
    error: str = "gone"


def test_no_color_is_obeyed_in_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    seen = []
    for value in (None, "1"):
        monkeypatch.delenv("NO_COLOR", raising=False)
        if value:
            monkeypatch.setenv("NO_COLOR", value)
        show_failures(Console(force_terminal=True, color_system="standard"), [Failed()])
        seen.append(bool(COLOR.search(capsys.readouterr().out)))
    assert seen == [True, False]


def test_a_reader_that_goes_is_no_traceback(tmp_path: Path) -> None:
    fresh(tmp_path / "runs")
    for flag in ("", "--json"):
        command = f"{sys.executable} -m upgate.cli runs {flag} root={tmp_path / 'runs'}"
        script = f"(sleep .1; {command}; echo $? >&2) | true"  # which has gone by then
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
        assert done.stderr == "141\n"

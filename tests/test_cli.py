"""The command itself, as real processes: help and every typo answer at once, in one line, with exit code 2."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from upgate import cli
from upgate.config import choices, compose, groups

HEAVY = ("torch", "lightning", "mlflow", "pandas", "numpy")


def upgate(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "upgate.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env={**os.environ, **env}, timeout=60)


@pytest.fixture
def no_heavy(tmp_path: Path) -> str:
    """A PYTHONPATH on which importing anything heavy raises; lightning's source may be read, not imported."""
    for name in HEAVY:
        if name != "lightning":  # it imports torch first
            (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    return str(tmp_path)


TYPOS = [
    (["train", "optimizer=adm"], "upgate: optimizer=adm is not a choice, did you mean 'adam'?"),
    (["train", "--multirn"], "upgate: --multirn is not a flag here, did you mean '--multirun'?"),
    (["trian"], "upgate: upgate trian is not a command, did you mean 'train'?"),
    (["train", "clip.max_nrom=1"], "upgate: unknown key clip.max_nrom=1, did you mean 'clip.max_norm'?"),
    (["train", "-m", "seed=0,1", "clip=nrom,none"], "upgate: clip=nrom is not a choice, did you mean 'norm'?"),
    (["train", "data=prices"], "upgate: data.path is missing; give it a value, as in data.path=..."),
]


@pytest.mark.parametrize(("words", "sentence"), TYPOS, ids=[" ".join(words) for words, _ in TYPOS])
def test_a_typo_is_one_line_and_imports_nothing_heavy(words: list[str], sentence: str, no_heavy: str) -> None:
    done = upgate(*words, PYTHONPATH=no_heavy)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [sentence])


def test_the_fixture_sees_a_heavy_import(no_heavy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import torch"], env={**os.environ, "PYTHONPATH": no_heavy}, capture_output=True, text=True
    )
    assert "torch was imported" in done.stderr


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help(flag: str, no_heavy: str) -> None:
    done = upgate(flag, PYTHONPATH=no_heavy)
    assert (done.returncode, done.stdout, done.stderr) == (0, cli.HELP, "")


def test_help_is_at_once() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        assert upgate("--help").returncode == 0
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.5


def test_importing_the_command_loads_nothing_heavy() -> None:
    code = "import json, sys, upgate.cli; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & {*HEAVY, "hydra", "omegaconf"}


def test_cfg_job_prints_yaml_that_loads(no_heavy: str) -> None:
    words = ["optimizer=adam", "optimizer.lr=1e-3", "root=/数据/a b", "regularization=[l1,l2]"]
    done = upgate("train", *words, "--cfg", "job", PYTHONPATH=no_heavy, PYTHONUTF8="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout) == compose(words)


def test_choices_lists_every_group_and_choice(no_heavy: str) -> None:
    done = upgate("train", "--choices", PYTHONPATH=no_heavy)
    listed = {line.split()[0]: line.split(maxsplit=1)[1].split(", ") for line in done.stdout.splitlines()}
    assert (done.returncode, listed) == (0, {group: choices(group) for group in groups()})


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["runs", "tsak=stock"], "did you mean 'task'?"),
        (["runs", "task="], "task needs a value"),
        (["runs", "--jsno"], "did you mean '--json'?"),
        (["ui", "poort=5000"], "did you mean 'port'?"),
        (["train", "--config-dir"], "--config-dir"),
        (["train", "--config-dir", "/nowhere", "--choices"], "/nowhere is not a folder"),
        (["train", "seed=0,1"], "-m"),
    ],
)
def test_other_words_that_cannot_be_done(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("upgate: ") and err.count("\n") == 1 and part in err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_names_every_command(command: str) -> None:
    assert f"\n  upgate {command} " in cli.HELP


# Known faults of the command, each to lose its mark with its repair


def test_glob_reaches_a_folder_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "lion.yaml").write_text("name: lion\nlr: 1e-4\n")
    assert cli.main(["train", "-m", "optimizer=glob(l*)", "--config-dir", str(tmp_path), "--cfg", "job"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["optimizer"] == {"name": "lion", "lr": 1e-4}


def test_a_word_with_a_line_break_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "sead=a\nb"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_ui_help_is_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)  # no store here
    assert cli.main(["ui", "--help"]) == 0 and capsys.readouterr().out == cli.HELP


def test_cfg_takes_job_only() -> None:
    assert cli.main(["train", "--cfg", "jbo"]) == 2


def test_cfg_of_a_sweep_is_one_document_per_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "-m", "seed=0,1", "--cfg", "job"]) == 0
    assert [one["seed"] for one in yaml.safe_load_all(capsys.readouterr().out)] == [0, 1]

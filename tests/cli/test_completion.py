"""Completion: what may stand at the cursor, and the script in a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from upgate.cli import entry as cli
from upgate.cli.commands import COMMANDS
from upgate.cli.completion import SCRIPTS, complete
from upgate.config.choices import EXPERIMENT

LINES = {  # the line up to the cursor -> all that may stand there
    "upgate tr": ["train"],
    "upgate help st": ["study"],
    "upgate completion z": ["zsh"],
    "upgate train optimizer=ad": ["optimizer=adagrad", "optimizer=adam", "optimizer=adamw"],
    "upgate train -m optimizer=sgd,rms": ["optimizer=sgd,rmsprop"],
    "upgate train regularization=[l1,dr": ["regularization=[l1,dropout"],
    "upgate train +experiment=vol": ["+experiment=volatility"],
    "upgate train ++clip=n": ["++clip=none", "++clip=norm"],
    "upgate train ~cl": ["~clip"],
    "upgate train clip=norm clip.": ["clip.max_norm="],
    "upgate train trainer.max_e": ["trainer.max_epochs="],
    "upgate train regularization.dropout.": ["regularization.dropout.p="],
    "upgate train --cfg ": ["job"],
    "upgate train --comb": ["--combinations"],
    "upgate train twin=": ["twin=false", "twin=true"],
    "upgate study experiment=": ["experiment=article"],
    "upgate study study=f": ["study=factorial"],
    "upgate runs clip=z": ["clip=zclip"],
    "upgate check-part clip=no": ["clip=none", "clip=norm"],
    "X=1 .venv/bin/upgate tune search=t": ["search=tpe"],
    "upgate train data.path=my": [],
    "upgate train --config-dir ": [],
    "upgate train --config-dir /nowhere clip=n": [],
    "upgate nope ": [],
    "ls ": sorted([*COMMANDS, "help", "--help", "--version"]),
}


@pytest.mark.parametrize("line", LINES)
def test_what_may_stand_at_the_cursor(line: str) -> None:
    assert complete(line) == LINES[line]


def test_ones_own_choices_and_experiments_are_there(tmp_path: Path) -> None:
    for group, name in (("clip", "mine"), (EXPERIMENT, "mine")):
        (tmp_path / group).mkdir()
        (tmp_path / group / f"{name}.yaml").write_text("name: mine\nstrength: 1\n")
    line = f"upgate train --config-dir {tmp_path} "
    assert complete(f"{line}clip=mi") == ["clip=mine"]
    assert complete(f"{line}clip=mine clip.s") == ["clip.strength="]
    assert complete(f"{line}+experiment=m") == ["+experiment=mine"]


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["bsh"], ["bash", "zsh"]):
        assert cli.main(["completion", *words]) == 2
        assert "completion takes a shell" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_one_that_its_shell_reads(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    (tmp_path / "script").write_text(SCRIPTS[shell])
    subprocess.run([program, "-n", str(tmp_path / "script")], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_a_real_bash_completes_without_heavy_imports(tmp_path: Path) -> None:
    for name in ("torch", "lightning", "mlflow", "pandas", "numpy", "hydra", "omegaconf"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('imported')\n")
    asked = {
        "upgate tra": ["train"],
        "upgate train optimizer=rm": ["rmsprop"],  # bash replaces what is behind the =
        "upgate train -m clip=norm,z": ["norm,zclip"],
        "upgate train +experiment=vol": ["volatility"],
        "upgate study study.see": ["study.seeds="],
    }
    calls = [
        f"COMP_LINE='{line}' COMP_POINT={len(line)}; _upgate upgate; echo \"${{COMPREPLY[*]}}\""
        for line in asked
    ]
    script = "\n".join(
        [f'upgate() {{ {sys.executable} -m upgate.cli "$@"; }}',
         "source <(upgate completion bash)", "complete -p upgate", *calls]
    )  # fmt: skip
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60
    )
    registered, *answers = done.stdout.splitlines()
    assert registered == "complete -o default -F _upgate upgate", done.stderr
    assert [line.split() for line in answers] == list(asked.values())

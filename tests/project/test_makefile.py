"""The Makefile hands every word to `upgate` as it was given, with a stub environment in place of
.venv.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.project import REPO, needs_make

MAKEFILE = REPO / "Makefile"

pytestmark = [
    needs_make,
    pytest.mark.skipif(not MAKEFILE.exists(), reason="no Makefile: not a checkout"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the Makefile beside a ready VENV whose upgate prints its arguments as json."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(REPO / name, tmp_path / name)
        os.utime(tmp_path / name, (1e9, 1e9))
    (tmp_path / "stub" / "bin").mkdir(parents=True)
    (tmp_path / "stub" / ".ready").touch()
    script = tmp_path / "stub" / "bin" / "upgate"
    script.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    script.chmod(0o755)
    return tmp_path


def make(folder: Path, *words: str, **env: str) -> str:
    outer = ("MAKE", "MFLAGS", "ARGS", "VENV", "PYTHON")  # of a `make test` that runs this
    kept = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    command = ["make", "--no-print-directory", "VENV=stub", *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, **env},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def argv(folder: Path, *words: str, **env: str) -> list[str]:
    found: list[str] = json.loads(make(folder, *words, **env))
    return found


WORDS = [
    "task=stock",
    "optimizer.lr=1e-3",
    "data.path=a b  c.csv",
    "root='single quoted'",
    'root="double, quoted"',
    "root=it's",
    "root=$HOME",
    "root=$(shell echo no)",
    "root=runs/${seed}",
    "root=$$",
    "root=`date`",
    "regularization=[l1,l2]",
    "seed=range(0,3)",
    "optimizer=glob(*)",
    "root=*?~",
    "root=a#b",
    "root=a=b",
    "root=a;b&c|d>e",
    "root=back\\slash",
    "root=",
    "root=/数据/我的 文件",
    "data.tickers=[^GSPC,0700.HK]",
]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_reaches_upgate_intact(folder: Path, word: str) -> None:
    assert argv(folder, "train", word) == ["train", word]


def test_all_words_at_once_are_all_there(folder: Path) -> None:
    words = [
        "optimizer=sgd,adam",
        "clip=none,norm",
        "root=a b's $HOME",
        "trainer.max_epochs=1",
        "data.path=数据 1.csv",
    ]
    assert sorted(argv(folder, "train", *words)) == sorted(["train", *words])


@pytest.mark.parametrize("target", ["train", "runs", "predict"])
def test_flags_come_before_the_words(folder: Path, target: str) -> None:
    assert argv(folder, target, "seed=0,1", "ARGS=-m --config-dir 'my conf'") == [
        target,
        "-m",
        "--config-dir",
        "my conf",
        "seed=0,1",
    ]


def test_the_environment_gives_no_words(folder: Path) -> None:
    assert argv(folder, "train", "PYTHON=python3", seed="7", task="nothing", CFLAGS="-O2") == [
        "train"
    ]


def test_ui_takes_words(folder: Path) -> None:
    assert argv(folder, "ui", "port=5001") == ["ui", "port=5001"]


def test_help_lists_every_described_target_and_is_the_default(folder: Path) -> None:
    described = dict(
        re.findall(r"^([a-z]+):[^\n#]*## (.*)$", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {"help", "setup", "train", "runs", "predict", "ui", "test", "bench", "clean"} <= set(
        described
    )
    assert "audit" in described
    listed = [line.split(maxsplit=2)[1:] for line in make(folder, "help").splitlines()]
    assert listed == [[target, text] for target, text in described.items()]
    assert make(folder) == make(folder, "help")


def test_a_failure_of_upgate_fails_make(folder: Path) -> None:
    (folder / "stub" / "bin" / "upgate").write_text("#!/bin/sh\nexit 2\n")
    done = subprocess.run(
        ["make", "VENV=stub", "train"], cwd=folder, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2


ADVISORY = {  # what pip-audit writes about a version with a published hole
    "dependencies": [{"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": []}]}],
    "fixes": [],
}
AUDIT = """#!{python}
import json, pathlib, sys
audited = pathlib.Path(sys.argv[-1].partition("=")[2]).read_text()
control = "filelock==3.20.0" in audited
print({control} if control else "the report of the constraints")
sys.exit({rc[0]} if control else {rc[1]})
"""


def audited(folder: Path, control: str, *rc: int) -> subprocess.CompletedProcess[str]:
    """`make audit` where pip-audit answers `control`, then a report, with these exit codes."""
    (folder / ".ci").mkdir()
    shutil.copy(REPO / ".ci" / "audit", folder / ".ci" / "audit")
    script = folder / "stub" / "bin" / "pip-audit"
    script.write_text(AUDIT.format(python=sys.executable, control=repr(control), rc=rc))
    script.chmod(0o755)
    command = ["make", "--no-print-directory", "VENV=stub", "audit"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("rc", [0, 1], ids=["clean", "vulnerable"])
def test_audit_ends_as_the_audit_of_the_constraints_ends(folder: Path, rc: int) -> None:
    reported = json.dumps(ADVISORY).replace("PYSEC-1", "CVE-2026-22701")
    done = audited(folder, reported, 1, rc)
    assert (done.returncode != 0) == (rc != 0)
    assert done.stdout == "the report of the constraints\n"


@pytest.mark.parametrize(
    ("control", "rc"),
    [("", 1), ('{"dependencies": [], "fixes": []}', 0), (json.dumps(ADVISORY), 1)],
    ids=["unreachable", "a mirror without advisories", "another advisory"],
)
def test_audit_fails_without_advisories(folder: Path, control: str, rc: int) -> None:
    done = audited(folder, control, rc, 0)
    assert done.returncode and not done.stdout
    assert done.stderr.count("nothing was audited.") == 1

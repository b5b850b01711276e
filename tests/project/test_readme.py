"""Every command of the README is run, in its order, in one folder: what a reader copies works.

`make -n` says what a line calls; that is then run in this process with a small budget and little data.
"""

import os
import re
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from upgate import cli
from upgate.config.compose import PARTS, choices

REPO = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
NOT_RUN = {
    "test": "it would run this test within itself",
    "ui": "it serves pages until Ctrl-C; test_store_away.py starts the same command",
    "setup": "it makes an environment with pip",
    "bench": "it takes minutes, and times mean nothing beside other tests",
}
TRAINS = {  # commands that take the small budget, and what makes them short
    "train": [],
    "study": ["study.seeds=1", "study.aa=false", "study.zero=false"],
    "tune": ["tune.trials=2", "tune.folds=2", "tune.top=0"],
}
SMALL = [
    "model.hidden_size=4",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=4",
    "trainer.accelerator=cpu",
    "threads=1",
]
LITTLE = {
    "stock": ["data.start=2016", "task.window=10"],
    "sentiment": ["task.vocabulary=200", "task.embedding=4"],
}
CORPUS = ["data.train=200", "data.test=100"]  # of the generated reviews

pytestmark = [
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
    pytest.mark.skipif(not (REPO / "README.md").exists(), reason="no README.md: not a checkout"),
]


def fences(readme: str) -> list[tuple[str, list[str]]]:
    """Each fenced block: its language and its lines."""
    text = (REPO / readme).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        (language, [line for line in block.splitlines() if line.strip()])
        for language, block in found
    ]


def commands(readme: str) -> list[str]:
    lines = [line for language, block in fences(readme) if language == "bash" for line in block]
    return [line for line in lines if not line.startswith("#")]


def called(line: str, folder: Path) -> list[str]:
    """The words with which a line calls `upgate`, its name left out; none for a target that is not run here."""
    program, *words = shlex.split(line, comments=True)
    if program == "upgate":
        return words
    assert program == "make", f"{line}: this test knows make and upgate; teach it the new command"
    outer = ("MAKE", "MFLAGS", "ARGS", "VENV", "PYTHON")  # of a `make test` that runs this
    kept = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    make = [
        "make",
        "-n",
        "--no-print-directory",
        "-f",
        str(REPO / "Makefile"),
        "-C",
        str(REPO),
        f"VENV={folder / 'venv'}",
    ]
    done = subprocess.run(
        [*make, *words], env=kept, capture_output=True, text=True, encoding="utf-8", timeout=30
    )
    assert done.returncode == 0 and done.stdout, f"{line}: {done.stderr}"
    if words[0] in NOT_RUN:
        return []
    (call,) = done.stdout.splitlines()
    program, *rest = shlex.split(call)
    assert program == str(folder / "venv" / "bin" / "upgate"), f"{line} calls {call}"
    return rest


def shrunk(words: list[str]) -> list[str]:
    """The words with a small budget, where they say nothing else, and with two values of each list that is swept."""
    if words[0] not in TRAINS:
        return words
    words = [
        re.sub(r"^([\w.]+=[^,\[(]+,[^,]+),.*", r"\1", word)
        for word in words
        if not re.match(r"study.seeds|tune.trials", word)
    ]
    given = dict(word.partition("=")[::2] for word in words)
    task = given.get("task", "stock")
    assert task in LITTLE, f"task={task}: this test knows no small words for it"
    little = [
        *TRAINS[words[0]],
        *SMALL,
        *LITTLE[task],
        *(CORPUS if task == "sentiment" and "data" not in given else []),
    ]
    return [*words, *(word for word in little if word.partition("=")[0] not in given)]


def supply(words: list[str], folder: Path) -> None:
    """Write the reader's own file that the words name: real prices, or a few texts and their labels."""
    for name in (word.partition("=")[2] for word in words if word.startswith("data.path=")):
        if "price" in name:
            spec = find_spec("arch")
            assert spec is not None and spec.origin is not None
            source = Path(spec.origin).parent / "data" / "sp500" / "sp500.csv.gz"
            (folder / name).write_bytes(
                source.read_bytes()
            )  # gzipped or not is seen by its content
        else:
            films = [
                (f"a {word} film, part {i}", label)
                for i in range(60)
                for word, label in (("fine", "pos"), ("dull", "neg"))
            ]
            (folder / name).write_text(
                "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in films),
                encoding="utf-8",
            )


def test_every_command_of_the_readme_works(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = commands("README.md")
    assert len(lines) > 5 and any(line.startswith("make predict") for line in lines)
    for line in lines:
        words = called(line, folder)
        supply(words, folder)
        if words:
            code = cli.main(shrunk(words))
            out, err = capfd.readouterr()
            assert code == 0 and out.strip(), f"{line}: exit code {code}\n{out}\n{err}"


@pytest.mark.parametrize("readme", READMES)
def test_commands_stand_in_bash_blocks_only(readme: str) -> None:
    assert {language for language, _ in fences(readme)} <= {"bash", ""}
    assert not [
        line
        for language, block in fences(readme)
        if not language
        for line in block
        if re.match(r"\$|make |upgate ", line)
    ]


def test_the_readmes_have_the_same_blocks() -> None:
    first, second = (fences(readme) for readme in READMES)
    assert [block for language, block in first if language == "bash"] == [
        block for language, block in second if language == "bash"
    ]
    assert [language for language, _ in first] == [language for language, _ in second]


@pytest.mark.parametrize("readme", READMES)
def test_links_and_pictures_are_there(readme: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (REPO / readme).read_text(encoding="utf-8"))
    assert links and not [
        link for link in links if "://" not in link and not (REPO / link).exists()
    ]


def test_targets_that_are_not_run_are_targets() -> None:
    targets = re.findall(
        r"^([a-z]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(NOT_RUN) <= set(targets)
    assert all(
        line.split()[1] in targets for line in commands("README.md") if line.startswith("make ")
    )


@pytest.mark.parametrize("readme", READMES)
@pytest.mark.parametrize("group", PARTS)
def test_the_table_of_choices_is_whole(readme: str, group: str) -> None:
    (row,) = re.findall(
        rf"^\| `{group}` \| (.*) \|$", (REPO / readme).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert (
        set(choices(group)) <= set(re.findall(r"`(\w+)`", row)) <= {*choices(group), "forget_bias"}
    )

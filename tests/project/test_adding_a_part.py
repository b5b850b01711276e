"""docs/adding-a-part.md is done in a copy of the tree, word for word.

Its part trains, the tests find it, and its count is right.
"""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from xml.etree import ElementTree

import pytest

from helpers.commands import called, shrunk
from helpers.project import CARDS, REPO, script
from helpers.run import results

PAGE = REPO / "docs" / "adding-a-part.md"
PARTS_TEST = REPO / "tests" / "recipe" / "test_parts.py"
TREE = (
    "src",
    "conf",
    "tests",
    "bench",
    "docs",
    "README.md",
    "README.zh-CN.md",
    "Makefile",
    "pyproject.toml",
    "constraints.txt",
)
NEW, LIKE = (
    ("regularization", "noise"),
    ("regularization", "l2"),
)  # the new part, and one that is there for the same tasks
pytestmark = [
    pytest.mark.skipif(
        shutil.which("make") is None or shutil.which("sed") is None,
        reason="make or sed is not installed",
    ),
    pytest.mark.skipif(not PAGE.exists(), reason="no docs: not a checkout"),
]


def blocks() -> list[tuple[str, str, str]]:
    """Each fenced block of the page: the file named before it, its language and its text."""
    found = re.finditer(
        r"^(`{3,})(\w+)\n(.*?)\n\1$",
        text := PAGE.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return [
        (re.findall(r"`([^`\n]+)`", text[: block.start()])[-1], block[2], block[3] + "\n")
        for block in found
    ]


def copied(to: Path) -> Path:
    for name in TREE:
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPO / name, to / name)
    return to


def run(line: str, tree: Path, folder: Path, *more: str) -> str:
    """Run a line of the page in the tree, and return what it prints.

    That of make and upgate with a small budget, python's and pytest's with this interpreter.
    """
    words = shlex.split(line)
    if words[0] in ("make", "upgate"):
        words = shrunk(called(line, folder))
        cache = [f"cache={folder / 'prepared'}"] if words[0] == "train" else []
        words = [sys.executable, "-m", "upgate.cli", *words, *cache]
    elif words[0] == "pytest":
        words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words[1:], *more]
    elif words[0] == "python":
        words = [sys.executable, *words[1:]]
    env = {**os.environ, "PYTHONPATH": str(tree / "src")}  # goes before an editable install
    done = subprocess.run(
        words, cwd=tree, env=env, capture_output=True, text=True, encoding="utf-8", timeout=180
    )
    assert done.returncode == 0, (
        f"{line}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def cases(choice: tuple[str, str]) -> Counter[str]:
    """How often each test of test_parts.py is run with a choice that it found in conf/."""
    marks = [
        (name, mark)
        for name, f in runpy.run_path(str(PARTS_TEST)).items()
        for mark in getattr(f, "pytestmark", [])
        if mark.name == "parametrize"
    ]
    return Counter(
        name
        for name, mark in marks
        for case in mark.args[1]
        if isinstance(case, tuple) and case[-2:] == choice
    )


def difference(tree: Path) -> dict[str, tuple[int, int]]:
    """Lines added and lines changed in each file of the tree that is not as it was.

    The cards are taken as their command fills them.
    """
    found, cards = {}, script("cards")["pages"](CARDS, REPO / "docs" / "results")
    for path in sorted(
        p
        for name in TREE
        for p in ([tree / name] if (tree / name).is_file() else (tree / name).rglob("*"))
        if p.is_file()
    ):
        place = path.relative_to(tree)
        if "__pycache__" in place.parts or path.suffix not in (".py", ".yaml", ".md"):
            continue
        old = cards.get(REPO / place) or (
            (REPO / place).read_text(encoding="utf-8") if (REPO / place).exists() else ""
        )
        spans = SequenceMatcher(
            None, old.splitlines(), path.read_text(encoding="utf-8").splitlines(), autojunk=False
        ).get_opcodes()
        added, changed = (
            sum(b2 - b1 for kind, _, _, b1, b2 in spans if kind == what)
            for what in ("insert", "replace")
        )
        if any(kind != "equal" for kind, *_ in spans):
            found[place.as_posix()] = (added, changed)
    return found


@pytest.mark.long
def test_the_page_is_true(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tree, report = copied(tmp_path_factory.mktemp("tree")), folder / "found.xml"
    for place, language, text in blocks():
        if language != "bash":
            (tree / place).parent.mkdir(parents=True, exist_ok=True)
            with (tree / place).open("a", encoding="utf-8") as file:
                file.write("\n\n" * (language == "python" and file.tell() > 0) + text)
            continue
        for line in text.splitlines():
            run(line, tree, folder, f"--junitxml={report}")
    (result,) = (
        one
        for one in results(tree / "runs").values()
        if one["metrics"].get("engagement/noise_norm")
    )
    assert result["metrics"]["engagement/noise_norm"] > 0 and not result["diverged"]
    jittered = [name for name in results(tree / "runs") if "jitter" in name]
    assert len(jittered) == 1  # of the folder outside the tree

    names = [case.attrib["name"] for case in ElementTree.parse(report).iter("testcase")]
    by_function = Counter(name.partition("[")[0] for name in names)
    assert (
        cases(NEW) == Counter() != cases(LIKE)
    )  # here it is not; there it is found as often as the other is here
    assert {name: by_function[name] for name in cases(LIKE)} == cases(LIKE)
    lists = "noise or each_choice or as_the_command or table_of_choices"
    files = "tests/project/test_cards.py tests/project/test_readme.py"
    run(f"pytest {files} -k '{lists}'", tree, folder)

    rows = re.findall(
        r"^\| `(\S+)` \| (\d+) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert difference(tree) == {place: (int(added), int(changed)) for place, added, changed in rows}

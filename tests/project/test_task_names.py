"""A task's name, and the names of its metrics, stand in its own package, in conf/ and in docs."""

import re

from helpers.project import REPO

SOURCE = REPO / "src" / "upgate"
NAMES = re.compile(r"\b(stock|sentiment)\b|mse_ratio|test/accuracy")
ALLOWED = {  # file -> why it may name a task
    "__init__.py": "where the tasks' modules are, for Python users",
    "cli/commands.py": "examples in the help pages",
    "cli/help_in_chinese.py": "as above",
    "store/open.py": "an example in an error's sentence",
    "study/load.py": "an example in an error's sentence",
    "recipe/regularization/base.py": "the nearest allowed choice, in an error's sentence",
    "study/selftest.py": "the self-test simulates prices",
    "part_checks/loop.py": "parts are checked on made-up windows and texts, by the in-tree tasks",
    "part_checks/properties.py": "as above",
    "data/reviews/formats.py": "`sentiment` is the name of a column in files of labelled texts",
    "data/prices/headers.py": "`stock` is the name of a column of tickers",
}


def code(text: str) -> str:
    """The lines without comments and docstrings of one line: those may give examples."""
    lines = [line.split("  #")[0] for line in text.splitlines()]
    return re.sub(r'"""(?:.|\n)*?"""', "", "\n".join(lines))


def test_tasks_and_their_metrics_are_named_in_their_packages_alone() -> None:
    named = {}
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE)
        found = NAMES.findall(code(path.read_text(encoding="utf-8")))
        if place.parts[0] != "tasks" and found:
            named[place.as_posix()] = found
    assert named.keys() <= ALLOWED.keys(), named


def test_no_branch_on_a_task() -> None:
    branch = re.compile(r"""\btask(?:_name)?\b[\]"')]* *(?:==|!=|in|not in) *[("'\[{]""")
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if not place.startswith(("tasks/", "part_checks/")):
            assert not branch.search(code(path.read_text(encoding="utf-8"))), place

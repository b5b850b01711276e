"""The property suite as a table: every choice of every part against the kinds of its tests.

python bench/parts_table.py [out=docs/results/parts.md] [processes=2]

Runs the suite once, a file at a time in as many processes of one thread, bound to as many cores.
Choices are found in conf/. A test counts for a choice that is among its parameters, or, in the
group's own files (tests/recipe/<group>/* and tests/recipe/test_<group>*.py), in its name, its lines
or those of a helper beside it. Exits with 1 where a test fails or a choice lacks a check that all
need.
"""

import contextlib
import inspect
import io
import os
import re
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from upgate.cli.arguments import read_options
from upgate.config.compose import PARTS, choices, compose
from upgate.run.provenance import git_state

REPO = Path(__file__).resolve().parents[1]
FILES = ("project/test_cards.py", "recipe/**/test_*.py")  # of tests/
NOT_OF_PARTS = "screen|fills_them|not_filled|reach_the_card"  # what fills the cards
Choice = tuple[str, str]  # group, name
EVERY = [(group, name) for group in PARTS for name in choices(group)]
OWN, GROUP, REST = "its own property", "its group's properties", "other"
KINDS = {  # column -> what its tests' names hold; the first that fits
    "engages, or the detector tells": "detector_tells|did_something|did_nothing|never_engages",
    "resumed bit for bit": r"goes_on|checkpoint|survives",
    "asked equals got": "yaml|knob|what_was_asked|asked_and_got|hands_out|rates_are_the_groups",
    "at no strength null": "at_no_strength",
    "trains, engagement finite": "a_choice_trains",
    "shifts no draw": "shifts_no_other_draw",
    "validation free of it": "validation_loss_is_free",
    "pairs": "a_pair_trains",
    "card's text": r"a_card_has|card_composes",
    "card's command run": "commands_of_cards_run",
}
COLUMNS = (OWN, GROUP, *KINDS)
NEEDED = set(COLUMNS) - {GROUP, "at no strength null"}


@dataclass(frozen=True)
class Ran:
    """One test: its file, function and kind, the choices that it is about, and how it ended."""

    file: str
    function: str
    kind: str
    choices: frozenset[Choice]
    passed: bool
    skipped: bool


class Recorder:
    """Pytest's plugin: the choices of a test are known when it is collected, its end later."""

    def __init__(self) -> None:
        self.about: dict[str, tuple[str, str, frozenset[Choice]]] = {}
        self.bad: set[str] = set()
        self.skipped: set[str] = set()
        self.ran: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if not re.search(NOT_OF_PARTS, item.originalname)]
        for item in items:
            if "commands_of_cards_run" in item.name:
                item.module.RUN[:] = EVERY  # the suite runs a sample
            self.about[item.nodeid] = item.path.stem, item.originalname, frozenset(about(item))

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.ran.add(report.nodeid)
        if report.failed:
            self.bad.add(report.nodeid)
        if report.skipped:
            self.skipped.add(report.nodeid)

    def results(self) -> Iterator[Ran]:
        for test, (file, function, choices_of) in self.about.items():
            kinds = [kind for kind, pattern in KINDS.items() if re.search(pattern, function)]
            kind = kinds[0] if kinds else REST
            passed = test in self.ran and test not in self.bad | self.skipped
            yield Ran(file, function, kind, choices_of, passed, test in self.skipped)


def about(item: Any) -> list[Choice]:
    """The choices that a test is about."""
    given = getattr(getattr(item, "callspec", None), "params", {})
    if "commands_of_cards_run" in item.name:
        return EVERY
    if {"group", "name"} <= given.keys():
        return [(given["group"], given["name"])]
    if "groups" in given:
        return [choice for choice in EVERY if choice[0] in given["groups"]]
    if "null_recipe" in item.name:
        recipe = compose(["recipe=traditional"])
        return [(group, recipe[group].get("name", "none")) for group in PARTS]
    own = [group for group in PARTS if is_own_file(item.path, group)]
    texts = list(map(str, given.values()))
    candidates = [choice for choice in EVERY if choice[0] in (own or PARTS)]
    return [choice for choice in candidates if names(item, choice, texts, bool(own))]


def is_own_file(path: Path, group: str) -> bool:
    """Whether a file of tests is about one group."""
    if path.parent.name != "recipe":
        return path.parent.name == group
    return path.stem.startswith(f"test_{group}")


def names(item: Any, choice: Choice, texts: list[str], in_own_file: bool) -> bool:
    """Whether a test names a choice in its parameters, the `texts`.

    Where the file is the group's, by the bare name too, and in the test's name and lines.
    """
    group, name = choice
    override = rf"\b{group}=\[?(\w+,)*{name}\b"
    if not in_own_file:
        return any(re.search(override, text) for text in texts)
    if any(re.search(rf"(?<![\w=]){name}(?![\w=])", text) for text in texts):
        return True
    function = item.originalname
    if re.search(rf"(^|_){name}s?(_|$)", function) and "_layers_" not in function:
        return True
    return bool(re.search(rf'"{name}"|{override}', "\n".join([*texts, lines(item)])))


def lines(item: Any) -> str:
    """The source of a test and of the functions of its file that it calls."""
    test, module = inspect.unwrap(item.function), item.module
    called = [vars(module).get(name) for name in test.__code__.co_names]
    functions = [value for value in called if inspect.isfunction(value)]
    helpers = [function for function in functions if function.__module__ == module.__name__]
    return "\n".join(inspect.getsource(function) for function in (test, *helpers))


def run(file: str) -> tuple[list[Ran], str]:
    """Run a file's tests in this process; returns pytest's output too where something failed."""
    import pytest
    import torch

    torch.set_num_threads(1)
    recorder, output = Recorder(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(
            ["-p", "no:cacheprovider", "-p", "no:xdist", file],
            plugins=[recorder],
        )
    return list(recorder.results()), output.getvalue() if code else ""


def suite(processes: int) -> list[Ran]:
    """All files, the longest first."""
    files = [str(path) for pattern in FILES for path in sorted((REPO / "tests").glob(pattern))]
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processes])
    tests: list[Ran] = []
    with get_context("spawn").Pool(processes) as pool:
        for of_file, output in pool.imap_unordered(run, files, chunksize=1):
            tests += of_file
            print(output, end="", flush=True)
    return tests


def make_cells(tests: list[Ran]) -> dict[tuple[str, Choice], list[Ran]]:
    """Tests by column and choice.

    What is no kind of its own is a property: the group's, where its cases are of all the group's
    choices.
    """
    covered: defaultdict[tuple[str, str], set[Choice]] = defaultdict(set)
    for ran in tests:
        covered[ran.file, ran.function] |= ran.choices
    cells: defaultdict[tuple[str, Choice], list[Ran]] = defaultdict(list)
    for ran in tests:
        for choice in ran.choices:
            others = {c for c in EVERY if c[0] == choice[0] and c[1] != "none"}
            of_all = len(others) > 1 and others <= covered[ran.file, ran.function]
            property_of = GROUP if of_all else OWN
            cells[property_of if ran.kind == REST else ran.kind, choice].append(ran)
    return cells


def cell(column: str, tests: list[Ran]) -> str:
    """How many tests passed, or what is missing."""
    if not tests:
        return "**missing**" if column in NEEDED else "–"
    failed = sum(not ran.passed and not ran.skipped for ran in tests)
    if failed:
        return f"**{failed} of {len(tests)} failed**"
    return str(sum(ran.passed for ran in tests))


HEAD = """# Every part against every kind of check

Made by `python bench/parts_table.py{words}`, {code}: {passed} tests passed, {failed} failed,
{skipped} were skipped, in {wall:.0f} s by the clock and {cpu:.0f} CPU seconds, in {processes}
processes of one thread on {processes} cores{load}.

A cell is the number of tests that passed; "missing" stands where a check that every choice needs is
not there. –: the choice has no knob that takes its strength away, or its group no property that all
share. What the columns hold:

- {own}: what its card in docs/parts claims, against PyTorch, NumPy or a closed form. {group}: what
  holds for all of a group.
- engages, or the detector tells: beside the null recipe it ends with other weights, or
  `had no effect` names it.
- resumed bit for bit: cut and taken up again, weights, rates and engagement are equal, on both
  tasks; some are cut within a window.
- asked equals got: its yaml is its function's; each knob is checked, refused by name, and held by
  the optimizer's groups; each with a search range changes the weights.
- at no strength null: with its strength taken away it is the null choice, bit for bit.
- pairs: one test for each two groups, in which every pair of choices trains or is refused in a
  sentence that names both.
- card's command run: in full, on little data. `make test` runs a sample of them; this table all.

| choice | {columns} |
|---|{dashes}"""


def make_page(tests: list[Ran], about_run: dict[str, Any]) -> tuple[str, bool]:
    """The table, and whether all tests passed and none is missing."""
    states = Counter("passed" if r.passed else "skipped" if r.skipped else "failed" for r in tests)
    counts = {state: states[state] for state in ("passed", "failed", "skipped")}
    titles = {"own": OWN, "group": GROUP, "columns": " | ".join(COLUMNS)}
    head = HEAD.format(**about_run, **counts, **titles, dashes="--:|" * len(COLUMNS))
    cells, rows = make_cells(tests), [head]
    for group, name in EVERY:
        numbers = [cell(column, cells.get((column, (group, name)), [])) for column in COLUMNS]
        rows.append(f"| [{group}={name}](../parts/{group}-{name}.md) | {' | '.join(numbers)} |")
    text = "\n".join(rows) + "\n"
    return text, not counts["failed"] and "**missing**" not in text


def describe_code() -> str:
    git = git_state()
    if not git:
        return "code not in a checkout"
    return f"code {git['sha'][:7]}{' with uncommitted changes' if git['diff'] else ''}"


def main(words: list[str]) -> None:
    options = read_options({"out": "docs/results/parts.md", "processes": "2"}, words)
    load, since, code = os.getloadavg()[0], time.perf_counter(), describe_code()
    tests = suite(int(options["processes"]))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    about_run = {
        "words": "".join(f" {word}" for word in words),
        "code": code,
        "wall": time.perf_counter() - since,
        "cpu": spent.ru_utime + spent.ru_stime,
        "processes": options["processes"],
        "load": f" (load {load:.1f} when it began)" if load > 0.5 else "",
    }
    text, complete = make_page(tests, about_run)
    Path(options["out"]).write_text(text, encoding="utf-8")
    print(text)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main(sys.argv[1:])

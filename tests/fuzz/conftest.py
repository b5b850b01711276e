"""After the properties: how many cases each was tried with, in this process or in its workers."""

from dataclasses import asdict
from typing import Any

import pytest

from helpers.fuzz import COUNTS, Count, add_counts, table_of_counts


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["fuzz"] = {name: asdict(one) for name, one in COUNTS.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: its counts are added to this process's own."""
    of_worker = getattr(node, "workeroutput", {}).get("fuzz", {})
    add_counts({name: Count(**one) for name, one in of_worker.items()})


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in table_of_counts():
        terminalreporter.write_line(line)

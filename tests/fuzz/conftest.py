"""After the properties: how many cases each was tried with."""

from typing import Any

from helpers.fuzz import table_of_counts


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in table_of_counts():
        terminalreporter.write_line(line)

"""What every command prints alike: tables that fit a terminal, failures, and how to go on."""

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


class Failure(Protocol):
    """A run that failed: its name, and its error in one line."""

    @property
    def name(self) -> str: ...
    @property
    def error(self) -> str: ...


def number(value: float | None, form: str = ".4f") -> str:
    """A number as a table shows it: nothing for None, `diverged` where it is not finite."""
    if value is None:
        return ""
    return format(value, form) if math.isfinite(value) else "diverged"


def new_table(title: str, *headings: str, left: int = 1) -> Table:
    """A table for 80 columns: the first `left` columns aligned left, the numbers right."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < left else "right", overflow="fold")
    return table


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Lines as they are: no markup is read, nothing is highlighted, nothing is wrapped."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_failures(console: Console, failed: Sequence[Failure]) -> None:
    """A row per failed run: its name and its error."""
    title = f"[red]{len(failed)} failed[/]; their tracebacks are artifacts of the runs in MLflow"
    table = new_table(title, "run", "error", left=2)
    for run in failed:
        table.add_row(Text(run.name), Text(run.error))
    console.print(table)


def confirm(console: Console, action: str = "go on") -> bool:
    """The user's answer to `action? [y/N]`; no where there is no terminal to ask at."""
    if not (console.is_terminal and sys.stdin.isatty()):
        return False
    return console.input(f"{action}? [y/N] ").strip().lower() in ("y", "yes")


def interrupted(console: Console) -> int:
    """Say that nothing is lost; return the exit code."""
    console.print("\ninterrupted; the same command goes on where this one stopped.")
    return 130


def declined(console: Console, command: str) -> int:
    """Say how to go on after a plan that the user declined; return the exit code."""
    message = f"nothing was trained; go on with: upgate {command} --yes ..., or {command}.yes=true"
    console.print(message, highlight=False, soft_wrap=True)
    return 0


def format_duration(seconds: float) -> str:
    """12 seconds, 3 minutes, 1.5 hours."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

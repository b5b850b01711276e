"""What every command prints alike: tables that fit a terminal, failures, and how to go on."""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST = 4  # characters that a folded column keeps


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


def counted(count: int, name: str) -> str:
    """`1 run`, `1,200 runs`: a number and the plural in s."""
    return f"{count:,} {name}{'s' * (count != 1)}"


def new_table(title: str, *headings: str, left: int = 1) -> Table:
    """A table for 80 columns: the first `left` columns aligned left, the numbers right."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < left else "right", overflow="fold")
    return table


def print_rows(
    console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], left: int
) -> None:
    """Print a `new_table` of many rows, by plain text: rich takes 2 ms for each row.

    Where the terminal is too narrow, the widest columns are folded.
    """
    if console.quiet:  # the rows do not go through it
        return
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    while sum(widths) + 2 * len(widths) > console.width and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    console.print(Text(title, "table.title"))
    head = "\n".join(_row_lines(headings, widths, left))
    console.out(f"\n{head}", style="table.header", highlight=False)
    console.out(f" {'─' * (sum(widths) + 2 * len(widths) - 2)}", highlight=False)
    for row in rows:
        print(*_row_lines(row, widths, left), sep="\n", file=console.file)
    console.out()


def _row_lines(row: Sequence[str], widths: Sequence[int], left: int) -> Iterator[str]:
    """The lines of a row: several where a cell does not fit."""
    columns = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    for cells in zip_longest(*columns, fillvalue=""):
        padded = []
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            padded.append(cell + space if i < left else space + cell)
        yield f" {'  '.join(padded)}"


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, cut between words, within them where one is too long."""
    if cell_len(text) <= width:
        return [text]
    first, *words = text.split(" ")
    lines = chop_cells(first, width)
    for word in words:
        if cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += chop_cells(word, width)
    return lines


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

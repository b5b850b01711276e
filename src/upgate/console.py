"""What every command prints alike: tables that fit a terminal, failures, and how to go on.

Messages are shown in the language of the terminal.
"""

import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Literal, Protocol

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.containers import Lines
from rich.table import Table
from rich.text import Text

from upgate.messages import Message, say, shown

WIDE, OPENING, CLOSING = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef", "（“", "，。；：、）！？”"
PIECES = re.compile(  # what a line is not cut in: a word, a Chinese character and its punctuation
    rf"\s*[{OPENING}]*(?:[{WIDE}]|[^\s{WIDE}{OPENING}{CLOSING}]+)[{CLOSING}]*|\s*\S"
)
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
    return format(value, form) if math.isfinite(value) else say("diverged")


def counted(count: int, name: str) -> Message:
    """`1 run`, `1,200 runs`. name: of what is counted, as keys of the translations have it."""
    return say(f"{'one' if count == 1 else 'many'}_{name}", n=f"{count:,}")


class Title(Text):
    """A table's title, which is cut between Chinese characters too; rich cuts at spaces alone."""

    def __init__(self, title: str) -> None:
        super().__init__(shown(title), "table.title")

    def wrap(self, console: Console, width: int, **_: Any) -> Lines:
        return Lines(Text(line, self.style) for line in _wrap(self.plain, width))


class PlainTable(Table):
    """A table whose cells are shown as they are: no markup is read in them."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        texts = [Text(shown(cell)) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*texts, **options)


def new_table(title: str, *headings: str, left: int = 1) -> PlainTable:
    """A table for 80 columns: the first `left` columns aligned left, the numbers right."""
    table = PlainTable(
        title=Title(title) if title else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for i, heading in enumerate(headings):
        justify: Literal["left", "right"] = "left" if i < left else "right"
        table.add_column(Text(shown(heading)), justify=justify, overflow="fold")
    return table


def print_rows(
    console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], left: int
) -> None:
    """Print a `new_table` of many rows, by plain text: rich takes 2 ms for each row.

    Where the terminal is too narrow, the widest columns are folded.
    """
    if console.quiet:  # the rows do not go through it
        return
    headings, rows = list(map(shown, headings)), [list(map(shown, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    while sum(widths) + 2 * len(widths) > console.width and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    console.print(Title(title))
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
    """Lines of at most `width` cells, cut between words and Chinese characters.

    Within a word where it is too long.
    """
    if cell_len(text) <= width:
        return [text]
    first, *pieces = PIECES.findall(text)
    lines = chop_cells(first, width)
    for piece in pieces:
        if cell_len(lines[-1]) + cell_len(piece) <= width:
            lines[-1] += piece
        else:
            lines += chop_cells(piece.lstrip(), width)
    return lines


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Lines as they are: no markup is read, nothing is highlighted, nothing is wrapped."""
    for line in lines:
        console.print(shown(line), highlight=False, markup=False, soft_wrap=True)


def show_failures(console: Console, failed: Sequence[Failure]) -> None:
    """A row per failed run: its name and its error."""
    table = new_table("", say("run"), say("error"), left=2)
    table.title = Text(shown(say("failed_title", count=len(failed))), "red")
    for run in failed:
        table.add_row(run.name, run.error)
    console.print(table)


def confirm(console: Console, action: str | None = None) -> bool:
    """The user's answer to `action? [y/N]`, or to `go on? [y/N]`; no where no terminal can ask."""
    if not (console.is_terminal and sys.stdin.isatty()):
        return False
    question = say("question", action=action or say("go_on"))
    return console.input(shown(question), markup=False).strip().lower() in ("y", "yes")


def interrupted(console: Console) -> int:
    """Say that nothing is lost; return the exit code."""
    print_lines(console, ["", say("interrupted")])
    return 130


def declined(console: Console, command: str) -> int:
    """Say how to go on after a plan that the user declined; return the exit code."""
    print_lines(console, [say("declined", command=command)])
    return 0


def format_duration(seconds: float) -> Message:
    """12 seconds, 3 minutes, 1.5 hours."""
    if seconds < 90:
        return say("seconds", n=f"{seconds:.0f}")
    if seconds < 5400:
        return say("minutes", n=f"{seconds / 60:.0f}")
    return say("hours", n=f"{seconds / 3600:.1f}")

"""A table printed as plain text is what rich makes of it."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from upgate.console import new_table, print_rows

HEADINGS = ("run", "name", "data", "score", "twin")
ROWS = [
    ("0a", "upgraded seed=0", "[sp500]", "0.1234", ""),
    ("0b", "traditional seed=12 optimizer=adam", "房间很好", "diverged", "1.0000"),
    ("0c", "upgraded regularization=[locked,word] clip=norm 自定义 " + "x" * 45, "", "0.5", "2.1"),
]


def lines(file: io.StringIO) -> list[str]:
    return [line.rstrip() for line in file.getvalue().rstrip().splitlines()]


@pytest.mark.parametrize("width", [160, 78, 60])  # all fits; the name is folded, even in words
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=len)
def test_rows_are_printed_as_rich_prints_a_table(width: int, rows: list[tuple[str, ...]]) -> None:
    ours, theirs = io.StringIO(), io.StringIO()
    print_rows(Console(file=ours, width=width), "3 runs", HEADINGS, rows, left=3)
    table = new_table("3 runs", *HEADINGS, left=3)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=theirs, width=width).print(table)
    assert lines(ours) == lines(theirs)


@pytest.mark.parametrize("width", [30, 45])
def test_a_narrow_terminal_gets_narrow_columns_and_all_text(width: int) -> None:
    file = io.StringIO()
    print_rows(Console(file=file, width=width), "3 runs", HEADINGS, ROWS, left=3)
    assert max(map(cell_len, file.getvalue().splitlines())) <= width
    assert file.getvalue().count("x") == 45

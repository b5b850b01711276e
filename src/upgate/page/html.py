"""HTML and SVG elements from plain values; text is always escaped."""

from collections.abc import Iterable
from html import escape
from typing import Union

VOID = ("meta", "link", "br", "circle", "line", "path", "rect", "polygon", "col")


class Html(str):
    """Finished markup; any other string is text and is escaped."""


Child = Union[str, int, float, None, Iterable["Child"]]  # noqa: UP007 (a name in quotes takes no |)


def el(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """One element.

    `class_` and `aria_label` mean class and aria-label; True is an attribute without a value,
    None and False leave it out.
    """
    opening = f"<{name}"
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        opening += f" {attribute}" if value is True else f' {attribute}="{_attribute(value)}"'
    return Html(f"{opening}/>" if name in VOID else f"{opening}>{join(children)}</{name}>")


def join(child: Child) -> Html:
    """Markup of a child, or of children in a row; None is nothing."""
    if child is None or child == "":
        return Html("")
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int | float):
        return Html(escape(str(child)))
    return Html("".join(map(join, child)))


def _attribute(value: str | float) -> str:
    """Coordinates to a tenth of a pixel; more digits only cost bytes."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else escape(str(value))


def table(
    columns: Iterable[Child],
    rows: Iterable[Iterable[Child]],
    numbers_from: int = 1,
    **attributes: str,
) -> Html:
    """A table; the first cell of a row is its heading.

    Cells from column `numbers_from` on are aligned right.
    """

    def cell(name: str, j: int, content: Child, **more: str) -> Html:
        return el(name, content, class_="n" if j >= numbers_from else None, **more)

    def row(cells: Iterable[Child]) -> Html:
        heading, *rest = cells
        data = [cell("td", j, content) for j, content in enumerate(rest, start=1)]
        return el("tr", cell("th", 0, heading, scope="row"), data)

    head = el("tr", [cell("th", j, heading, scope="col") for j, heading in enumerate(columns)])
    content = el("table", el("thead", head), el("tbody", map(row, rows)), **attributes)
    return el("div", content, class_="scroll", tabindex="0")

"""HTML and SVG from plain values: text is escaped because there is no other way to put it in."""

from collections.abc import Iterable
from html import escape
from typing import Union

VOID = ("meta", "link", "br", "circle", "line", "path", "rect", "polygon", "col")


class Html(str):
    """Markup that is finished; any other string is text and gets escaped."""


Child = Union[str, int, float, None, Iterable["Child"]]  # noqa: UP007 (a name in quotes takes no |)


def el(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """One element. `class_` and `aria_label` mean class and aria-label; True is a bare attribute, None and False leave it out."""
    given = {
        key.rstrip("_").replace("_", "-"): value
        for key, value in attributes.items()
        if value not in (None, False)
    }
    opened = "".join(
        [
            f"<{name}",
            *(
                f" {key}" if value is True else f' {key}="{_number(value)}"'
                for key, value in given.items()
            ),
        ]
    )
    return Html(f"{opened}/>" if name in VOID else f"{opened}>{join(children)}</{name}>")


def join(child: Child) -> Html:
    if child is None or child == "":
        return Html("")
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int | float):
        return Html(escape(str(child)))
    return Html("".join(map(join, child)))


def _number(value: str | float | bool | None) -> str:
    """Coordinates to a tenth: a hundredth of a pixel is only bytes."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else escape(str(value))


def table(
    columns: Iterable[Child],
    rows: Iterable[Iterable[Child]],
    numbers_from: int = 1,
    **attributes: str,
) -> Html:
    """A table whose first cell of a row is its heading; cells from `numbers_from` on are set flush right."""

    def cell(name: str, j: int, content: Child, **more: str) -> Html:
        return el(name, content, class_="n" if j >= numbers_from else None, **more)

    head = el("tr", [cell("th", j, heading, scope="col") for j, heading in enumerate(columns)])
    body = [
        el(
            "tr",
            [cell("td", j, c) if j else cell("th", j, c, scope="row") for j, c in enumerate(row)],
        )
        for row in rows
    ]
    return el(
        "div",
        el("table", el("thead", head), el("tbody", body), **attributes),
        class_="scroll",
        tabindex="0",
    )

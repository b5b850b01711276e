"""A picture with the text and the table that say the same, and how figures are put on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import pandas as pd

from upgate.page.html import Child, Html, el, join, table
from upgate.page.translations import Translator
from upgate.stats.estimate import Interval

MAX_ROWS = 30  # of a picture; its table has all
TEXT_ONLY = 9  # `numbers_from` of a table without numbers: a column beyond the last

RunTables = Mapping[tuple[int, int], pd.DataFrame]  # (seed, fold) -> a table of that run


class Tables(Protocol):
    """Where the tables of runs come from, such as curve, forecasts or predictions."""

    def runs(self, arm: str, name: str, fold: int | None = None) -> RunTables:
        """The table `name` of each run of an arm; of one fold where a fold is given."""
        ...


@dataclass(frozen=True)
class Figure:
    """A picture, a sentence that describes it (`label`, for screen readers), and its numbers."""

    title: str
    picture: Html
    label: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Child]]
    note: str = ""


def render_figure(figure: Figure, w: Translator) -> Html:
    """The picture with its note above it and its numbers folded below it; no title."""
    return el(
        "figure",
        el("figcaption", note(figure.note)) if figure.note else None,
        el("div", figure.picture, role="img", aria_label=figure.label, class_="picture"),
        el("details", el("summary", w("numbers")), table(figure.columns, figure.rows)),
    )


def section(title: str, *content: Child) -> Html:
    """A section, or nothing where there is no content."""
    return el("section", el("h2", title), content) if join(content) else Html("")


def note(text: str) -> Html:
    return el("p", text, class_="note")


def code_block(*lines: str) -> Html:
    return el("pre", el("code", "\n".join(lines)), tabindex="0")


def folded(title: str, *content: Child) -> Html:
    """Content that a reader opens."""
    return el("details", el("summary", title), content)


def figure_section(
    figure: Figure | None, w: Translator, *more: Child, title_suffix: str = ""
) -> Html:
    """A section of one figure; nothing where there is no figure."""
    if figure is None:
        return Html("")
    return section(f"{figure.title}{title_suffix}", render_figure(figure, w), more)


def gallery(title: str, text: str, figures: Sequence[Figure | None], w: Translator) -> Html:
    """A section of figures of one kind side by side; figures that are None are left out."""
    shown = [titled_figure(figure, w) for figure in figures if figure]
    if not shown:
        return Html("")
    return section(title, note(text), el("div", shown, class_="columns"))


def titled_figure(figure: Figure, w: Translator) -> Html:
    return el("div", el("h3", figure.title), render_figure(figure, w))


def without_note(figure: Figure) -> Figure:
    return replace(figure, note="")


@dataclass(frozen=True)
class Comparison:
    """The recipe that a report draws in full and the baseline: what a task's sections show.

    The defaults mean that the study has no such numbers.
    """

    baseline: str
    arm: str
    tables: Tables
    dates: Sequence[str] = ()  # test dates of all folds, in order
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)  # recipe -> loss per date
    ratios: Mapping[str, float] = field(default_factory=dict)  # item -> the arm's loss / baseline's
    ratio: Interval | None = None  # the same for all items together

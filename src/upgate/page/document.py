"""A page as one HTML text, and a picture as one SVG file: no network, no script."""

from collections.abc import Sequence
from importlib.resources import files

from upgate.page.html import Html, el, join
from upgate.page.translations import Translator

SVG = "http://www.w3.org/2000/svg"


def document(title: str, sections: Sequence[Html], w: Translator) -> str:
    """A whole page with its style inside."""
    meta = [
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", href="data:,"),  # or the browser requests one
    ]
    content = [
        el("head", meta, el("title", title), el("style", stylesheet())),
        el("body", el("main", sections)),
    ]
    return "\n".join(["<!doctype html>", el("html", content, lang=w.html_language), ""])


def stylesheet() -> Html:
    return Html(files("upgate.page").joinpath("page.css").read_text(encoding="utf-8"))


def svg_file(picture: Html) -> str:
    """A picture as a file, with the page's colours and background.

    A legend is left out: it is not SVG.
    """
    svg = str(picture).partition("</svg>")[0] + "</svg>"
    background = el("rect", width="100%", height="100%", style="fill:var(--paper)")
    opening, _, rest = svg.partition(">")
    opening = opening.replace("<svg", f'<svg xmlns="{SVG}"', 1)
    return f"{opening}>{join([el('style', stylesheet()), background])}{rest}\n"

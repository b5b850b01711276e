"""The report in a real browser: no network, no errors, no sideways scrolling.

Colours are readable in light, dark and print.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.explained import explained_page
from helpers.report import EVIL, Tables, result
from upgate.report.article import article_page
from upgate.report.study import study_page as page
from upgate.study.facts import check_claims
from upgate.study.load import Experiment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium here; apt-get install chromium"
)
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed; make dev does it"
    )
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real pages by name."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "stock": page(result(), Tables()),
        "pair": page(result(design="pair", diverged=True), Tables(tickers=505)),
        "text": page(result("sentiment"), Tables()),
        "chinese": page(result("sentiment"), Tables(), "zh"),
        "evil": page(result("sentiment", source=EVIL), Tables(evil=True)),
        "article": article(),
        "run": explained_page(),
    }
    for name, html in made.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


def article() -> str:
    studies = {name: result(design="pair") for name in ("level", "return", "volatility")}
    asked = Experiment(
        "stock-article-1a2b3c4d",
        "stock",
        [],
        dict.fromkeys(studies, ""),
        ["upgate study experiment=article task=stock"],
    )
    return article_page(asked, studies, check_claims(studies), dict.fromkeys(studies, Tables()))


class Seen:
    """A page that is open, and everything that it complained of or asked for."""

    def __init__(
        self, browser: Any, path: Path, size: dict[str, int], scheme: str = "light"
    ) -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
        self.tab = self.context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("requestfailed", lambda request: self.faults.append(request.url))
        self.tab.on("console", lambda message: self.faults.append(message.text))
        self.tab.on("pageerror", lambda error: self.faults.append(str(error)))
        self.tab.on("dialog", lambda dialog: self.faults.append(dialog.message))
        self.tab.goto(path.as_uri())

    def __enter__(self) -> Any:
        return self.tab

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.fixture(scope="module")
def desktop(browser: Any, pages: dict[str, Path]) -> Iterator[Callable[[str], Seen]]:
    """Each page on a light desktop, opened once for all tests: they leave it as they found it."""
    opened: dict[str, Seen] = {}

    def look(name: str) -> Seen:
        if name not in opened:
            opened[name] = Seen(browser, pages[name], DESKTOP)
        return opened[name]

    yield look
    for seen in opened.values():
        seen.context.close()


GROUND = ("background-", "")
NAMES = ["stock", "pair", "text", "chinese", "evil", "article", "run"]


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_the_network_for_nothing_and_complains_of_nothing(
    desktop: Callable[[str], Seen], pages: dict[str, Path], name: str
) -> None:
    seen = desktop(name)
    seen.tab.wait_for_load_state("networkidle")
    assert seen.faults == []
    assert pages[name].as_uri() in seen.asked
    assert all(url == pages[name].as_uri() or url.startswith("data:") for url in seen.asked)
    assert seen.tab.locator("script").count() == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_phone_never_scrolls_sideways(browser: Any, pages: dict[str, Path], name: str) -> None:
    """As the page comes, and with all its details open."""
    outside = """[...document.querySelectorAll('main *')]
        .filter(e => !e.closest('.scroll') && !e.closest('svg')
        && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    with Seen(browser, pages[name], PHONE) as tab:
        for details in ("nothing", "details"):
            tab.evaluate(f"document.querySelectorAll('{details}').forEach(d => d.open = true)")
            assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], details
            assert tab.evaluate(outside) == [], details


def test_text_is_large_enough_to_read(
    browser: Any, pages: dict[str, Path], desktop: Callable[[str], Seen]
) -> None:
    sizes = """[...document.querySelectorAll('svg[viewBox] text')].map(t =>
        parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a)"""
    with Seen(browser, pages["stock"], PHONE) as phone:
        for tab in (phone, desktop("stock").tab):
            found = tab.evaluate(sizes)
            assert len(found) > 20 and 10 <= min(found) <= max(found) <= 17


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["stock", "text"])
def test_text_stands_out_from_its_ground(
    browser: Any, pages: dict[str, Path], name: str, scheme: str
) -> None:
    """WCAG AA: 4.5 for text, 3 for the lines and dots of the two recipes."""
    with Seen(browser, pages[name], DESKTOP, scheme) as tab:
        paper = colour(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        for selector in (
            ".sentence",
            ".note",
            ".said",
            "summary",
            ".chip.helps",
            ".chip.hurts",
            ".chip.undecided",
            "td",
            "th",
        ):
            assert contrast(colour(style(tab, selector, "color")), paper) >= 4.5, selector
        for selector in (".mark.arm:not(.hollow)", ".mark.base", ".line.arm"):
            assert contrast(colour(style(tab, selector, "stroke")), paper) >= 3, selector
        assert (luminance(paper) > 0.9) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_word_is_read_on_the_deepest_colour(
    browser: Any, pages: dict[str, Path], scheme: str
) -> None:
    with Seen(browser, pages["run"], DESKTOP, scheme) as tab:
        tab.evaluate(
            "document.querySelectorAll('.marked span').forEach(e => {"
            "e.style.setProperty('--share', '50%')})"
        )
        for side in ("for", "against"):
            ground, ink = (style(tab, f".marked .{side}", f"{name}color") for name in GROUND)
            shares = [255 * x for x in colour(ground)]  # color(srgb r g b), from 0 to 1
            assert contrast(shares, colour(ink)) >= 4.5
            assert contrast(shares, colour(style(tab, "body", "background-color"))) > 1.5


def test_print_is_on_white_even_from_dark(browser: Any, pages: dict[str, Path]) -> None:
    with Seen(browser, pages["stock"], DESKTOP, "dark") as tab:
        tab.emulate_media(media="print", color_scheme="dark")
        assert luminance(
            colour(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        ) == pytest.approx(1)
        assert luminance(colour(style(tab, ".sentence", "color"))) < 0.05
        assert tab.pdf(format="A4").startswith(b"%PDF")


def test_recipes_differ_by_more_than_colour(desktop: Callable[[str], Seen]) -> None:
    tab = desktop("stock").tab
    assert style(tab, ".legend .line.base", "stroke-dasharray") != style(
        tab, ".legend .line.arm", "stroke-dasharray"
    )
    assert style(tab, ".mark.base.hollow", "fill") != style(tab, ".mark.arm:not(.hollow)", "fill")
    chips = tab.locator("section .chip").all_inner_texts()
    assert {text.split()[0] for text in chips} == {"▲", "▼", "=", "?"}


def test_a_screen_reader_gets_every_picture_in_words(desktop: Callable[[str], Seen]) -> None:
    tab = desktop("text").tab
    pictures = tab.get_by_role("img")
    assert pictures.count() >= 7
    assert all(picture.get_attribute("aria-label") for picture in pictures.all())
    assert tab.locator("main svg:not([aria-hidden]):not([role=img] svg):not(.key)").count() == 0


def test_markup_in_data_is_shown_as_text(desktop: Callable[[str], Seen]) -> None:
    tab = desktop("evil").tab
    assert tab.get_by_text(EVIL).first.is_visible()
    assert tab.title() == "Study sentiment-parts-1a2b3c4d"


def style(tab: Any, selector: str, name: str) -> str:
    return str(
        tab.locator(selector).first.evaluate(f"e => getComputedStyle(e).getPropertyValue('{name}')")
    )


def colour(css: str) -> list[float]:
    return [float(x) for x in re.findall(r"[\d.]+", css)[:3]]


def luminance(rgb: list[float]) -> float:
    linear = [
        x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in (v / 255 for v in rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)

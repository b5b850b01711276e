"""The site of the documentation: it is built strictly, loads nothing from elsewhere, and both
languages can be searched.
"""

import os
import re
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from helpers.project import REPO

LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=\"([^\"]*)")
pytest.importorskip("material", reason="the extra docs is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    not (REPO / "mkdocs.yml").exists(), reason="no mkdocs.yml: not a checkout"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A link, an anchor or an entry of the navigation that leads nowhere, and a
    page that the navigation leaves out, end the build.
    """
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # read when the theme is imported
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(REPO / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


def test_every_page_is_built_loads_nothing_from_elsewhere_and_has_its_language(site: Path) -> None:
    pages = [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md")]
    assert len(pages) > 90
    for page in pages:
        address = page.relative_to(REPO).with_suffix("")
        built = address.parent if address.name == "README" else address
        text = (site / built / "index.html").read_text(encoding="utf-8")
        language = "zh" if page.name.endswith(".zh-CN.md") else "en"
        assert f'<html lang="{language}"' in text, page
        loaded = LOADED.findall(text)
        assert len(loaded) > 3, page
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], page


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_both_languages_are_searched_without_a_network(address: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        words = ("clipping zclip", "波动率", "波龘")  # the last character is on no page
        english, chinese, nothing = (search(page, address, text) for text in words)
        browser.close()
    assert f"{address}/docs/parts/clip-zclip/" in english
    assert f"{address}/README.zh-CN/" in chinese and len(chinese) < 8
    assert not nothing
    assert asked and all(url.startswith((address, "data:")) for url in asked)


def search(page: Any, address: str, text: str) -> set[str]:
    """The pages that the site's search finds."""
    page.goto(address)
    page.click(".md-search__input")
    page.fill(".md-search__input", text)
    page.dispatch_event(".md-search__input", "keyup")
    page.locator(".md-search-result__meta", has_text="matching").wait_for()
    links = page.locator(".md-search-result__item > a").evaluate_all("all => all.map(a => a.href)")
    return {link.partition("?")[0] for link in links}

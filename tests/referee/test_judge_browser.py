"""The page of a judgement in a real browser: no network, no errors, no sideways scrolling."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import upgate
from upgate.referee.answer import Judgement

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium here; apt-get install chromium"
)
EVIL = "<script>alert(1)</script>"
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed; make dev does it"
    )
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def judgement(**words: str) -> Judgement:
    """Three groups on three data sets; one group collapses in a seed."""
    rows = [
        (group, seed, data, 0.8 + seed % 5 / 40 + by + (seed * 7 + k) % 4 / 300 * k)
        for k, (group, by) in enumerate({"lstm": 0.0, "gru": 0.02, EVIL: -0.001}.items())
        for seed in range(8)
        for data in ("reviews", "a data set of a long name", "prices")
    ]
    frame = pd.DataFrame(rows, columns=["model", "seed", "data", "accuracy"])
    frame.loc[(frame["model"] == EVIL) & (frame["seed"] == 3), "accuracy"] = 0.1
    if "over" not in words:
        frame = frame[frame["data"] == "reviews"]
    made = upgate.judge(frame, metric="accuracy", group="model", baseline="lstm", **words)
    assert isinstance(made, Judgement)
    return made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "paired": judgement(pair="seed").page(),
        "over": judgement(over="data").page("zh"),
        "unpaired": judgement(pair="none").page(),
        "notebook": f"<!doctype html><title>x</title>{judgement(pair='seed')._repr_html_()}",
    }
    for name, html in made.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["paired", "over", "unpaired", "notebook"])
def test_a_page_is_quiet_and_fits(
    browser: Any, pages: dict[str, Path], name: str, size: str
) -> None:
    context = browser.new_context(viewport=SIZES[size], offline=True)
    tab, faults, asked = context.new_page(), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("dialog", lambda dialog: faults.append(dialog.message))
    tab.goto(pages[name].as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert faults == [] and all("://" not in url or url.startswith("file:") for url in asked)
    assert tab.locator("script").count() == 0 and tab.get_by_text(EVIL).count() > 0
    if name != "notebook":  # a notebook's cell scrolls by itself
        assert tab.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
        assert tab.locator(".chip").first.is_visible()
    context.close()

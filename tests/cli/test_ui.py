"""`upgate ui`: it says where to look once there is something to see; no process stays behind."""

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from helpers.run import train
from helpers.store import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def read_headings(address: str) -> list[str]:
    """The columns of MLflow's table of runs in a browser; none where there is no browser."""
    if CHROMIUM is None:
        return []
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 2400, "height": 900})
        page.goto(address)
        page.locator("[role=columnheader]").first.wait_for(timeout=60_000)
        page.get_by_text("1 matching run").wait_for(timeout=60_000)
        return list(page.locator("[role=columnheader]").all_inner_texts())


@pytest.mark.long
def test_pages_are_open_when_they_are_named_and_end_with_it(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    assert train(root, "trainer.max_epochs=1", "data.start=2016")[0] == 0
    port = free_port()
    code = "import sys; from upgate.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "ui", f"root={root}", f"port={port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ui:
        watch = threading.Timer(120, ui.kill)
        watch.start()
        assert ui.stdout is not None
        first, second = ui.stdout.readline(), ui.stdout.readline()
        assert first.startswith(f"MLflow UI: http://127.0.0.1:{port}/")
        assert second.startswith(f"stock: http://127.0.0.1:{port}/")
        headings = read_headings(second.partition(" ")[2].strip())
        assert not headings or {"difference/test/mse_ratio", "optimizer"} <= set(headings)
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
        ui.send_signal(signal.SIGTERM)
        assert ui.wait(20) == 130
        watch.cancel()
    left = subprocess.run(["pgrep", "-f", f"port {port}"], capture_output=True, check=False)
    assert left.stdout == b""

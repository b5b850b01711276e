"""`upgate ui`: it says where to look once there is something to see; no process stays behind."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from helpers.run import train
from helpers.store import free_port


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
        assert second.startswith(f"stock: http://127.0.0.1:{port}/") and "orderByKey=" in second
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
        ui.send_signal(signal.SIGTERM)
        assert ui.wait(20) == 130
        watch.cancel()
    left = subprocess.run(["pgrep", "-f", f"port {port}"], capture_output=True, check=False)
    assert left.stdout == b""

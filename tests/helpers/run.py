"""Small real trainings for tests: four years of the embedded S&P 500, or a few hundred generated
reviews; a tiny LSTM.
"""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from upgate.cli.train import train_command

SMALL = [
    "task=stock",
    "data.start=2014",
    "task.window=10",
    "model.hidden_size=8",
    "model.num_layers=2",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "threads=1",
]
SMALL_TEXT = [
    "task=sentiment",
    "data.train=300",
    "data.test=100",
    "task.embedding=8",
    "model.hidden_size=8",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "threads=1",
]


def small(*words: str) -> list[str]:
    """The words of a small training, those given first."""
    given = {word.partition("=")[0] for word in words}
    default = SMALL_TEXT if "task=sentiment" in words else SMALL
    return [*words, *(word for word in default if word.partition("=")[0] not in given)]


def places(root: Path) -> list[str]:
    return [f"root={root}", f"cache={root.parent / 'prepared'}"]


def train(root: Path, *words: str, sweep: bool = False) -> tuple[int, str]:
    """Run `upgate train` in this process; return its exit code and what it said."""
    console = Console(file=io.StringIO(), width=100)
    code = train_command(small(*words, *places(root)), sweep, None, console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


def start(root: Path, *words: str) -> subprocess.Popen[str]:
    """Start `upgate train` as a process of its own."""
    command = [sys.executable, "-m", "upgate.cli", "train", *small(*words, *places(root))]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=root.parent
    )


def results(root: Path) -> dict[str, dict[str, Any]]:
    """Every result.json below a root, by the run's name."""
    found = [json.loads(path.read_text()) for path in sorted(root.glob("*/result.json"))]
    return {result["name"]: result for result in found}


def numbers(result: dict[str, Any]) -> dict[str, float]:
    """A result's numbers without its clock's."""
    return {k: v for k, v in result["metrics"].items() if "seconds" not in k}


def half_way(root: Path) -> bool:
    """One run is finished and another has passed an epoch."""
    done = list(root.glob("*/result.json"))
    return bool(done) and any(
        path.parent not in {d.parent for d in done} for path in root.glob("*/last.ckpt")
    )

"""Small real studies for tests: a few recipes, seeds and folds of a tiny LSTM."""

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from helpers.run import places, small
from upgate.report.tune import search_files
from upgate.study.command import study_command


def study(root: Path, *words: str, yes: bool = True, width: int = 80) -> tuple[int, str]:
    """Run `upgate study` in this process; return its exit code and what it said."""
    console = Console(file=io.StringIO(), width=width)
    code = study_command(tiny(root, *words), None, yes, console, search_files)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


def tiny(root: Path, *words: str) -> list[str]:
    more = (
        []
        if any(word.startswith("trainer.max_epochs") for word in words)
        else ["trainer.max_epochs=1"]
    )
    if not any(word.startswith(("study.rates", "experiment=")) for word in words):
        more.append("study.rates=given")  # tests that count runs; test_study_rates.py searches them
    return small(*words, *more, *places(root))


def results(root: Path) -> dict[str, dict[str, Any]]:
    """Every study's result.json below a root, by the study's id."""
    return {
        path.parent.name: json.loads(path.read_text())
        for path in root.glob("studies/*/result.json")
    }


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    """A result's numbers without its clock's, and without words that name places."""
    kept = {key: value for key, value in result.items() if key not in ("study", "cost", "seconds")}
    if kept["attribution"]:
        kept["attribution"] = {
            key: value for key, value in kept["attribution"].items() if key != "seconds"
        }
    kept["controls"] = [
        {key: value for key, value in control.items() if key != "words"}
        for control in kept["controls"]
    ]
    clock = ("second", "memory", "time")
    kept["engagement"] = {
        arm: {key: value for key, value in found.items() if not any(word in key for word in clock)}
        for arm, found in result["engagement"].items()
    }
    return kept

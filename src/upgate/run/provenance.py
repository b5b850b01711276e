"""Where a result came from: the command, the code and the packages."""

import json
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from upgate.store.connect import redact

PACKAGES = (
    "upgate",
    "torch",
    "lightning",
    "hydra-core",
    "mlflow",
    "torchmetrics",
    "optuna",
    "numpy",
    "pandas",
    "arch",
    "yfinance",
)


def command_line() -> str:
    """The command as it can be typed again, without the passwords of its URIs."""
    return " ".join(redact(word) for word in map(shlex.quote, ["upgate", *sys.argv[1:]]))


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def git_state() -> dict[str, str]:
    """The commit of the code that runs and what differs from it; empty outside a checkout."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return {}
    return {"sha": _git(root, "rev-parse", "HEAD"), "diff": _git(root, "diff", "HEAD")}


def provenance() -> tuple[dict[str, str], dict[str, str]]:
    """What a command's run in the store says of itself: tags, and texts by their file's name."""
    git = git_state()
    texts = {"versions.json": json.dumps(versions(), indent=1)} | (
        {"uncommitted.diff": git["diff"]} if git.get("diff") else {}
    )
    return {"upgate.command": command_line(), "upgate.git": git.get("sha", "")}, texts


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""

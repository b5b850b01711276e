"""Where a result came from: the command, the code and the packages."""

import getpass
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from upgate.messages import WORD
from upgate.store.connect import redact_argument

KEEP_DIFF = "UPGATE_KEEP_DIFF"  # in the environment, 1: the store keeps uncommitted.diff
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
    """The command as it can be typed again, without the passwords of its URIs.

    And without the language of the terminal, which is part of no run.
    """
    words = [word for word in sys.argv[1:] if not word.startswith(WORD)]
    return shlex.join(redact_argument(word) for word in ["upgate", *words])


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def user() -> str:
    """Who runs the command; a container's number may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def source_tags(commit: str) -> dict[str, str]:
    """MLflow's own tags of who and what made a run, by which its pages show it."""
    git = {"mlflow.source.git.commit": commit} if commit else {}
    return {
        "mlflow.user": user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": command_line(),
        **git,
    }


def code_commit() -> str:
    """The commit of the code that runs; empty outside a checkout."""
    root = Path(__file__).parents[3]
    return _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else ""


def git_state() -> dict[str, str]:
    """The commit of the code that runs and what differs from it; empty outside a checkout."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return {}
    return {"sha": code_commit(), "diff": _git(root, "diff", "HEAD")}


def provenance() -> tuple[dict[str, str], dict[str, str]]:
    """What a command's run in the store says of itself: tags, and texts by their file's name.

    The difference to the commit may hold secrets: the tag has its hash, and it is kept on request.
    """
    git = git_state()
    diff = git.get("diff", "")
    changed = hashlib.sha256(diff.encode()).hexdigest()[:16] if diff else ""
    tags = {
        **source_tags(git.get("sha", "")),
        "upgate.command": command_line(),
        "upgate.git": git.get("sha", ""),
        "upgate.changed": changed,
    }
    texts = {"versions.json": json.dumps(versions(), indent=1)}
    if diff and os.environ.get(KEEP_DIFF) == "1":
        texts["uncommitted.diff"] = diff
    return tags, texts


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""

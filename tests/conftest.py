"""Shared by all tests. What they import from each other is in helpers/."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("helpers")  # so that their assertions show values as well

signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a shell's background job ignores Ctrl-C, and so would all that it starts


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reaches a developer's own MLflow server, or the one of another test.

    Lightning's MLFlowLogger sets the variable for its whole process.
    """
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: it holds an environment that is ready, as far as make looks, and no
    store.
    """
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / ".ready").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path

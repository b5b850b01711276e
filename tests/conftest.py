"""Shared by all tests."""

import pytest


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches a developer's own MLflow server."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

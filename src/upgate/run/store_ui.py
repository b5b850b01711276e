"""MLflow's own pages on our store: the command that serves them, and links that open where one wants to look."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

MODE = "workflowType=machine_learning"  # else a dialog of the GenAI mode swallows the clicks
SETTINGS = ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true")  # 2 processes instead of 10


def ui_command(uri: str, artifacts: Path, port: int) -> list[str]:
    """Serve a database on this machine only: MLflow asks nobody for a password."""
    mlflow = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--default-artifact-root"]
    return ["env", *SETTINGS, *mlflow, str(artifacts), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def ui_url(base: str, experiment: str | None, runs: Iterable[str]) -> str:
    """These runs beside each other, else the charts of an experiment, else the list of experiments."""
    if experiment is None:
        return f"{base}/#/experiments?{MODE}"
    if not (ids := json_list(runs)):
        return f"{base}/#/experiments/{experiment}/runs?{MODE}&compareRunsMode=CHART"
    return f"{base}/#/compare-runs?runs={ids}&experiments={json_list([experiment])}&{MODE}"


def json_list(words: Iterable[str]) -> str:
    """A list as the pages' addresses want it; nothing for an empty one."""
    words = list(words)
    return quote(json.dumps(words, separators=(",", ":"))) if words else ""

"""MLflow's own pages on our store: the command that serves them, and links that open where one wants to look."""

import json
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from upgate.errors import UserError

MODE = "workflowType=machine_learning"  # else a dialog of the GenAI mode swallows the clicks
SETTINGS = (
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false",
    "MLFLOW_DISABLE_TELEMETRY=true",
)  # 2 processes instead of 10


def ui_command(uri: str, artifacts: Path, port: int) -> list[str]:
    """Serve a database on this machine only: MLflow asks nobody for a password. Raises UserError for a port that is taken."""
    check_port(port)
    where = f"MLFLOW_BACKEND_STORE_URI={uri}"  # not a word of the server's: whoever is on the machine reads those, a password too
    mlflow = [sys.executable, "-m", "mlflow", "ui", "--default-artifact-root", str(artifacts)]
    return [
        "env",
        *SETTINGS,
        where,
        *mlflow,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def check_port(port: int) -> None:
    """Raise where MLflow, half a page of traceback later, could not listen."""
    if not 0 < port < 65536:
        raise UserError(f"port={port} is not a port; give one of 1024 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # else one that was closed a minute ago counts as taken
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            told = f"port={port} is taken, perhaps by a page like this that is open already"
            raise UserError(
                f"{told} ({error.strerror}); give another, as in port={port % 65535 + 1}"
            ) from None


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

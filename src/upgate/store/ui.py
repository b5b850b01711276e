"""MLflow's own UI on the store: the command that serves it, and links to its pages."""

import json
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from upgate.errors import UserError
from upgate.store.texts import say

MODE = "workflowType=machine_learning"  # else a dialog of the GenAI mode swallows the clicks
VIEW = "upgate"  # the name of a view of MLflow's table of runs: columns, filter, order
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"  # of an experiment; MLflow reads JSON there
# 2 processes instead of 10
SETTINGS = ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true")


def server_command(uri: str, artifacts: Path, port: int) -> list[str]:
    """The command that serves a database on this machine only: MLflow asks for no password.

    Raises UserError for a port that is taken.
    """
    check_port(port)
    # in the environment, not an argument: every user of the machine can read those, passwords too
    backend = f"MLFLOW_BACKEND_STORE_URI={uri}"
    mlflow = [sys.executable, "-m", "mlflow", "ui", "--default-artifact-root", str(artifacts)]
    listen = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return ["env", *SETTINGS, backend, *mlflow, *listen]


def check_port(port: int) -> None:
    """Raise UserError where MLflow could not listen; it would fail with a long traceback."""
    if not 0 < port < 65536:
        raise UserError(say("no_port", port=port))
    with socket.socket() as probe:
        # else a port that was closed a minute ago counts as taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                say("port_taken", port=port, cause=f"{error.strerror}", other=port % 65535 + 1)
            ) from None


def runs_view(score: str, higher_is_better: bool, params: Sequence[str]) -> str:
    """What a table of trainings shows: a value of the tag `VIEW_TAG`, as MLflow's pages write it.

    Beside the name the metric `score` and its difference to the twin's, the best of it first, the
    validation part's, and params. Parent runs, which have no score of their own, are left out.
    """
    difference = f"metrics.`difference/{score}`"
    validation = score.replace("test/", "val/", 1)
    metrics = [difference, f"metrics.`{score}`", f"metrics.`{validation}`"]
    shown = [*metrics, *(f"params.`{name}`" for name in params), "attributes.`Dataset`"]
    view = {
        "searchFilter": "tags.`upgate.kind` = 'run' and tags.`upgate.role` = 'run'",
        "orderByKey": difference,
        "orderByAsc": not higher_is_better,
        "selectedColumns": shown,
        "columnOrder": shown,
        "columnWidths": {**dict.fromkeys(metrics, 130), difference: 200},  # pixels
    }
    return json.dumps(view)


def runs_url(base: str, experiment: str) -> str:
    """Address of an experiment's trainings as its tag `VIEW_TAG` says."""
    return f"{base}/#/experiments/{experiment}/runs?{MODE}&viewStateShareKey={VIEW}"


def ui_url(base: str, experiment: str | None, runs: Iterable[str]) -> str:
    """Address that compares these runs, else an experiment's charts, else all experiments."""
    if experiment is None:
        return f"{base}/#/experiments?{MODE}"
    if not (ids := json_list(runs)):
        return f"{base}/#/experiments/{experiment}/runs?{MODE}&compareRunsMode=CHART"
    return f"{base}/#/compare-runs?runs={ids}&experiments={json_list([experiment])}&{MODE}"


def json_list(ids: Iterable[str]) -> str:
    """A list as the addresses of MLflow's pages take it; empty for an empty one."""
    items = list(ids)
    return quote(json.dumps(items, separators=(",", ":"))) if items else ""

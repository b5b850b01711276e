"""A run of one's own in anybody's MLflow store: written only when asked."""

import os
import re
from collections.abc import Mapping
from typing import Any

from upgate.errors import UserError
from upgate.store.connect import SETTINGS, first_line, redact, sqlite_path
from upgate.store.foreign import DATABASES, open_client
from upgate.store.texts import say

FORBIDDEN = re.compile(r"[^\w\-. :/]")  # in MLflow's names
LONGEST = 5000  # characters of a value


def check_writable(uri: str) -> None:
    """Raises UserError for a file that MLflow could not write to; a server answers when asked."""
    if not uri.startswith("sqlite:"):
        return
    path = sqlite_path(uri)
    if path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise UserError(say("write_not_writable", path=str(path)))


def write_run(
    uri: str,
    experiment: str,
    near: str,
    name: str,
    texts: Mapping[str, Mapping[str, str]],
    metrics: Mapping[str, float],
    files: Mapping[str, str],
) -> str:
    """Log one finished run; its id. Raises UserError where the store takes none.

    experiment: made where it is not there, its artifacts beside those of `near`, the location of
    another one. texts: params and tags. files: artifacts by name.
    """
    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    try:
        client = open_client(uri)
        number = _experiment(client, uri, experiment, near)
        run = client.create_run(number, run_name=name).info.run_id
        try:
            _fill(client, run, texts, metrics, files)
        except Exception:
            client.set_terminated(run, "FAILED")
            raise
        client.set_terminated(run)
    except UserError:
        raise
    except Exception as error:  # MLflow's, the database's, the disk's, the network's
        raise UserError(say("write_failed", uri=redact(uri), cause=first_line(error))) from None
    return str(run)


def _fill(
    client: Any,
    run: str,
    texts: Mapping[str, Mapping[str, str]],
    metrics: Mapping[str, float],
    files: Mapping[str, str],
) -> None:
    for key, value in texts["params"].items():
        client.log_param(run, _run_name(key), value[:LONGEST])
    for key, value in texts["tags"].items():
        client.set_tag(run, _run_name(key), value[:LONGEST])
    for key, metric in metrics.items():
        client.log_metric(run, _run_name(key), metric)
    for key, text in files.items():
        client.log_text(run, text, key)


def _experiment(client: Any, uri: str, name: str, near: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    beside = None  # a server, and a folder of runs, choose the place themselves
    if uri.startswith(DATABASES) and "/" in near:
        beside = f"{near.rpartition('/')[0]}/{name}"
    return str(client.create_experiment(name, beside))


def _run_name(text: str) -> str:
    return FORBIDDEN.sub("_", text)

"""`upgate runs` and `upgate ui`: what the store holds, for people and for programs."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.text import Text

from upgate.console import new_table, number
from upgate.errors import UserError
from upgate.run.result import (
    TwinResult,
    replace_non_finite,
    run_folder,
    score_differences,
    scores,
)
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.names import find_facts

STATUSES = ("FINISHED", "FAILED", "KILLED", "RUNNING")


@dataclass(frozen=True)
class ListedRun:
    """A stored run with its scores, its twin's and the difference; `--json` prints the fields."""

    run_id: str
    key: str
    name: str
    task: str
    recipe: str
    changes: list[str]
    status: str
    diverged: bool
    start: str  # ISO 8601, to the second
    seconds: float
    data: str
    folder: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    twin: TwinResult | None
    difference: dict[str, float]


def runs_command(options: Mapping[str, str], as_json: bool) -> int:
    """List the runs of the store, newest first, after what a kill left RUNNING is corrected."""
    status = options.get("status", "").upper() or None
    if status is not None and status not in STATUSES:
        raise UserError(
            f"status={options['status']} is not a choice; there is {', '.join(STATUSES)}"
        )
    store = open_store(options.get("root"))
    store.reconcile()
    listed = list_runs(store, options.get("task"), options.get("recipe"), status)
    if as_json:
        values = [asdict(run) for run in listed]
        print(json.dumps(replace_non_finite(values), indent=1, ensure_ascii=False))
    else:
        show(listed, Console())
    return 0


def list_runs(
    store: Store, task: str | None, recipe: str | None, status: str | None
) -> list[ListedRun]:
    """The runs of a task, recipe and status, None for all, beside their twins."""
    rows = [row for row in store.rows(task, recipe, status) if not row.is_parent]
    twins = {row.key: row for row in reversed(rows) if row.status == "FINISHED"}
    missing = {_twin_key(row) for row in rows} - {"", *twins}
    twins |= store.finished(missing)
    return [_list_run(row, twins.get(_twin_key(row)), store) for row in rows]


def _twin_key(row: Row) -> str:
    return row.tags.get("upgate.twin_key", "")


def _list_run(row: Row, twin: Row | None, store: Store) -> ListedRun:
    return ListedRun(
        run_id=row.run_id,
        key=row.key,
        name=row.name,
        task=row.task,
        recipe=row.tags.get("upgate.recipe", ""),
        changes=json.loads(row.tags.get("upgate.changes", "[]")),
        status=row.status,
        diverged=row.diverged,
        start=row.start.isoformat(timespec="seconds"),
        seconds=round(row.seconds, 3),
        data=row.tags.get("upgate.data", ""),
        folder=str(run_folder(store.root, row.key)),
        params=row.params,
        metrics=row.metrics,
        twin=TwinResult(twin.key, twin.run_id, scores(twin.metrics)) if twin else None,
        difference=score_differences(row.metrics, twin.metrics) if twin else {},
    )


def show(listed: Sequence[ListedRun], console: Console) -> None:
    """Print a row per run, and what the scores are."""
    headings = ("run", "name", "status", "task", "score", "twin", "difference")
    table = new_table(f"{len(listed)} runs, newest first", *headings, left=4)
    tasks = {name: find_facts(name) for name in sorted({run.task for run in listed})}
    for run in listed:
        task = tasks[run.task]
        key = task.metric.key if task else ""
        difference = run.difference.get(key)
        table.add_row(
            run.key[:8],
            Text(run.name),
            "diverged" if run.diverged else run.status.lower(),
            run.params.get("task.target", run.task),
            number(run.metrics.get(key)),
            number(run.twin.metrics.get(key) if run.twin else None),
            "" if difference is None else f"{difference:+.4f}",
        )
    console.print(table)
    for name, task in tasks.items():
        phrase = task.metric.phrase if task else "not known here; give the task's --config-dir"
        console.print(f"score of {name}: {phrase}", highlight=False)
    console.print("next: make ui", highlight=False)


def ui_command(options: Mapping[str, str]) -> int:
    """Open MLflow's pages on the same store, until Ctrl-C."""
    port = options.get("port", "5000")
    if not port.isdigit():
        raise UserError(f"port={port} must be a whole number")
    store = open_store(options.get("root"))
    store.reconcile()
    command = store.ui_command(int(port))
    print(f"MLflow UI: {store.ui_url(port=int(port))}   (Ctrl-C ends it)", flush=True)
    return subprocess.run(command, check=False).returncode

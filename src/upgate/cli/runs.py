"""`upgate runs` and `upgate ui`: what the store holds, for people and for programs."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from upgate.console import new_table, number
from upgate.errors import UserError
from upgate.run.result import difference, replace_non_finite, scores
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.registry import find_task

STATUSES = ("FINISHED", "FAILED", "KILLED", "RUNNING")


def runs_command(asked: Mapping[str, str], as_json: bool) -> int:
    """List the runs of the store, newest first; statuses are true: what a kill left RUNNING is set right first."""
    status = asked.get("status", "").upper() or None
    if status is not None and status not in STATUSES:
        raise UserError(f"status={asked['status']} is not a choice; there is {', '.join(STATUSES)}")
    store = open_store(asked.get("root"))
    store.reconcile()
    rows = [
        row
        for row in store.rows(asked.get("task"), asked.get("recipe"), status)
        if not row.is_parent
    ]
    twins = {row.key: row for row in reversed(rows) if row.status == "FINISHED"}
    twins |= store.finished({row.tags.get("upgate.twin_key", "") for row in rows} - {"", *twins})
    listed = [listing(row, twins.get(row.tags.get("upgate.twin_key", "")), store) for row in rows]
    if as_json:
        print(json.dumps(replace_non_finite(listed), indent=1, ensure_ascii=False))
    else:
        show(listed, Console())
    return 0


def listing(row: Row, twin: Row | None, store: Store) -> dict[str, Any]:
    """One run as plain values: its scores, its twin's and the difference."""
    paired = (
        {"key": twin.key, "run_id": twin.run_id, "metrics": scores(twin.metrics)} if twin else None
    )
    return {
        "run_id": row.run_id,
        "key": row.key,
        "name": row.name,
        "task": row.task,
        "recipe": row.tags.get("upgate.recipe", ""),
        "changes": json.loads(row.tags.get("upgate.changes", "[]")),
        "status": row.status,
        "diverged": row.diverged,
        "start": row.start.isoformat(timespec="seconds"),
        "seconds": round(row.seconds, 3),
        "data": row.tags.get("upgate.data", ""),
        "folder": str(store.root / row.key[:16]),
        "params": row.params,
        "metrics": row.metrics,
        "twin": paired,
        "difference": difference(row.metrics, twin.metrics) if twin else {},
    }


def show(listed: list[dict[str, Any]], console: Console) -> None:
    headings = ("run", "name", "status", "task", "score", "twin", "difference")
    table = new_table(f"{len(listed)} runs, newest first", *headings, left=4)
    tasks = {name: find_task(name) for name in sorted({run["task"] for run in listed})}
    for run in listed:
        task = tasks[run["task"]]
        main = task.metric.key if task else ""
        theirs = run["twin"]["metrics"].get(main) if run["twin"] else None
        gap = run["difference"].get(main)
        status = "diverged" if run["diverged"] else run["status"].lower()
        score, target = (
            number(run["metrics"].get(main)),
            run["params"].get("task.target", run["task"]),
        )
        table.add_row(
            run["key"][:8],
            Text(run["name"]),
            status,
            target,
            score,
            number(theirs),
            "" if gap is None else f"{gap:+.4f}",
        )
    console.print(table)
    for name, task in tasks.items():
        phrase = task.metric.phrase if task else "not known here; give the task's --config-dir"
        console.print(f"score of {name}: {phrase}", highlight=False)
    console.print("next: make ui", highlight=False)


def ui_command(asked: Mapping[str, str]) -> int:
    """Open MLflow's pages on the same store, until Ctrl-C."""
    port = asked.get("port", "5000")
    if not port.isdigit():
        raise UserError(f"port={port} must be a whole number")
    store = open_store(asked.get("root"))
    store.reconcile()
    command = store.ui_command(int(port))
    print(f"MLflow UI: {store.ui_url(port=int(port))}   (Ctrl-C ends it)", flush=True)
    return subprocess.run(command, check=False).returncode

"""What a worker does: it takes a run as plain values, and gives its result as plain values.

A task holds: job (`Job.plain`), twin (its result, or None), parent (an id of MLflow's), root and uri (the store), shelf (where the
data lie). The answer holds `result`, or why there is none: `refused`, a sentence for the user; `raised`, a traceback; `interrupted`.
"""

import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.console import Console

from upgate.errors import UserError
from upgate.execution.executor import Task
from upgate.execution.run_job import Interrupted, run_job
from upgate.run.datasets import Datasets
from upgate.run.job import Fetch, Job
from upgate.run.result import Result
from upgate.run.spec import NUMERICS
from upgate.run.table_cache import TableCache
from upgate.store.store import Store


def task_for(job: Job, twin: Result | None, parent: str, store: Store, shelf: TableCache) -> Task:
    """A job as it travels."""
    places = {"root": str(store.root), "uri": store.uri, "shelf": shelf.place}
    return {
        "job": job.plain(),
        "twin": asdict(twin) if twin else None,
        "parent": job.parent or parent,
        **places,
    }


def doer(fetch: Fetch, store: Store, console: Console) -> Callable[[Task], Task]:
    """How to do tasks with this store, these data and this console."""

    def do(task: Task) -> Task:
        twin = Result(**task["twin"]) if task["twin"] else None
        return {
            "result": asdict(
                run_job(Job.of(task["job"]), twin, fetch, store, task["parent"], console)
            )
        }

    return do


@lru_cache(maxsize=4)
def settled(root: str, uri: str, shelf: str) -> Callable[[Task], Task]:
    """How this process does tasks of a command; its store and its data are opened once. The driver has made the store ready."""
    place = TableCache(shelf)
    library = Datasets(place, place.prepared(Path(root)))
    return doer(library.fetch, Store(Path(root), uri), Console(quiet=True, force_terminal=False))


def work(task: Task) -> dict[str, Any]:
    """Do a task in a process that was made for it."""
    try:
        if (theirs := task["job"]["spec"]["numerics"]) != NUMERICS:
            raise UserError(
                f"a worker has other code than the command (numerics {NUMERICS}, not {theirs}); install the same upgate"
            )
        return settled(task["root"], task["uri"], task["shelf"])(task)
    except Interrupted:
        return {"interrupted": True}
    except UserError as error:
        return {"refused": str(error)}
    except Exception:  # the boundary of a process: it must answer
        return {"raised": traceback.format_exc()}

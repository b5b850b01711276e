"""`upgate report run=...`: which words or days made a run's and its twin's forecasts, as a page."""

import shlex
from collections.abc import Mapping
from functools import partial

import torch

from upgate.cli.predict import CHECKPOINT, fetch_file, find_run
from upgate.cli.texts import say
from upgate.errors import UserError
from upgate.messages import spoken
from upgate.model.integrated_gradients import STEPS
from upgate.output import output_path, write_output
from upgate.report.run import run_page
from upgate.report.texts import report_translator
from upgate.run.checkpoint import open_checkpoint
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.base import StoredRun
from upgate.tasks.registry import get_task

FILE = "run.html"


def run_report_command(options: Mapping[str, str]) -> int:
    """Write the page and print its path. Raises UserError where there is no such run, or twin."""
    w = report_translator(options.get("report.language", spoken()))
    path = output_path(options.get("out", FILE))
    store = open_store(options.get("root"))
    row = find_run(store, options["run"])
    twin = find_twin(store, row)
    torch.set_num_threads(1)  # 64 rows are too few to share
    run, other = (read_run(store, one) for one in (row, twin))
    words = {**options, "run": row.key[:8]}
    command = shlex.join(["upgate", "report", *(f"{key}={value}" for key, value in words.items())])
    sections = get_task(row.task).explain(run, other, w)
    write_output(path, run_page(row, twin, sections, STEPS, command, w))
    print(f"{row.key[:8]}: {path}")
    return 0


def read_run(store: Store, row: Row) -> StoredRun:
    """Raises UserError for a damaged checkpoint."""
    fetch = partial(fetch_file, store, row)
    return StoredRun(open_checkpoint(fetch(CHECKPOINT))[1], fetch)


def find_twin(store: Store, row: Row) -> Row:
    """The finished twin of a run. Raises UserError where there is none, or it is the run itself."""
    key = row.tags.get("upgate.twin_key", "")
    about = f"run {row.key[:8]}, {row.name},"
    if key in ("", row.key):
        raise UserError(say("no_twin", about=about))
    for other in store.rows(task=row.task):
        if other.key == key and other.status == "FINISHED" and not other.diverged:
            return other
    raise UserError(say("twin_unfinished", about=about, key=key[:8]))

"""`upgate predict`: what a stored run says of new data, preprocessing included."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console

from upgate.console import new_table, number
from upgate.errors import UserError, did_you_mean
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.registry import get_task

OWN = ("run", "out", "root")
SHOWN = 60  # characters of a text in the table; the csv has all of it
ROWS = 50


def predict_command(words: Sequence[str]) -> int:
    """run=<latest, a run id or the start of a key> [out=file.csv] and the task's own words for the data."""
    own = {key: value for key, _, value in (word.partition("=") for word in words) if key in OWN}
    rest = [word for word in words if word.partition("=")[0] not in OWN]
    for word in words:
        if (
            not word.partition("=")[1]
            or sum(other.partition("=")[0] == word.partition("=")[0] for other in words) > 1
        ):
            raise UserError(f"{word} cannot be read; write key=value, each key once")
    store = open_store(own.get("root"))
    row = find(store, own.get("run", "latest"))
    task = get_task(row.task)
    check(rest, task.predict_keys, row)
    fetch = partial(fetched, store, row)
    frame = task.predict(
        rest, torch.load(fetch("best.ckpt"), map_location="cpu", weights_only=True), fetch
    )
    if "out" in own:
        write(frame, Path(own["out"]))
    else:
        show(frame, row)
    return 0


def check(words: Sequence[str], keys: Sequence[str], row: Row) -> None:
    """Raise for a word that this run's task does not know."""
    for word in words:
        key = word.partition("=")[0]
        if not any(key == known or key.startswith(f"{known}.") for known in keys):
            there = (*OWN, *keys)
            raise UserError(
                f"unknown key {key} for a run of task={row.task}{did_you_mean(key, there)}"
            )


def find(store: Store, wanted: str) -> Row:
    """The newest finished run that was asked for itself (not as a twin), or the one of that id or key."""
    rows = [row for row in store.rows(status="FINISHED") if not row.is_parent]
    if wanted == "latest":
        rows = [row for row in rows if row.tags.get("upgate.role") == "run"]
    else:
        rows = [
            row
            for row in rows
            if row.run_id == wanted or (len(wanted) >= 4 and row.key.startswith(wanted))
        ]
    if not rows:
        raise UserError(f"run={wanted} is not a finished run of this store; upgate runs lists them")
    return rows[0]


def fetched(store: Store, row: Row, name: str) -> Path:
    """A file of a run: from its folder, or from the store where it was trained on another machine."""
    folder = store.root / row.key[:16]
    return folder / name if (folder / name).exists() else store.artifact(row.run_id, name, folder)


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write the csv whole or not at all."""
    if not path.parent.exists():
        raise UserError(f"out={path}: there is no folder {path.parent}")
    partial_path = path.with_name(path.name + ".partial")
    frame.to_csv(partial_path, index=False, date_format="%Y-%m-%d")
    partial_path.replace(path)
    print(f"{len(frame)} predictions written to {path}")


def show(frame: pd.DataFrame, row: Row) -> None:
    headings = [str(column).replace("_", " ") for column in frame]
    table = new_table(f"prediction by {row.name} ({row.key[:8]})", *headings, left=2)
    for values in frame.head(ROWS).itertuples(index=False):
        table.add_row(*(said(value) for value in values))
    console = Console()
    console.print(table, markup=False)
    if len(frame) > ROWS:
        console.print(
            f"and {len(frame) - ROWS:,} more; out=file.csv writes all of them", highlight=False
        )


def said(value: Any) -> str:
    if isinstance(value, str):
        return value if len(value) <= SHOWN else value[: SHOWN - 1] + "…"
    if hasattr(value, "year"):
        return f"{value:%Y-%m-%d}"
    return (
        str(value) if isinstance(value, int) else number(value, ".2f" if abs(value) >= 1 else ".5f")
    )

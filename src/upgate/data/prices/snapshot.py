"""Downloaded prices, kept once in a file with its sha256.

A snapshot is a parquet file whose name holds its own hash, and a json note, named by the request,
that points to it. The note is replaced last and in one step, so an interrupted download leaves the
old snapshot, or none, but never half of one. Adjusted prices may differ between two downloads (a
dividend moves all earlier prices), so nothing is downloaded again unless `refresh` says so.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from upgate.data.prices.reader import to_period
from upgate.data.texts import say
from upgate.errors import UserError
from upgate.files import hash_file, is_intact, write_atomic, write_text

Request = dict[str, Any]  # tickers, a sorted list, start, end and what else decides the prices
# Rows; a ticker with fewer is a failed answer (Yahoo then often sends today's price alone).
MIN_ROWS = 5
OFFLINE = re.compile("resolve|DNSError|Connection|[Tt]imeout|timed out|SSLError|ProxyError")


def load_snapshot(
    source: str,
    request: Request,
    folder: Path | str,
    refresh: bool,
    download: Callable[[Request, Path], pd.DataFrame],
) -> tuple[Path, str]:
    """The snapshot of a request to a source, and the day of its download.

    Where there is none, or with `refresh`, it is downloaded. download: the request and its note to
    rows. Raises UserError, also for a snapshot that was altered.
    """
    note = Path(folder).expanduser() / f"{name_snapshot(source, request)}.json"
    if refresh or not note.exists():
        save_snapshot(download(request, note), note, request)
    return verified(note)


def name_snapshot(source: str, request: Request) -> str:
    """A request's name: its tickers without `^=&.`, unsafe in file names, and a hash."""
    tickers = "-".join(re.sub(r"[^A-Z0-9]+", "", ticker) for ticker in request["tickers"])
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return f"{source}-{tickers[:40]}-{digest[:8]}"


def last_day(request: Request, today: date) -> date:
    """The last day to ask for: the request's, at most yesterday, for today's bar is not done."""
    end, yesterday = to_period(request["end"], "end"), today - timedelta(days=1)
    return min(end.end_time.date(), yesterday) if end else yesterday


def way_out(note: Path) -> str:
    """What is left to someone whose download failed."""
    if note.exists():
        day = read_note(note)["downloaded"]
        return say("snapshot_of", day=day)
    source = note.name.partition("-")[0]
    snapshots = sorted(note.parent.glob(f"{source}-*.parquet"))
    if snapshots:
        return say("use_snapshot", path=str(snapshots[-1]))
    return say("use_embedded")


def save_snapshot(rows: pd.DataFrame, note: Path, request: Request) -> None:
    """Write the snapshot, then its note, each completely or not at all. Raises UserError."""
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = note.with_name(f"{note.stem}-{digest[:8]}.parquet")
    values = {"file": path.name, "sha256": digest, "downloaded": f"{date.today()}", **request}
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: file.write(buffer.getvalue()))
        write_text(note, json.dumps(values, indent=1) + "\n")
    except OSError as error:
        raise UserError(
            say("snapshot_unwritable", path=str(path), cause=f"{error.strerror or error}")
        ) from error


def read_note(note: Path) -> dict[str, str]:
    """The snapshot's file name, its sha256 and the day of its download. Raises UserError."""
    try:
        values = json.loads(note.read_text()) if is_intact(note) else {}
        return {key: str(values[key]) for key in ("file", "sha256", "downloaded")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(say("note_damaged", note=str(note))) from error


def verified(note: Path) -> tuple[Path, str]:
    """The snapshot's path and the day of its download. Raises UserError for an altered one."""
    values = read_note(note)
    path, day = note.with_name(values["file"]), values["downloaded"]
    if not path.exists() or hash_file(path) != values["sha256"]:
        raise UserError(say("snapshot_altered", path=str(path), day=day))
    return path, day

"""`upgate predict`: a stored run's predictions for new data, preprocessing included."""

import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd
import yaml
from rich.console import Console

from upgate.cli.path import describe_path, find_path, join_path, path_columns, path_title
from upgate.cli.texts import say
from upgate.console import new_table, number, print_lines
from upgate.errors import UserError, did_you_mean
from upgate.files import has_hash, write_atomic
from upgate.messages import shown
from upgate.output import output_path, write_output
from upgate.run.checkpoint import open_checkpoint
from upgate.store.open import open_store
from upgate.store.record import Row, kept_hash
from upgate.store.store import Store
from upgate.tasks.base import Fetch
from upgate.tasks.figures import interval_levels, save_figure
from upgate.tasks.names import find_facts, get_facts
from upgate.tasks.registry import get_task

CHECKPOINT, CONFIG = "best.ckpt", "config.yaml"
LARGEST_CONFIG = 1 << 20  # bytes
OPTIONS = ("run", "out", "root")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # all but tab and line feed
PICTURES = (".png", ".svg", ".pdf")
BOUND = re.compile(r"(low|high|coverage)_(\d+)")  # the columns of an interval
MAX_TEXT = 60  # characters of a text in the table; the csv has all of it
MAX_ROWS = 50  # of the table


class Prediction(NamedTuple):
    """rows: the runs; several of a path, which has the past before it. frame: what they predict."""

    rows: list[Row]
    frame: pd.DataFrame
    past: pd.DataFrame | None = None


def predict_command(overrides: Sequence[str]) -> int:
    """Predict with a stored run and print a table, or write a csv; return the exit code.

    overrides: run=<latest, a run id or the start of a key>, out=file.csv, root=... and the task's
    own keys for the data. Of a path, out=file.png is its picture. Raises UserError.
    """
    values = parse_pairs(overrides)
    path = output_path(values["out"]) if "out" in values else None
    told = predict_rows(overrides)
    if path is not None and path.suffix.lower() in PICTURES:
        write_picture(told, path)
    elif path is not None:
        write_csv(told.frame, path)
    else:
        show_table(told)
    single = told.past is None
    about = describe_run(told.rows[0], told.frame) if single else describe_path(told.rows)
    print(shown(about), file=sys.stderr)
    return 0


def predict_rows(overrides: Sequence[str]) -> Prediction:
    """What the run that these overrides name predicts, or the path that it is of.

    Raises UserError.
    """
    values = parse_pairs(overrides)
    store = open_store(values.get("root"))
    data = [word for word in overrides if word.partition("=")[0] not in OPTIONS]
    row = find_run(store, values.get("run", "latest"), data)
    check_predict_keys(data, get_task(row.task).predict_keys, row)
    fetch = partial(fetch_file, store, row)
    path = get_task(row.task).path
    if path is None or path.key not in values:
        return Prediction([row], predict_checkpoint(fetch(CHECKPOINT), data, fetch))
    data.remove(f"{path.key}={values[path.key]}")
    own = open_checkpoint(fetch(CHECKPOINT))[1]
    rows = find_path(store, row, path, own["hyper_parameters"]["spec"], values[path.key])
    checkpoints = [
        own if one.key == row.key else open_checkpoint(fetch_file(store, one, CHECKPOINT))[1]
        for one in rows
    ]
    frames, past = path.predict(data, checkpoints, fetch)
    return Prediction(rows, join_path(rows, frames), past)


def write_picture(told: Prediction, path: Path) -> None:
    """Write the picture of a path. Raises UserError for one run's prediction."""
    task = get_task(told.rows[0].task)
    if task.path is None or told.past is None:
        raise UserError(say("no_picture", path=path.name))
    save_figure(task.path.draw(told.frame, told.past), path)
    print(shown(say("drawn", path=str(path))))


def predict_checkpoint(path: Path, data: Sequence[str], fetch: Fetch) -> pd.DataFrame:
    """The predictions of kept weights, also of those that somebody's own Trainer saved.

    data: overrides that name them; fetch: a file of the same run. Raises UserError.
    """
    task, checkpoint = open_checkpoint(path)
    return task.predict(data, checkpoint, fetch)


def parse_pairs(overrides: Sequence[str]) -> dict[str, str]:
    """Key -> value. Raises UserError for a word without `=`, and for a key that occurs twice."""
    values: dict[str, str] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals or key in values:
            raise UserError(say("unreadable_pair", word=word))
        values[key] = value
    return values


def check_predict_keys(
    overrides: Sequence[str], keys: Sequence[str], row: Row, options: Sequence[str] = OPTIONS
) -> None:
    """Raise UserError for a key that this run's task does not have."""
    for key in unknown_keys(overrides, keys):
        hint = did_you_mean(key, (*options, *keys))
        raise UserError(say("unknown_key_of_task", key=key, task=row.task, hint=hint))


def unknown_keys(overrides: Sequence[str], known: Sequence[str]) -> list[str]:
    """The keys of the words that are none of these, nor below one."""
    keys = [word.partition("=")[0] for word in overrides]
    return [key for key in keys if not any(f"{key}.".startswith(f"{one}.") for one in known)]


def find_run(store: Store, wanted: str, words: Sequence[str] = ()) -> Row:
    """The finished run of that id or key; for `latest` the newest that fits the words.

    That is one which a person asked for by itself: of `train`, or the winner of `tune`; not a twin,
    nor an arm or control of a study, unless there is nothing else. Raises UserError.
    """
    rows = store.rows()
    ended = [row for row in rows if row.status == "FINISHED" and not row.diverged]
    trained = [row for row in ended if not row.is_parent]
    if wanted != "latest":
        trained = [row for row in trained if row.is_named(wanted)]
    else:
        trained = [row for row in trained if is_main(row)]
        tasks = {name for name in {row.task for row in trained} if _takes(name, words)}
        trained = [row for row in trained if row.task in tasks] or trained
        studies = {row.run_id for row in rows if row.is_parent and "upgate.study" in row.tags}
        trained.sort(key=lambda row: row.parent in studies)  # stable: the newest stay first
    if not trained:
        raise UserError(say("not_finished", wanted=wanted))
    return trained[0]


def is_main(row: Row) -> bool:
    """Whether a run is one that was asked for: no twin, and no trial of a search."""
    return row.tags.get("upgate.role") == "run" and row.params.get("split.closed") != "True"


def _takes(task: str, words: Sequence[str]) -> bool:
    """Whether a task's predictions take the keys of these words."""
    return find_facts(task) is not None and not unknown_keys(words, get_task(task).predict_keys)


def fetch_file(store: Store, row: Row, name: str) -> Path:
    """A file of a run: from its folder, or from the store if another machine trained it.

    Raises UserError where neither is what was trained.
    """
    folder = store.root / row.key[:16]
    if name == CONFIG and not (folder / name).exists():
        return fetch_foreign_config(store, row, folder)
    return store.file(row.run_id, name, folder, kept_hash(row, name))


def fetch_foreign_config(store: Store, row: Row, folder: Path) -> Path:
    """The configuration of a run that was trained elsewhere, under a name of its own.

    Raises UserError where it names files: they were the other machine's, and what came from
    elsewhere chooses no file of this one.
    """
    path = folder / f"elsewhere-{CONFIG}"
    with TemporaryDirectory() as temporary:
        fetched = store.artifact(row.run_id, CONFIG, Path(temporary))
        if fetched.stat().st_size > LARGEST_CONFIG:
            raise UserError(say("config_too_large", name=CONFIG, key=row.key[:16]))
        content = fetched.read_bytes()
        if not has_hash(fetched, [wanted] if (wanted := kept_hash(row, CONFIG)) else []):
            raise UserError(say("damaged_config", name=CONFIG, key=row.key[:16]))
    stored = yaml.safe_load(content)
    data = stored.get("data", {}) if isinstance(stored, dict) else {}
    if data.get("path") or data.get("folder", "data") != "data":
        raise UserError(say("trained_elsewhere", key=row.key[:16]))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: file.write(content))
    return path


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the csv. Raises UserError for a place that cannot be written."""
    safe = frame.apply(lambda column: column.map(harmless_cell))
    text = safe.to_csv(index=False, date_format="%Y-%m-%d")
    write_output(path, text)
    print(shown(say("written", n=len(frame), path=str(path))))


def harmless_cell(value: Any) -> Any:
    """A text without control characters, and with ' before what a spreadsheet takes for a formula.

    See CSV injection at OWASP; a number stays a number.
    """
    if not isinstance(value, str):
        return value
    text = CONTROL.sub(" ", value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def describe_run(row: Row, frame: pd.DataFrame) -> str:
    """What the predicting run is, was trained on, and was worth on its own test part.

    With the share of truths there that intervals like those of the predictions held.
    """
    metric = get_facts(row.task).metric
    source = row.tags.get("upgate.source") or say("of_older_version")
    about = say(
        "about_run",
        key=row.key[:8],
        name=row.name,
        source=source,
        label=metric.label,
        score=number(row.metrics.get(metric.key)),
    )
    for level in interval_levels(frame):
        if f"test/coverage_{level}" in row.metrics:
            share = f"{row.metrics[f'test/coverage_{level}']:.1%}"
            about = say("with_interval", about=about, level=level, share=share)
    return about


def show_table(told: Prediction) -> None:
    row, frame = told.rows[0], told.frame
    title: str = say("predictions", name=row.name, key=row.key[:8])
    if told.past is not None:
        title, frame = path_title(row, frame), path_columns(frame)
    elif len(frame) and "days_ahead" in frame:  # the same in all rows, and 80 columns are few
        days = int(frame["days_ahead"].iloc[0])
        title = say("one_day_ahead" if days == 1 else "days_ahead", title=title, days=days)
        frame = frame.drop(columns="days_ahead")
    table = new_table(title, *map(heading, map(str, frame)), left=2)
    for values in frame.head(MAX_ROWS).itertuples(index=False):
        table.add_row(*map(format_cell, values))
    console = Console()
    console.print(table)
    if len(frame) > MAX_ROWS:
        print_lines(console, [say("more_predictions", n=f"{len(frame) - MAX_ROWS:,}")])


def heading(column: str) -> str:
    """A column's name as the table shows it; the csv has the name itself."""
    if bound := BOUND.fullmatch(column):
        return say(f"heading_{bound[1]}", level=bound[2])
    return say.of("heading", column.replace("_percent", " %").replace("_", " "))


def format_cell(value: Any) -> str:
    """A text, day or number as the table shows it."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if hasattr(value, "year"):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, int):
        return str(value)
    return number(value, ".2f" if abs(value) >= 1 else ".5f")

"""`upgate predict horizon=all`: one forecast of every run that differs in its horizon alone."""

import shlex
from collections.abc import Sequence

import pandas as pd

from upgate.cli.texts import say
from upgate.config.values import SpecValues
from upgate.errors import UserError
from upgate.run.spec import RunSpec
from upgate.store.record import NUMBER, Row
from upgate.store.store import Store
from upgate.tasks.base import ForecastPath
from upgate.tasks.figures import interval_levels
from upgate.tasks.names import get_facts

ALL = "all"  # the one value of the word: every run that there is
USUAL = (1, 2, 3, 4, 5)  # what is proposed to somebody who has one run


def find_path(
    store: Store, row: Row, path: ForecastPath, spec: SpecValues, wanted: str
) -> list[Row]:
    """The finished runs that differ from this one in the path's key alone, in its order.

    Found by their keys, the hashes of their specs: no run of another seed, recipe, budget or data
    has one of them. Raises UserError where there is no other.
    """
    if wanted != ALL:
        one = f"{path.key}={wanted}"
        raise UserError(say("path_of_all", one=one, key=path.key, all=ALL))
    rows, name = store.rows(), f"task.{path.key}"
    ended = [
        one for one in rows if one.status == "FINISHED" and not (one.diverged or one.is_parent)
    ]
    steps = {text for one in ended if NUMBER.fullmatch(text := one.params.get(name, ""))}
    by_key = {one.key: one for one in reversed(ended)}
    families = []
    for specs in path.specs(spec, sorted(map(int, steps))):
        keys = [RunSpec.from_dict(one).key for one in specs]
        families.append([by_key[key] for key in keys if key in by_key])
    found = max(families, key=len)
    if len(found) < 2:
        own = spec["task"][path.key]
        values = ",".join(map(str, sorted({*USUAL, own})))
        command = _sweep(rows, row, name, values)
        raise UserError(say("no_path", key=row.key[:8], name=name, value=own, command=command))
    return found


def _sweep(rows: Sequence[Row], row: Row, name: str, values: str) -> str:
    """The command that trains a run for each value: the run's own, where `train` was typed."""
    typed = next(
        (one.tags.get("upgate.command", "") for one in rows if one.run_id == row.parent), ""
    )
    try:
        words = shlex.split(typed)
    except ValueError:  # a tag is what its writer wanted
        words = []
    if words[:2] != ["upgate", "train"]:
        return f"upgate train -m task={row.task} {name}={values} ..."
    left = ("-m", "--multirun", "promote=", "promote.", f"{name}=")
    kept = [word for word in words[2:] if not word.startswith(left)]
    return shlex.join(["upgate", "train", "-m", *kept, f"{name}={values}"])


def join_path(rows: Sequence[Row], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all runs, step by step; each with its run's key, score and coverage."""
    known = [frame.assign(**_account(row, frame)) for row, frame in zip(rows, frames, strict=True)]
    return pd.concat(known).sort_index(kind="stable").reset_index(drop=True)


def _account(row: Row, frame: pd.DataFrame) -> dict[str, float | str]:
    """What a run was worth on its own test part: its score, and what its intervals held there."""
    score = get_facts(row.task).metric.key
    held = [f"test/coverage_{level}" for level in interval_levels(frame)]
    known = {key: row.metrics[key] for key in (score, *held) if key in row.metrics}
    named = {key.removeprefix("test/"): value for key, value in known.items()}
    return {**named, "run": row.key[:16]}


def describe_path(rows: Sequence[Row]) -> str:
    """What the runs of a path are, and what their intervals are not."""
    source = rows[0].tags.get("upgate.source") or say("of_older_version")
    keys = ", ".join(row.key[:8] for row in rows)
    return say("about_path", keys=keys, name=rows[0].name, source=source)


def path_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """What fits a terminal of 80 columns; the csv has all.

    Not what is alike in all rows, nor what the price says too; of several tickers no coverage.
    """
    held = [name for name in map(str, frame) if name.startswith("coverage_")]
    left = ["ticker"] if frame["ticker"].nunique() == 1 else held
    twice = ["return", "level"] if "price" in frame else []
    shown = frame.drop(columns=["last_day", "last_close", "run", *left, *twice], errors="ignore")
    for name in shown.columns.intersection(held):
        shown[name] = shown[name].map("{:.1%}".format, na_action="ignore")
    return shown.astype(object).where(shown.notna(), "")  # what a run of an older version lacks


def path_title(row: Row, frame: pd.DataFrame) -> str:
    """Whose path it is, from which day on; of one ticker also from which price."""
    title = say("path", name=row.name, day=f"{frame['last_day'].max():%Y-%m-%d}")
    if frame["ticker"].nunique() > 1:
        return title
    first = frame.iloc[0]
    return say(
        "path_of_one", title=title, ticker=first["ticker"], close=f"{first['last_close']:.2f}"
    )

"""Per-item losses or forecasts that runs logged as an artifact: a row per run and item."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd

from upgate.errors import UserError, did_you_mean
from upgate.messages import joined
from upgate.referee.columns import match_column, resolve, short_name
from upgate.referee.files import SUFFIXES, read_score_file
from upgate.referee.question import Question, Source
from upgate.referee.scores import FAILED, RUNNING, Note
from upgate.referee.texts import say
from upgate.store.foreign_artifacts import Artifacts

PREDICTIONS = ("prediction", "forecast", "pred", "y_pred", "y_hat", "predictions")
TRUTHS = ("truth", "target", "label", "y_true", "actual", "targets", "labels")
LOSSES: dict[str, Callable[[pd.Series, pd.Series], pd.Series]] = {
    "mse": lambda prediction, truth: (prediction - truth) ** 2,
    "mae": lambda prediction, truth: (prediction - truth).abs(),
    "accuracy": lambda prediction, truth: prediction.eq(truth).astype(float),
    "acc": lambda prediction, truth: prediction.eq(truth).astype(float),
    "error": lambda prediction, truth: prediction.ne(truth).astype(float),
}


@dataclass(frozen=True)
class ItemTable:
    """Rows per run and item, or per run where no run logged a table with the items."""

    frame: pd.DataFrame
    question: Question
    notes: list[Note]
    location: str = ""  # of the artifacts of the experiment


def run_question(question: Question, columns: list[str]) -> Question:
    """The question about runs: the items, and maybe the metric, stand in the artifacts only."""
    known = list(columns)
    if match_column(question.metric, columns) is None:
        known.append(question.metric)
    return resolve(replace(question, items=None), known)


def join_items(runs: pd.DataFrame, question: Question, source: Source, items: str) -> ItemTable:
    """A row per run and item. Raises UserError where some runs have a table and others not.

    runs: run_id, status, artifact_uri and the columns of `question`, which names no items. A failed
    run without a table is a diverged one. Rows with the same item are averaged.
    """
    over = [question.over] if question.over else []
    roles = [question.group, *(question.pair or []), *over]
    asked = runs[runs[roles].notna().all(axis=1) & ~runs["status"].isin(RUNNING)]
    path = source.artifact or _find_table(asked, items, source.uri)
    tables = {} if path is None else _read_all(asked, path, question.metric, items, source.uri)
    if not tables:
        return _without_tables(runs, asked, question, source, items)
    lacking = asked[~asked["run_id"].isin(tables)]
    finished = lacking[lacking["status"] != FAILED]
    if len(finished):
        first = finished.iloc[0]
        cell = ", ".join(f"{short_name(name)}={first[name]}" for name in roles)
        raise UserError(
            say("run_without_artifact", run=str(first["run_id"]), cell=cell, path=str(path))
        )
    some = next(iter(tables.values()))
    tables |= {run: some.assign(loss=float("nan")) for run in lacking["run_id"]}
    frame = pd.concat(tables, names=["run_id"]).reset_index("run_id")
    metric = short_name(question.metric)
    frame = frame.rename(columns={"item": items, "loss": metric})
    frame = frame.merge(asked[["run_id", "status", *roles]], on="run_id")
    return ItemTable(frame, replace(question, metric=metric, items=items), [])


def _without_tables(
    runs: pd.DataFrame, asked: pd.DataFrame, question: Question, source: Source, items: str
) -> ItemTable:
    """The runs as they are. Raises UserError for a named artifact, and for a metric not there."""
    if source.artifact:
        paths = [Artifacts(one, source.uri).paths(SUFFIXES) for one in asked["artifact_uri"][:1]]
        near = did_you_mean(source.artifact, paths[0] if paths else [])
        raise UserError(say("no_such_artifact", name=source.artifact, near=near))
    if question.metric not in runs:
        raise UserError(say("no_metric_anywhere", metric=question.metric, items=items))
    return ItemTable(runs, question, [Note("note_no_items", {"column": items})])


def _find_table(runs: pd.DataFrame, items: str, store: str) -> str | None:
    """The one table with the items' column of the first run that has any; None without tables.

    Raises UserError where there are tables, and none has the column.
    """
    seen: set[str] = set()
    for run, location in zip(runs["run_id"], runs["artifact_uri"], strict=True):
        artifacts = Artifacts(location, store)
        paths = artifacts.paths(SUFFIXES)
        columns = {path: _columns(artifacts, path) for path in paths}
        found = [path for path in paths if items in columns[path]]
        seen.update(*columns.values())
        if len(found) > 1:
            raise UserError(
                say("tables_of_run", run=run, count=len(found), items=items, names=joined(found))
            )
        if found:
            return found[0]
    if seen:
        near = did_you_mean(items, seen)
        raise UserError(say("no_items_column", items=items, near=near))
    return None


def _columns(artifacts: Artifacts, path: str) -> list[str]:
    """The columns of a table; none where the file is something else."""
    with artifacts.local(path) as file:
        try:
            return [str(column) for column in read_score_file(file, path).columns]
        except UserError:
            return []


def _read_all(
    runs: pd.DataFrame, path: str, metric: str, items: str, store: str
) -> dict[str, pd.DataFrame]:
    """Run -> its item and loss columns, of the runs that have the artifact."""
    tables = {}
    for run, location in zip(runs["run_id"], runs["artifact_uri"], strict=True):
        artifacts = Artifacts(location, store)
        if artifacts.has(path):
            shown = say("artifact_of_run", path=str(path), run=run)
            with artifacts.local(path) as file:
                tables[run] = item_losses(read_score_file(file, shown), metric, items, shown)
    return tables


def item_losses(table: pd.DataFrame, metric: str, items: str, shown: str) -> pd.DataFrame:
    """Columns item and loss: the table's own losses, or those of its forecasts.

    Raises UserError for a table that has neither.
    """
    columns = [str(column) for column in table.columns]
    if items not in columns:
        raise UserError(
            say("lacks_column", shown=shown, column=items, hint=did_you_mean(items, columns))
        )
    losses = _losses(table, short_name(metric), columns)
    if losses is None:
        raise UserError(say("lacks_metric", shown=shown, metric=short_name(metric)))
    return losses.groupby(table[items]).mean().rename_axis("item").reset_index(name="loss")


def _losses(table: pd.DataFrame, metric: str, columns: list[str]) -> pd.Series | None:
    for name in (metric, re.split(r"[/.]", metric)[-1]):
        if name in columns:
            return table[name]
    prediction = next((name for name in PREDICTIONS if name in columns), None)
    truth = next((name for name in TRUTHS if name in columns), None)
    kind = next((word for word in re.split(r"[^a-z0-9]+", metric.lower()) if word in LOSSES), None)
    if prediction is None or truth is None or kind is None:
        return None
    return LOSSES[kind](table[prediction], table[truth])

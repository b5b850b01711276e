"""`upgate runs` and `upgate delete`: what the store holds, for people and for programs."""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from textwrap import shorten

from rich.console import Console

from upgate.cli.texts import say
from upgate.config.choices import choices, groups
from upgate.console import confirm, counted, number, print_lines, print_rows
from upgate.errors import UserError, did_you_mean, unknown_key
from upgate.messages import joined
from upgate.run.result import (
    TwinResult,
    replace_non_finite,
    run_folder,
    score_differences,
    scores,
)
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.registry import Registry
from upgate.store.store import Store
from upgate.tasks.facts import TaskFacts
from upgate.tasks.names import find_facts

SHOWN, DATA = 50, 20  # runs of the table without limit=; characters of a data set's name
OPTIONS = ("root", "limit")
TOP_LEVEL = ("status", "trainer", "seed", "fold", "batch_size", "precision")
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
    data: str  # its hash
    source: str  # its name
    folder: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    twin: TwinResult | None
    difference: dict[str, float]


def runs_command(options: Mapping[str, str], as_json: bool) -> int:
    """List the runs of the store, newest first, after what a kill left RUNNING is corrected.

    options: root, limit, task, status, and any parameter of the runs with the value to have.
    """
    limit = read_limit(options.get("limit", "all" if as_json else str(SHOWN)))
    for key in options:  # before there is a store
        check_part_of_key(key, (*OPTIONS, *groups(), *TOP_LEVEL), key.partition(".")[0])
    store = open_store(options.get("root"))
    store.reconcile()
    listed = list_runs(store, {k: v for k, v in options.items() if k not in OPTIONS})
    if as_json:
        values = [asdict(run) for run in listed[:limit]]
        print(json.dumps(replace_non_finite(values), indent=1, ensure_ascii=False))
    else:
        show(listed, limit, Console())
    return 0


def read_limit(text: str) -> int | None:
    """How many runs to show; None for all. Raises UserError."""
    if text == "all":
        return None
    if not text.isdigit():
        raise UserError(say("limit_number", text=text))
    return int(text)


def list_runs(store: Store, wanted: Mapping[str, str]) -> list[ListedRun]:
    """The runs that have the wanted task, status and parameters, beside their twins.

    Raises UserError for a key that no run has, and for a value that no run has or could have.
    """
    rows = [row for row in store.rows() if not row.is_parent]
    for key, value in wanted.items():
        check_filter(key, value, rows)
    chosen = [row for row in rows if all(_has(row, *pair) for pair in wanted.items())]
    by_key = {row.key: row for row in reversed(rows) if row.status == "FINISHED"}
    return [_list_run(row, by_key.get(_twin_key(row)), store) for row in chosen]


def check_part_of_key(key: str, known: Collection[str], part: str) -> None:
    """Raise UserError, with the nearest right one, where a part of the key is not known."""
    if part not in known:
        raise unknown_key(key, did_you_mean(key, sorted(known)))


def check_filter(key: str, value: str, rows: Sequence[Row]) -> None:
    """Raise UserError for what can match no run: a typing error, not an empty answer."""
    check_part_of_key(
        key, {"status", *groups(), *(name for row in rows for name in row.params)}, key
    )
    known = {_value(row, key) for row in rows} - {""}
    if key == "status":
        known, value = set(STATUSES), value.upper()
    elif key in groups():
        known |= set(choices(key))
    else:
        return
    if value not in known:
        hint = did_you_mean(value, sorted(known))
        raise UserError(say("no_run_has", pair=f"{key}={value}", hint=hint))


def _has(row: Row, key: str, value: str) -> bool:
    return _value(row, key) == (value.upper() if key == "status" else value)


def _value(row: Row, key: str) -> str:
    own = {"task": row.task, "status": row.status, "recipe": row.tags.get("upgate.recipe", "")}
    return own.get(key, row.params.get(key, ""))


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
        source=row.tags.get("upgate.source", ""),
        folder=str(run_folder(store.root, row.key)),
        params=row.params,
        metrics=row.metrics,
        twin=TwinResult(twin.key, twin.run_id, scores(twin.metrics)) if twin else None,
        difference=score_differences(row.metrics, twin.metrics) if twin else {},
    )


def show(listed: Sequence[ListedRun], limit: int | None, console: Console) -> None:
    """Print a row per run, and what the scores are. What all have in common stands above."""
    shown = listed[:limit]
    about: dict[str, Sequence[str]] = {
        say("column_task"): [run.params.get("task.target", run.task) for run in shown],
        say("column_epochs"): [run.params.get("trainer.max_epochs", "") for run in shown],
        say("column_data"): [run.source for run in shown],
    }
    varied = {name: values for name, values in about.items() if len(set(values)) > 1}
    common = [
        say("in_common", column=name, value=values[0])
        for name, values in about.items()
        if listed and name not in varied
    ]
    count = say("newest_first", runs=counted(len(listed), "run"))
    scores = (say("score"), say("twin"), say("difference"))
    headings = (say("run"), say("name"), *varied, *scores)
    for name, values in varied.items():
        short = {value: shorten(value, DATA, placeholder="…") for value in set(values)}
        varied[name] = [short[value] for value in values]
    facts = {task: find_facts(task) for task in sorted({run.task for run in shown})}
    rows = []
    for i, (run, name) in enumerate(zip(shown, tell_apart(shown), strict=True)):
        own = (values[i] for values in varied.values())
        rows.append((run.key[:8], name, *own, *_result_cells(run, facts[run.task])))
    print_rows(console, joined([count, *common], "sentences"), headings, rows, left=2 + len(varied))
    if len(shown) < len(listed):
        print_lines(console, [say("more_runs", n=f"{len(listed) - len(shown):,}")])
    for task, known in facts.items():
        phrase = known.metric.phrase if known else say("task_unknown")
        print_lines(console, [say("score_of", task=task, phrase=phrase)])


def _result_cells(run: ListedRun, facts: TaskFacts | None) -> list[str]:
    """A run's score, or how it ended without one; its twin's; the difference."""
    key = facts.metric.key if facts else ""
    difference = run.difference.get(key)
    score = number(run.metrics.get(key))
    if run.diverged or run.status != "FINISHED":
        score = number(inf) if run.diverged else say.of("status", run.status.lower())
    twin = number(run.twin.metrics.get(key) if run.twin else None)
    return [score, twin, "" if difference is None else f"{difference:+.4f}"]


def tell_apart(runs: Sequence[ListedRun]) -> list[str]:
    """The runs' names; runs of one name get the parameters in which they differ as well."""
    alike: dict[tuple[str, str], list[ListedRun]] = {}
    for run in runs:
        alike.setdefault((run.task, run.name), []).append(run)
    differing = {same: differing_params(group) for same, group in alike.items()}

    def name(run: ListedRun) -> str:
        own = [f"{key}={run.params.get(key)}" for key in differing[run.task, run.name]]
        return " ".join([run.name, *own])

    return list(map(name, runs))


def differing_params(runs: Sequence[ListedRun]) -> list[str]:
    """The parameters in which runs differ, but for those that have a column of their own."""
    keys = dict.fromkeys(key for run in runs for key in run.params)
    varied = [key for key in keys if len({run.params.get(key) for run in runs}) > 1]
    return [key for key in varied if key not in ("task.target", "trainer.max_epochs")]


def delete_command(options: Mapping[str, str], agreed: bool) -> int:
    """Delete a run: marked deleted in MLflow, which `mlflow gc` empties, and its folder removed.

    Raises UserError where there is no such run, or several.
    """
    store = open_store(options.get("root"))
    store.reconcile()
    wanted = options.get("run", "")
    rows = [row for row in store.rows() if not row.is_parent and row.is_named(wanted)]
    if len(rows) != 1:
        if rows:
            raise UserError(say("several_such_runs", wanted=wanted, n=len(rows)))
        raise UserError(say("no_such_run", wanted=wanted))
    (row,) = rows
    if row.status == "RUNNING":
        raise UserError(say("going_on", name=row.name, key=row.key[:8]))
    if versions := Registry(store).versions(row.run_id):
        raise UserError(
            say("is_version", name=row.name, key=row.key[:8], versions=joined(versions, "and"))
        )
    console = Console()
    name = f"{row.name} ({row.key[:8]})"
    if not (agreed or confirm(console, say("delete", run=name))):
        print_lines(console, [say("not_deleted")])
        return 0
    store.delete(row.run_id)
    if row.key not in {other.key for other in store.rows()}:
        shutil.rmtree(run_folder(store.root, row.key), ignore_errors=True)
    print_lines(console, [say("deleted", run=name)])
    return 0

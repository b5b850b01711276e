"""Run a list of jobs in this process, one after the other. Nothing else knows where a run runs."""

import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape

from upgate.data.fold_data import FoldData
from upgate.run.result import Result, own
from upgate.run.spec import RunSpec
from upgate.run.store import Row, Run, Store
from upgate.run.task import Table, task_of
from upgate.run.train import Outcome, train

SAME_FAILURE = 3  # failures of one kind after which a command gives up: the fault is the code's, not the run's


@dataclass(frozen=True)
class Job:
    """A spec, what people call it, and where its data are."""

    spec: RunSpec
    recipe: str  # traditional, upgraded, ...
    changes: tuple[str, ...]  # the words that changed the recipe's parts
    config: Mapping[str, Any]  # the whole resolved configuration
    twin: str = ""  # key of the twin, if one is wanted
    role: str = "run"  # run, or twin: trained for another's sake
    parent: str = ""  # id of the MLflow run below which it stands; else the command's

    @property
    def name(self) -> str:
        return " ".join([self.recipe, *self.changes, f"seed={self.spec.seed}"] + ([f"fold={self.spec.fold}"] if self.spec.fold else []))


Fetch = Callable[[Job], tuple[Table, FoldData]]


class Interrupted(Exception):
    """Ctrl-C or a signal ended a command; what was running is marked KILLED."""


def execute(jobs: Sequence[Job], fetch: Fetch, store: Store, parent: Run, console: Console) -> list[Result]:
    """Return a result per job, in order; a twin stands before the runs that it is the twin of.

    What the store holds is not trained again; a failure is told at once and the rest go on.
    """
    done = store.finished({job.spec.key for job in jobs})
    results: dict[str, Result] = {}
    kinds: Counter[str] = Counter()
    for job in jobs:
        key = job.spec.key
        if key in results:
            continue
        if key in done:
            results[key] = settle_stored(done[key], results.get(job.twin), store)
            continue
        results[key] = run_job(job, results.get(job.twin), fetch, store, parent, console)
        kind = results[key].error.partition(":")[0]
        kinds[kind] += bool(kind)
        if kind and kinds[kind] >= SAME_FAILURE:
            console.print(f"[red]{SAME_FAILURE} runs failed with {kind}; the rest would too, so this stops here.[/]")
            break
    return [results[job.spec.key] for job in jobs if job.spec.key in results]


def run_job(job: Job, twin: Result | None, fetch: Fetch, store: Store, parent: Run, console: Console) -> Result:
    """Train one job and record it. The one boundary of the project where any exception becomes a recorded failure."""
    folder = store.root / job.spec.key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    table, data = fetch(job)
    run = store.run(job.spec.task["name"], job.name, job.spec.key, parameters(job), tags(job, table), job.parent or parent, resume=True)
    try:
        extra = {k: v for k, v in job.config["trainer"].items() if k not in job.spec.budget and k != "precision"}
        outcome = train(job.spec, data, folder, run.log, console, job.name, extra)
        result = result_of(job, run.id, folder, "FINISHED", outcome.metrics, diverged=outcome.diverged, weights=outcome.weights)
        record(run, job, result, result if job.twin == result.key else twin, table, outcome)
        run.finish("FINISHED")
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into SystemExit
        run.finish("KILLED")
        raise Interrupted from None
    except Exception as error:
        run.text(traceback.format_exc(), "traceback.txt")
        run.finish("FAILED")
        told = f"{type(error).__name__}: {error}"
        console.print("[red]failed[/]", escape(f"{job.name}: {told}"), highlight=False)
        return result_of(job, run.id, folder, "FAILED", {}, error=told)
    (folder / "last.ckpt").unlink(missing_ok=True)
    return result


def record(run: Run, job: Job, result: Result, twin: Result | None, table: Table, outcome: Outcome) -> None:
    """Write a run's tables, pictures and configuration to its folder and, with the kept checkpoint, to the store."""
    folder = Path(result.folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(job.config), sort_keys=False, allow_unicode=True), encoding="utf-8")
    for name, frame in outcome.tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    settle(result, twin)
    run.log(outcome.metrics | result.paired())
    task = task_of(job.spec.task["name"])
    beside = Path(twin.folder) if twin else None
    drawn = [] if outcome.diverged else task.draw(folder, outcome.tables, beside, result.name, job.spec.plain())
    names = ["config.yaml", "best.ckpt", *(f"{name}.parquet" for name in outcome.tables), *drawn]
    for path in (folder / name for name in names):
        if path.exists():  # a diverged run may have kept no weights
            run.artifact(path)
    run.dataset(table.source, job.spec.data[:36], table.source, "training", task.profile(table))
    kept = {"upgate.diverged": str(outcome.diverged).lower(), "upgate.weights": outcome.weights}
    run.tag(kept | {"upgate.twin": twin.run_id if twin else ""})


def settle(result: Result, twin: Result | None) -> None:
    """Set a result beside its twin, and write both into the run's folder."""
    if twin is not None and twin.status == "FINISHED":
        result.pair(twin)
    result.write()


def settle_stored(row: Row, twin: Result | None, store: Store) -> Result:
    """The result of a run that the store holds; it may have been trained before a twin was wanted."""
    result = from_row(row, store)
    twin = result if row.tags.get("upgate.twin_key") == row.key else twin
    if twin is not None and twin.status == "FINISHED":
        result.pair(twin)
        if not result.paired().keys() <= row.metrics.keys():
            store.annotate(row.run_id, result.paired())
            Path(result.folder).mkdir(exist_ok=True)
            result.write()
    return result


def parameters(job: Job) -> dict[str, Any]:
    """The spec as flat parameters under the names of the command line: optimizer, optimizer.lr, task.target, ..."""
    spec = job.spec
    flat: dict[str, Any] = {
        "recipe": job.recipe,
        "seed": spec.seed,
        "fold": spec.fold,
        "batch_size": spec.batch_size,
        "precision": spec.precision,
    }
    for group, knobs in spec.recipe.items():
        if group == "regularization":
            flat[group] = "+".join(knobs) or "none"
            flat |= {f"{group}.{name}.{k}": v for name, ks in knobs.items() for k, v in ks.items()}
        else:
            flat[group] = knobs["name"]
            flat |= {f"{group}.{k}": v for k, v in knobs.items() if k != "name"}
    for group, values in (("task", spec.task), ("split", spec.split), ("model", spec.model), ("trainer", spec.budget)):
        flat |= {f"{group}.{k}": v for k, v in values.items()}
    return {k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in flat.items()}


def tags(job: Job, table: Table) -> dict[str, str]:
    return {
        "upgate.recipe": job.recipe,
        "upgate.changes": json.dumps(job.changes, ensure_ascii=False),
        "upgate.seed": str(job.spec.seed),
        "upgate.fold": str(job.spec.fold),
        "upgate.data": job.spec.data,
        "upgate.source": table.source,
        "upgate.twin_key": job.twin,
        "upgate.role": job.role,
        "upgate.python": sys.version.split()[0],
    }


def result_of(job: Job, run_id: str, folder: Path, status: str, metrics: dict[str, float], **more: Any) -> Result:
    spec = job.spec
    named = {"name": job.name, "recipe": job.recipe, "changes": list(job.changes), "task": spec.task["name"]}
    return Result(spec.key, run_id, seed=spec.seed, fold=spec.fold, status=status, metrics=metrics, folder=str(folder), **named, **more)


def from_row(row: Row, store: Store) -> Result:
    """The result of a run that the store holds."""
    return Result(
        row.key,
        row.run_id,
        name=row.name,
        task=row.task,
        recipe=row.tags.get("upgate.recipe", ""),
        changes=json.loads(row.tags.get("upgate.changes", "[]")),
        seed=int(row.tags.get("upgate.seed", 0)),
        fold=int(row.tags.get("upgate.fold", 0)),
        status=row.status,
        metrics=own(row.metrics),
        folder=str(store.root / row.key[:16]),
        diverged=row.diverged,
        weights=row.tags.get("upgate.weights", ""),
    )

"""A run that is wanted, as a value: made by a command, sent to where it runs, told to the store."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from upgate.data.datamodule import FoldDataModule
from upgate.run.result import Result, own
from upgate.run.spec import RunSpec
from upgate.store.record import Row
from upgate.tasks.base import Table


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
        return " ".join(
            [self.recipe, *self.changes, f"seed={self.spec.seed}"]
            + ([f"fold={self.spec.fold}"] if self.spec.fold else [])
        )

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(plain: Mapping[str, Any]) -> "Job":
        return Job(
            **{**plain, "spec": RunSpec(**plain["spec"]), "changes": tuple(plain["changes"])}
        )


Fetch = Callable[[Job], tuple[Table, FoldDataModule]]


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
    for group, values in (
        ("task", spec.task),
        ("split", spec.split),
        ("model", spec.model),
        ("trainer", spec.budget),
    ):
        flat |= {f"{group}.{k}": v for k, v in values.items()}
    return {
        k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in flat.items()
    }


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


def folder_of(root: Path, key: str) -> Path:
    return root / key[:16]


def result_of(
    job: Job, run_id: str, folder: Path, status: str, metrics: dict[str, float], **more: Any
) -> Result:
    spec = job.spec
    named = {
        "name": job.name,
        "recipe": job.recipe,
        "changes": list(job.changes),
        "task": spec.task["name"],
    }
    return Result(
        spec.key,
        run_id,
        seed=spec.seed,
        fold=spec.fold,
        status=status,
        metrics=metrics,
        folder=str(folder),
        **named,
        **more,
    )


def from_row(row: Row, root: Path) -> Result:
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
        folder=str(folder_of(root, row.key)),
        diverged=row.diverged,
        weights=row.tags.get("upgate.weights", ""),
    )

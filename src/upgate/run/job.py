"""A run that a command wants, as a value: sent to where it trains, and recorded in the store."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from upgate.config.choices import REGULARIZATION
from upgate.config.run_config import RunConfig
from upgate.config.values import Knobs, Section, Value
from upgate.data.table import Table
from upgate.run.result import Result
from upgate.run.spec import RunSpec

RATE = "rate"  # role of a trial of a search for a learning rate


@dataclass(frozen=True)
class Job:
    """A run that a command wants: its spec, its name for people, and where its data are."""

    spec: RunSpec
    recipe: str  # traditional, upgraded, ...
    changes: tuple[str, ...]  # the overrides that changed the recipe's parts
    config: RunConfig
    twin: str = ""  # key of the twin, if one is wanted
    role: str = "run"  # run; twin: trained for another run's sake; rate: a trial of its search
    parent: str = ""  # id of the MLflow run above it; else the command's
    rate_search: str = ""  # JSON of the search that found its learning rate, if one did

    @property
    def name(self) -> str:
        """Recipe, changes, seed, and the fold but for the first one."""
        fold = [f"fold={self.spec.fold}"] if self.spec.fold else []
        return " ".join([self.recipe, *self.changes, f"seed={self.spec.seed}", *fold])

    def at(self, seed: int, fold: int) -> Self:
        """The same job on another seed and fold."""
        spec = replace(self.spec, seed=seed, fold=fold)
        return replace(self, spec=spec, config=self.config.replace(seed=seed, fold=fold))

    def to_dict(self) -> dict[str, object]:
        """Plain values, as they travel to a worker."""
        return {**vars(self), "spec": self.spec.to_dict(), "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, values: Section) -> Self:
        """The inverse of `to_dict`."""
        typed = {
            "spec": RunSpec.from_dict(values["spec"]),
            "config": RunConfig.from_dict(values["config"]),
            "changes": tuple(values["changes"]),
        }
        return cls(**{**values, **typed})


def flatten_spec(job: Job) -> dict[str, str | int | float | bool | None]:
    """The spec as flat parameters under the command line's names: optimizer, optimizer.lr, ..."""
    spec = job.spec
    flat: dict[str, Value] = {
        "recipe": job.recipe,
        "seed": spec.seed,
        "fold": spec.fold,
        "batch_size": spec.batch_size,
        "precision": spec.precision,
    }
    for group, part in spec.recipe.parts.items():
        flat |= {group: part.name} | _prefixed(group, part.knobs)
    flat[REGULARIZATION] = "+".join(spec.recipe.regularization) or "none"
    for name, knobs in spec.recipe.regularization.items():
        flat |= _prefixed(f"{REGULARIZATION}.{name}", knobs)
    for group, choice in (("task", spec.task), ("split", spec.split), ("model", spec.model)):
        flat |= _prefixed(group, choice.to_dict())
    flat |= _prefixed("trainer", spec.budget.to_dict())
    return {
        key: value if isinstance(value, str | int | float | bool | None) else str(value)
        for key, value in flat.items()
    }


def _prefixed(prefix: str, knobs: Knobs) -> dict[str, Value]:
    return {f"{prefix}.{key}": value for key, value in knobs.items()}


def make_tags(job: Job, table: Table) -> dict[str, str]:
    """The tags of a job's run in MLflow."""
    searched = {"upgate.rate_search": job.rate_search} if job.rate_search else {}
    suspicious = getattr(table, "suspicious", 0)
    return {
        **searched,
        **({"upgate.suspicious": str(suspicious)} if suspicious else {}),
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


def make_result(
    job: Job,
    run_id: str,
    folder: Path,
    status: str,
    metrics: dict[str, float],
    *,
    error: str = "",
    diverged: bool = False,
    weights: str = "",
) -> Result:
    """The result of a job. `status`: FINISHED or FAILED; `weights`: hash of those kept."""
    return Result(
        key=job.spec.key,
        run_id=run_id,
        name=job.name,
        task=job.spec.task.name,
        recipe=job.recipe,
        changes=list(job.changes),
        seed=job.spec.seed,
        fold=job.spec.fold,
        status=status,
        metrics=metrics,
        folder=str(folder),
        error=error,
        diverged=diverged,
        weights=weights,
    )

"""The data of a command's jobs, each read and made into tensors once in a process."""

import json
from pathlib import Path
from typing import Any

from upgate.data.datamodule import FoldDataModule
from upgate.run.job import Job
from upgate.run.table_cache import TableCache
from upgate.tasks.base import Table
from upgate.tasks.registry import get_task


class Datasets:
    """A driver's reads tables from their sources. A worker's takes them from a shelf, by their hash."""

    def __init__(self, shelf: TableCache | None = None, prepared: Path | None = None) -> None:
        """`prepared`: where a worker keeps tokens and such; in the driver the job's own `cache` says it."""
        self._shelf, self._prepared = shelf, prepared
        self._tables: dict[str, Table] = {}
        self._data: dict[str, FoldDataModule] = {}

    def table(self, task: str, source: dict[str, Any]) -> Table:
        key = json.dumps([task, source], sort_keys=True, default=str)
        if key not in self._tables:
            self._tables[key] = get_task(task).load(source)
        return self._tables[key]

    def fetch(self, job: Job) -> tuple[Table, FoldDataModule]:
        """Table and tensors of a job; raises UserError where they do not fit together."""
        spec, name = job.spec, job.spec.task["name"]
        table = (
            self.table(name, job.config["data"])
            if self._shelf is None
            else self._taken(self._shelf, spec.data)
        )
        key = json.dumps([spec.data, spec.task, spec.split, spec.fold], sort_keys=True)
        if key not in self._data:
            here = self._prepared or TableCache.at(job.config["cache"]).prepared(
                Path(str(job.config["root"])).resolve()
            )
            self._data[key] = get_task(name).datamodule(
                table, spec.task, spec.split, spec.fold, {**job.config, "cache": str(here)}
            )
        return table, self._data[key]

    def _taken(self, shelf: TableCache, digest: str) -> Table:
        if digest not in self._tables:
            self._tables[digest] = shelf.take(digest)
        return self._tables[digest]

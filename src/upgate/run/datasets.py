"""The data of a command's jobs, each read and turned into tensors once in a process."""

import json
from collections.abc import Callable
from pathlib import Path

from upgate.config.values import DataChoice
from upgate.data.datamodule import FoldDataModule
from upgate.data.table import Table
from upgate.run.job import Job
from upgate.run.table_cache import TableCache
from upgate.tasks.registry import get_task

Fetch = Callable[[Job], tuple[Table, FoldDataModule]]


class Datasets:
    """The tables and tensors of jobs.

    In the process of the command, tables are read from their sources; in a worker, from a table
    cache by their hash.
    """

    def __init__(self, tables: TableCache | None = None, prepared: Path | None = None) -> None:
        """`prepared`: where a worker keeps tokens; in the command's process the config says it."""
        self._cache, self._prepared = tables, prepared
        self._tables: dict[str, Table] = {}
        self._data: dict[str, FoldDataModule] = {}

    def table(self, task: str, source: DataChoice) -> Table:
        """The table that a choice of data gives; read once."""
        key = json.dumps([task, source.to_dict()], sort_keys=True, default=str)
        if key not in self._tables:
            self._tables[key] = get_task(task).load(source.to_dict())
        return self._tables[key]

    def fetch(self, job: Job) -> tuple[Table, FoldDataModule]:
        """Table and tensors of a job. Raises UserError where they do not fit together."""
        spec = job.spec
        table = self._load(job)
        task, split = spec.task.to_dict(), spec.split.to_dict()
        key = json.dumps([spec.data, task, split, spec.fold], sort_keys=True)
        if key not in self._data:
            config = {**job.config.to_dict(), "cache": str(self._prepared_folder(job))}
            self._data[key] = get_task(spec.task.name).datamodule(
                table, task, split, spec.fold, config
            )
        return table, self._data[key]

    def _load(self, job: Job) -> Table:
        if self._cache is None:
            return self.table(job.spec.task.name, job.config.data)
        digest = job.spec.data
        if digest not in self._tables:
            self._tables[digest] = self._cache.load(digest, get_task(job.spec.task.name).table_type)
        return self._tables[digest]

    def _prepared_folder(self, job: Job) -> Path:
        if self._prepared is not None:
            return self._prepared
        return TableCache.at(job.config.cache).prepared(Path(job.config.root).resolve())

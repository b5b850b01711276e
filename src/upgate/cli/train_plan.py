"""The runs that a command of `upgate train` asks for, and their twins."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from upgate.experiment.jobs import make_pair
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.store.record import Row
from upgate.store.store import Store

SAMPLE = re.compile(r"(seed|fold)=")


@dataclass(frozen=True)
class TrainPlan:
    """`requested`: the jobs of the command line; `jobs`: those with their twins, a twin first.

    singles: the overrides of each requested job.
    """

    requested: list[Job]
    jobs: list[Job]
    singles: Sequence[Sequence[str]]

    def stored(self, store: Store) -> list[Row]:
        """What the store holds of the tasks of the requested jobs."""
        tasks = dict.fromkeys(job.spec.task.name for job in self.requested)
        return [row for task in tasks for row in store.rows(task=task)]

    @property
    def common(self) -> list[str]:
        """The overrides that all requested jobs have."""
        return [word for word in self.singles[0] if all(word in one for one in self.singles)]

    @property
    def settings(self) -> dict[str, list[Job]]:
        """The requested jobs by what tells them apart beside seed and fold."""
        common, settings = self.common, dict[str, list[Job]]()
        for job, single in zip(self.requested, self.singles, strict=True):
            own = [word for word in single if word not in common and not SAMPLE.match(word)]
            name = " ".join(own or [job.recipe, *job.changes])
            settings.setdefault(name, []).append(job)
        return settings


def plan_training(
    singles: Sequence[Sequence[str]],
    config_dir: str | None,
    datasets: Datasets,
    rate_searches: Sequence[str] = (),
) -> TrainPlan:
    """The jobs of the overrides of each run. A twin that is requested itself counts as requested.

    rate_searches: for each run the record of its learning rate's search, empty for none.
    """
    pairs = [make_pair(single, datasets, config_dir) for single in singles]
    for i, note in enumerate(rate_searches):
        pairs[i] = replace(pairs[i][0], rate_search=note), pairs[i][1]
    requested = [job for job, _ in pairs]
    by_key = {job.spec.key: job for job in requested}
    jobs: list[Job] = []
    for job, twin in pairs:
        if twin is not None:
            jobs.append(by_key.get(twin.spec.key, twin))
        jobs.append(by_key[job.spec.key])
    return TrainPlan(requested, jobs, singles)

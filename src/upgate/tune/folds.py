"""The parts of the data that a search may see, as its task cuts them."""

import re
from collections.abc import Sequence

from upgate.data.datamodule import FoldDataModule
from upgate.experiment.jobs import make_job
from upgate.experiment.session import Session
from upgate.run.job import Job
from upgate.tasks.blocks import Block
from upgate.tasks.registry import get_task
from upgate.tasks.search_blocks import BlockRequest
from upgate.tune.options import TuneOptions


def without_split(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if not re.match(r"split[.=]", override)]


def cut_blocks(
    base: Job, options: TuneOptions, overrides: Sequence[str], session: Session
) -> list[Block]:
    """The search's blocks; `base` is the job of these overrides.

    Raises UserError for folds that the data cannot give.
    """
    kept, datasets = without_split(overrides), session.datasets

    def datamodule(split: Sequence[str], fold: int) -> FoldDataModule:
        job = make_job([*kept, *split, f"fold={fold}"], datasets, session.config_dir)
        return datasets.fetch(job)[1]

    split, table = base.spec.split.to_dict(), datasets.fetch(base)[0]
    request = BlockRequest(split, options.folds, options.nested, table, datamodule)
    return get_task(base.spec.task.name).search_blocks(request)

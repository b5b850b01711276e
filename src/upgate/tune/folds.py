"""The parts of the data that a search may see, as its task cuts them."""

import re
from collections.abc import Sequence

from upgate.data.datamodule import FoldDataModule
from upgate.experiment.jobs import make_job
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.tasks.registry import get_task
from upgate.tasks.search_blocks import Block, BlockRequest
from upgate.tune.options import Asked


def without_split(words: Sequence[str]) -> list[str]:
    return [word for word in words if not re.match(r"split[.=]", word)]


def blocks_of(
    base: Job, asked: Asked, words: Sequence[str], extra: str | None, library: Datasets
) -> list[Block]:
    """The search's blocks; `base` is a job of the words as they are.

    Raises UserError for folds that the data cannot give.
    """
    plain = without_split(words)

    def datamodule(split: Sequence[str], fold: int) -> FoldDataModule:
        job = make_job([*plain, *split, f"fold={fold}"], library, extra)
        return library.fetch(job)[1]

    table = library.fetch(base)[0]
    request = BlockRequest(base.spec.split.to_dict(), asked.folds, asked.nested, table, datamodule)
    return get_task(base.spec.task.name).search_blocks(request)

"""The executor that a configuration asks for."""

from collections.abc import Callable
from importlib import import_module

from upgate.execution.executor import Executor, Inline, InlineOptions, check_executor
from upgate.execution.side_by_side import SideBySide, pays
from upgate.execution.work import Work
from upgate.run.job import Job


def open_executor(
    first: Job, threads: int, work: Work, seconds: Callable[[], float] = lambda: 0.0
) -> Executor:
    """The executor that a command's first job asks for; no process starts yet.

    Args: threads, the most that a run needs; work, which trains a run in this process; seconds,
    what all runs take one after the other, asked for where the choice depends on it, and 0 where
    that is not known or there is one run.
    """
    config, accelerator = first.config, first.spec.budget.accelerator
    options = check_executor(config.executor.to_dict(), config.trainer)
    alone = config.trainer["devices"] == 1  # else several processes share a run, and all cores
    if options.name == "auto" and alone and pays(accelerator, seconds):
        return SideBySide(work, threads)
    if isinstance(options, InlineOptions):
        return Inline(work)
    module = import_module(f"upgate.execution.{options.name}")
    executor: Executor = module.EXECUTOR(options, threads, accelerator)
    return executor

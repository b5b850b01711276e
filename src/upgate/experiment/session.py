"""What a command of several runs does alike: plan, ask, prepare the store, run."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from upgate.config.plugins import typed_words
from upgate.console import confirm, declined
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.store.connect import redact_argument
from upgate.store.store import Store


@dataclass(frozen=True)
class Session:
    """What a command works with. config_dir: a folder of the user's own choices."""

    console: Console
    datasets: Datasets
    config_dir: str | None


def no_conclusion(result: object) -> None:
    """What the command line does with a result beside printing it: nothing."""


def job_store(job: Job) -> Store:
    """The store in the root of a job."""
    return Store(Path(job.config.root).resolve())


def proceed(
    console: Console, command: str, store: Store, agreed: bool, run: Callable[[], int]
) -> int:
    """After the plan: run, with the store prepared, if it was agreed to or the user agrees now.

    The exit code; 0 where the user declines.
    """
    if not (agreed or confirm(console)):
        return declined(console, command)
    with store.in_use():
        prepare(store)
        return run()


def prepare(store: Store) -> None:
    """Make the store, and settle what runs that were killed left in it."""
    store.prepare()
    store.reconcile()


def repeat_commands(
    command: str, overrides: Sequence[str], config_dir: str | None, name: str
) -> list[str]:
    """The commands that do it again and that report it.

    With the folder of own choices and the root, and without the password of a URI.
    """
    redacted = [redact_argument(word) for word in typed_words(overrides)]
    own = ["--config-dir", config_dir] if config_dir else []
    yes = [] if f"{command}.yes=true" in redacted else ["--yes"]
    root = [override for override in redacted if override.startswith("root=")]
    again = ["upgate", command, *yes, *own, *redacted]
    report = ["upgate", "report", *own, f"{command}={name}", *root]
    return [shlex.join(again), shlex.join(report)]

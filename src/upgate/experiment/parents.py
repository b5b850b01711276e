"""The MLflow runs above the trainings: one of the study or search, and one of each arm below it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from upgate.run.provenance import provenance
from upgate.store.record import PARENT
from upgate.store.run import Run
from upgate.store.store import Store


@dataclass(frozen=True)
class Parents:
    """An open run of the command, and one of each arm."""

    parent: Run
    arms: Mapping[str, Run]

    def finish(self, status: str) -> None:
        """End all of them with one status: FINISHED, FAILED or KILLED."""
        for run in (*self.arms.values(), self.parent):
            run.finish(status)


def digest(*words: str) -> str:
    """The key of a parent run: the same words give the same run."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def open_command(store: Store, task: str, name: str, key: str, tags: Mapping[str, str]) -> Run:
    """The run of a command, with its provenance: that of the first command of the key."""
    own_tags, texts = provenance()
    run = store.parent(task, name, key, {**own_tags, **tags})
    for file, text in texts.items() if run.is_new else ():
        run.text(text, file)
    return run


@contextmanager
def open_parents(
    store: Store,
    kind: str,
    task: str,
    key: tuple[str, ...],
    tags: Mapping[str, str],
    arms: Iterable[str],
) -> Iterator[Parents]:
    """Open the runs of a study or a search; the same key again continues in the same ones.

    kind: study or tune. key: its words, the last one the id. tags: of the command's run, beside
    the id, the level and the provenance.
    """
    name = key[-1]
    with ExitStack() as stack:
        shared = {f"upgate.{kind}": name}
        own_tags = {**shared, "upgate.level": kind, **tags}
        run = open_command(store, task, f"{kind} {name}", digest(*key), own_tags)
        parent = stack.enter_context(run)
        below = {**shared, "upgate.level": "arm", PARENT: parent.id}
        opened = {}
        for arm in arms:
            run = store.parent(task, arm, digest(*key, arm), {**below, "upgate.arm": arm})
            opened[arm] = stack.enter_context(run)
        yield Parents(parent, opened)

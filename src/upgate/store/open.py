"""Open a store that some command has made before: what reports, lists and predictions read."""

from pathlib import Path

from upgate.errors import UserError
from upgate.messages import say
from upgate.store.store import Store

ROOT = "runs"  # as in conf/config.yaml


def open_store(root: str | None = None) -> Store:
    """The store of a folder. Raises UserError where there is none."""
    path = Path(ROOT if root is None else root)
    if not path.exists():
        raise UserError(say("no_store", path=str(path)))
    return Store(path.resolve())

"""Open a store that some command has made before: what reports, lists and predictions read."""

from pathlib import Path

from upgate.errors import UserError
from upgate.store.store import Store

ROOT = "runs"  # as in conf/config.yaml


def open_store(root: str | None = None) -> Store:
    """The store of a folder. Raises UserError where there is none."""
    path = Path(ROOT if root is None else root)
    if not path.exists():
        raise UserError(
            f"there is no store at {path}; train first: make train task=stock, or give root=..."
        )
    return Store(path.resolve())

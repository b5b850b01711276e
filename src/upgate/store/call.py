"""Calls of MLflow: they wait for a store that does not answer, and pause the collector."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from upgate.errors import UserError
from upgate.store.connect import DAMAGE, Unreachable, damaged, first_line, redact
from upgate.store.flusher import is_refusal

T = TypeVar("T")

PATIENCE = 30.0  # seconds that a call waits for a store that answered before


def call_mlflow(
    uri: str, function: Callable[..., T], *args: Any, patience: float | None = None
) -> T:
    """Call MLflow, again for some seconds, PATIENCE unless told, while it does not answer.

    Raises UserError where it refuses, Unreachable where it stays away.
    """
    until = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        try:
            return function(*args)
        except UserError:
            raise
        except Exception as error:  # the boundary to a service
            if DAMAGE.search(str(error)):
                raise damaged(redact(uri), first_line(error)) from error
            message = f"the MLflow store {redact(uri)} fails: {first_line(error)}"
            if is_refusal(error):
                raise UserError(message) from error
            if time.monotonic() > until:
                raise Unreachable(message) from error
        time.sleep(1)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector.

    MLflow makes 150 objects for each run, and collecting them takes longer than making them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

"""Calls of MLflow: they wait for a store that does not answer, and pause the collector."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from upgate.errors import UserError
from upgate.store.connect import DAMAGE, damaged, first_line, redact
from upgate.store.flusher import is_refusal

T = TypeVar("T")

PATIENCE = 30.0  # seconds that a call waits for a store that answered before


def call_mlflow(uri: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call MLflow, again for PATIENCE seconds while it does not answer.

    Raises UserError where it refuses, or stays unreachable.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # the boundary to a service
            if DAMAGE.search(str(error)):
                raise damaged(redact(uri), first_line(error)) from error
            if is_refusal(error) or time.monotonic() > until:
                message = f"the MLflow store {redact(uri)} fails: {first_line(error)}"
                raise UserError(message) from error
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

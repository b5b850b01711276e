"""Calls of MLflow: they wait for a store that does not answer, and pause the collector."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from upgate.errors import UserError
from upgate.store.connect import DAMAGE, Unreachable, damaged, first_line, redact
from upgate.store.flusher import is_refusal
from upgate.store.texts import say

T = TypeVar("T")

PATIENCE = 30.0  # seconds that a call waits for a store that does not answer
# tries in that time, however long one hangs: of a server that loses two answers of five, a call of
# two requests has one answer in three
LEAST = 20
PAUSE = 1.0  # seconds between tries
WORD = 8.0  # seconds without an answer after which that is said

logger = logging.getLogger(__name__)


def call_mlflow(
    uri: str, function: Callable[..., T], *args: Any, patience: float | None = None
) -> T:
    """Call MLflow, again for some seconds, PATIENCE unless told, while it does not answer.

    Raises UserError where it refuses, Unreachable where it stays away.
    """
    patience = left = PATIENCE if patience is None else patience
    with said_when_slow(uri):
        while True:
            began = time.monotonic()
            try:
                return function(*args)
            except UserError:
                raise
            except Exception as error:  # the boundary to a service
                left -= min(time.monotonic() - began, max(0.0, patience / LEAST - PAUSE))
                raise_final(uri, error, left)
            time.sleep(PAUSE)
            left -= PAUSE


def raise_final(uri: str, error: Exception, left: float) -> None:
    """Raise UserError unless a call may be tried again, with so many seconds left."""
    if DAMAGE.search(str(error)):
        raise damaged(redact(uri), first_line(error)) from error
    message = say("store_fails", uri=redact(uri), cause=first_line(error))
    if is_refusal(error):
        raise UserError(message) from error
    if left <= 0:
        raise Unreachable(message) from error


@contextmanager
def said_when_slow(uri: str) -> Iterator[None]:
    """Say it once where a call takes long."""
    message = "The MLflow store %s is slow or away: no answer for %.0f s; waiting for it."
    timer = threading.Timer(WORD, logger.warning, (message, redact(uri), WORD))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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

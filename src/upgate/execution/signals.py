"""Signals that end a command: SIGTERM as Ctrl-C, and Ctrl-C for the second time."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Handler = Callable[..., Any]


def sigterm_as_ctrl_c() -> Any:
    """Batch systems send SIGTERM: treat it as Ctrl-C, so that runs are marked and workers end."""
    return _handled(signal.default_int_handler, signal.SIGTERM)


def ending_at_once(kill: Callable[[], None]) -> Any:
    """While a command ends after Ctrl-C: at a second one kill the workers, and end this process.

    Their watchdogs, processes of their own, mark the runs that this leaves open.
    """

    def end(*_: object) -> None:
        with suppress(Exception):
            kill()
            sys.stdout.flush()
        os._exit(130)

    return _handled(end, signal.SIGINT, signal.SIGTERM)


@contextmanager
def _handled(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    """Handle these signals so; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)

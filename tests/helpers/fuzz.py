"""How many cases a property is tried with: a small, seeded share in `make test`, many in
`make fuzz`.

UPGATE_FUZZ=N multiplies the share by N and draws anew each time; UPGATE_SHRINK=1 makes a case that
fails smaller, which takes minutes.
"""

import functools
import io
import logging
import os
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from upgate.cli.entry import main

TIMES = int(os.environ.get("UPGATE_FUZZ", "1"))
SHRINKS = "UPGATE_SHRINK" in os.environ
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


@dataclass
class Count:
    """Of one property: its cases, their CPU seconds, and what became of them."""

    cases: int = 0
    seconds: float = 0.0
    read: int = 0
    refused: int = 0


COUNTS: dict[str, Count] = {}


def cases(share: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Try a property with so many cases, or TIMES as many, and count them.

    The property may return whether the case was read (True) or refused in a sentence (False).
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        count = COUNTS.setdefault(function.__name__, Count())

        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> None:
            began = time.process_time()
            count.cases += 1
            try:
                outcome = function(*args, **kwargs)
            finally:
                count.seconds += time.process_time() - began
            count.read += outcome is True
            count.refused += outcome is False

        return settings(
            max_examples=share * TIMES,
            derandomize=TIMES == 1,
            database=None,
            deadline=None,
            suppress_health_check=SLOW,
            phases=[Phase.generate, Phase.shrink][: 1 + SHRINKS],
        )(counted)

    return decorate


def add_counts(of_worker: dict[str, Count]) -> None:
    """Add what another process has tried."""
    for name, one in of_worker.items():
        count = COUNTS.setdefault(name, Count())
        count.cases += one.cases
        count.seconds += one.seconds
        count.read += one.read
        count.refused += one.refused


def table_of_counts() -> list[str]:
    """A row of Markdown for each property that was tried."""
    rows = [
        f"| {name.removeprefix('test_').replace('_', ' ')} | {one.cases:,} | {one.read:,} "
        f"| {one.refused:,} | {one.seconds:,.0f} |"
        for name, one in sorted(COUNTS.items())
        if one.cases
    ]
    rows += [f"| all | {sum(one.cases for one in COUNTS.values()):,} | | | |"] if rows else []
    head = [
        "| property | cases | read | refused in a sentence | CPU s |",
        "|---|--:|--:|--:|--:|",
    ]
    return head + rows if rows else []


def command(*words: str) -> tuple[int, str, str]:
    """The exit code, output and errors (warnings too) of `upgate ...` in this process."""
    out, err = io.StringIO(), io.StringIO()
    log, handler = logging.getLogger("upgate"), logging.StreamHandler(err)
    log.addHandler(handler)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(words))
    finally:
        log.removeHandler(handler)
    return code, out.getvalue(), err.getvalue()


def check_command(*words: str) -> bool:
    """Run a command: done, or refused in one sentence; whether it was done."""
    code, _, err = command(*words)
    assert code in (0, 2), (code, words)
    if code == 2:
        lines = [line for line in err.splitlines() if line.startswith("upgate: ")]
        assert len(lines) == 1 and len(lines[0]) > len("upgate: ") and "Traceback" not in err, err
    return code == 0

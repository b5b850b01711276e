"""Errors of the user's making: one sentence, exit code 2, no traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A request that cannot be carried out; the message is one sentence that says what to do."""


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that was most likely meant, whatever its case; None where none is near."""
    lower = {name.lower(): name for name in sorted(names)}
    near = get_close_matches(word.lower(), lower, n=3, cutoff=0.6)
    swapped = [
        name for name in near if sorted(name) == sorted(word.lower())
    ]  # prot is port, though root scores the same
    return lower[[*swapped, *near][0]] if near else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the nearest choice, else a list of the first 20 choices."""
    names = sorted(choices)
    near = nearest(word, names)
    if near is not None:
        return f", did you mean '{near}'?"
    return f"; there is {', '.join(names[:20]) or 'none'}" + (", ..." if len(names) > 20 else "")

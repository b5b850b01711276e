"""The one way in which bad input is told: a sentence, exit code 2, no traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """What the user asked for cannot be done; the message is one sentence that says what to do instead."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest choice, else the list of choices (the first 20)."""
    names = sorted(choices)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f", did you mean '{near[0]}'?"
    return f"; there is {', '.join(names[:20])}" + (", ..." if len(names) > 20 else "")

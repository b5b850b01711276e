"""Errors of the user's making: one sentence, exit code 2, no traceback."""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches

from upgate.messages import Message, joined, say

# what the machine's files refuse, and what helps; a file that is missing is a fault of ours
REMEDIES = {
    errno.EISDIR: "a folder is where a file should be; move it away",
    errno.ENOTDIR: "a file is where a folder should be; move it away",
    errno.ENOTEMPTY: "a folder is where a file should be; move it away",
    errno.ELOOP: "a symbolic link is not followed there; remove it",
    errno.EACCES: "give yourself the right to read and write it",
    errno.EPERM: "give yourself the right to read and write it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk cannot be read or written there",
    errno.ESTALE: "the disk cannot be read or written there",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "make room, and give the command again",
    errno.EDQUOT: "make room, and give the command again",
    errno.EFBIG: "make room, and give the command again",
    errno.EMFILE: "raise the limit of open files, as in ulimit -n 4096",
    errno.ENFILE: "raise the limit of open files, as in ulimit -n 4096",
}


class UserError(Exception):
    """A request that cannot be carried out; the message is one sentence that says what to do."""


def describe_refusal(error: OSError) -> str | None:
    """A sentence on a file that the machine refuses; None for any other error."""
    number = error.errno or 0
    if number not in REMEDIES:
        return None
    place = error.filename2 or error.filename or "a file"
    return f"{os.fsdecode(place)}: {os.strerror(number)}; {REMEDIES[number]}"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that was most likely meant, whatever its case; None where none is near."""
    lower = {name.lower(): name for name in sorted(names)}
    near = get_close_matches(word.lower(), lower, n=3, cutoff=0.6)
    swapped = [
        name for name in near if sorted(name) == sorted(word.lower())
    ]  # prot is port, though root scores the same
    return lower[[*swapped, *near][0]] if near else None


def did_you_mean(word: str, choices: Iterable[str]) -> Message:
    """`, did you mean 'x'?` for the nearest choice, else a list of the first 20 choices."""
    names = sorted(choices)
    near = nearest(word, names)
    if near is not None:
        return say("did_you_mean", near=near)
    more = ["..."] * (len(names) > 20)
    return say("there_is", names=joined([*names[:20], *more]) if names else say("none"))


def unknown_key(key: str, hint: str) -> UserError:
    """The error for a key that is not there. hint: of `did_you_mean`."""
    return UserError(say("unknown_key", key=key, hint=hint))


def not_a_choice(choice: str, hint: str) -> UserError:
    """The error for `key=value` with a value that is not there. hint: of `did_you_mean`."""
    return UserError(say("not_a_choice", choice=choice, hint=hint))

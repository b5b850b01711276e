"""Errors of the user's making: one sentence, exit code 2, no traceback."""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches

from upgate.messages import Message, joined, say

# what the machine's files refuse, and what helps; a missing file is a fault of ours
REMEDIES = {
    errno.EISDIR: "remedy_folder",
    errno.ENOTDIR: "remedy_file",
    errno.ENOTEMPTY: "remedy_folder",
    errno.ELOOP: "remedy_link",
    errno.EACCES: "remedy_right",
    errno.EPERM: "remedy_right",
    errno.ENAMETOOLONG: "remedy_shorter",
    errno.EIO: "remedy_disk",
    errno.ESTALE: "remedy_disk",
    errno.EROFS: "remedy_place",
    errno.ENOSPC: "remedy_room",
    errno.EDQUOT: "remedy_room",
    errno.EFBIG: "remedy_room",
    errno.EMFILE: "remedy_limit",
    errno.ENFILE: "remedy_limit",
}


class UserError(Exception):
    """A request that cannot be carried out; the message is one sentence that says what to do."""


def describe_refusal(error: OSError) -> str | None:
    """A sentence on a file that the machine refuses; None for any other error."""
    number = error.errno or 0
    if number not in REMEDIES:
        return None
    place = error.filename2 or error.filename or "a file"
    words = {"place": os.fsdecode(place), "cause": os.strerror(number)}
    return say("refusal", **words, remedy=say(REMEDIES[number]))


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
    return say("there_is", names=joined([*names[:20], *more])) if names else say("there_is_none")


def unknown_key(key: str, hint: str) -> UserError:
    """The error for a key that is not there. hint: of `did_you_mean`."""
    return UserError(say("unknown_key", key=key, hint=hint))


def not_a_choice(choice: str, hint: str) -> UserError:
    """The error for `key=value` with a value that is not there. hint: of `did_you_mean`."""
    return UserError(say("not_a_choice", choice=choice, hint=hint))

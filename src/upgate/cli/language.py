"""In which language the terminal answers: `language=zh|en`, else the environment, else English."""

import sys
from collections.abc import Mapping, Sequence

from upgate.errors import UserError, did_you_mean, not_a_choice
from upgate.messages import ENGLISH, LANGUAGES, WORD, say

CHINESE = "zh"
VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # POSIX: the first that is set and not empty decides


def choose_language(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """The language that a word names, else that of the locale, such as zh_CN.UTF-8.

    English where the encoding of the output has no Chinese characters.
    """
    locale = next(filter(None, map(environment.get, VARIABLES)), "")
    language = CHINESE if locale.startswith(CHINESE) else ENGLISH
    for word in words:
        if word.startswith(WORD):
            language = word.removeprefix(WORD)
    try:
        "中文".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return ENGLISH
    return language


def without_language(words: Sequence[str]) -> list[str]:
    """The words of a command, which never sees the language: it is part of no run.

    Raises UserError for a language that is not there, and for two.
    """
    named = [word for word in words if word.startswith(WORD)]
    if len(named) > 1:
        raise UserError(say("set_twice", first=named[0], second=named[1], key=WORD.rstrip("=")))
    for word in named:
        language = word.removeprefix(WORD)
        if language not in LANGUAGES:
            raise not_a_choice(word, did_you_mean(language, LANGUAGES))
    return [word for word in words if word not in named]

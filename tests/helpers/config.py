"""Words composed as the command does it: the sentence that refuses them, or the value that they
give.
"""

from typing import Any

import pytest

from upgate.config.compose import compose
from upgate.config.words import expand
from upgate.errors import UserError


def refusal(*words: str, multirun: bool = False, extra: str | None = None) -> str:
    """The one sentence with which the words are refused."""
    with pytest.raises(UserError) as caught:
        for job in expand(words, multirun, extra):
            compose(job, extra)
    sentence = str(caught.value)
    assert sentence and "\n" not in sentence and "Traceback" not in sentence
    return sentence


def value(key: str, *words: str) -> Any:
    found: Any = compose(words)
    for part in key.split("."):
        found = found[part]
    return found

"""Messages: English wherever they are kept, another language where they are shown."""

import json
import pickle
from copy import deepcopy

import pytest

from upgate.errors import UserError, did_you_mean, unknown_key
from upgate.messages import Message, in_language, joined, say, shown, speaking

TEXTS = {"en": "{n} of {what}", "zh": "{what}的 {n}"}


def test_a_message_is_its_english_whatever_language_is_spoken() -> None:
    message = Message(TEXTS, {"n": 2, "what": say("one_run", n="1")})
    with speaking("zh"):
        assert message == "2 of 1 run" and json.dumps(message) == '"2 of 1 run"'
        assert {message: 1}["2 of 1 run"] == 1 and f"{message}!" == "2 of 1 run!"
        assert str(UserError(message)) == "2 of 1 run"
        assert shown(message) == "1 次运行的 2"  # what is within it is translated too
    assert shown(message) == message


@pytest.mark.parametrize("copied", [deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_keeps_its_translations(copied: "type[Message]") -> None:
    message = Message(TEXTS, {"n": 1, "what": "x"})
    assert in_language(copied(message), "zh") == "x的 1"


def test_what_has_no_translation_is_shown_in_english() -> None:
    assert in_language(Message({"en": "only {n}"}, {"n": 1}), "zh") == "only 1"
    assert in_language("a {sentence} of a task from outside", "zh").startswith("a {sentence}")
    assert say.of("one", "no such thing") == "no such thing"


def test_parts_are_joined_as_the_language_joins_them() -> None:
    names = joined(["a", say("none"), "{b}"])
    assert names == "a, none, {b}" and in_language(names, "zh") == "a、无、{b}"
    assert joined([]) == ""


def test_an_error_and_its_hint_are_one_message() -> None:
    (sentence,) = unknown_key("sede", did_you_mean("sede", ["seed", "fold"])).args
    assert sentence == "unknown key sede, did you mean 'seed'?"
    assert in_language(sentence, "zh") == "未知的键 sede，是否指 'seed'？"

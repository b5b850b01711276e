"""Words of the command line: done, or refused in one sentence; never a traceback."""

from hypothesis import given
from hypothesis import strategies as st

from helpers.fuzz import cases, check_command
from helpers.fuzz_words import LETTERS, overrides
from upgate.cli.entry import COMMANDS

NOWHERE = "root=/dev/null/nowhere"  # composes and checks everything, then trains nothing
words = st.lists(overrides(), max_size=4)


@given(st.sampled_from(["train", "study", "tune"]), words, st.booleans())
@cases(100)
def test_words_of_a_training(command: str, given_words: list[str], sweep: bool) -> bool:
    flags = ["-m"] * (sweep and command == "train")
    kept = [word for word in given_words if not word.startswith(("-h", "--h"))]
    return check_command(command, *flags, *kept, NOWHERE)


@given(words, st.booleans())
@cases(40)
def test_words_whose_configuration_is_shown(given_words: list[str], sweep: bool) -> bool:
    return check_command("train", "--cfg=job", *["-m"] * sweep, *given_words)


FEW = sorted(set(COMMANDS) - {"train", "study", "tune", "ui", "check-part"})


@given(st.sampled_from(FEW), words)
@cases(40)
def test_words_of_commands_that_read(command: str, given_words: list[str]) -> bool:
    return check_command(command, *given_words, NOWHERE)


@given(st.lists(LETTERS, max_size=4))
@cases(40)
def test_words_that_are_none(given_words: list[str]) -> bool:
    if given_words and given_words[0] in COMMANDS:
        given_words = ["nothing", *given_words]
    return check_command(*given_words)

"""Durations for people, and the commands that repeat a study."""

import pytest

from upgate.console import format_duration
from upgate.experiment.session import repeat_commands


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 seconds"),
        (89.4, "89 seconds"),
        (90.0, "2 minutes"),
        (5399.0, "90 minutes"),
        (5400.0, "1.5 hours"),
    ],
)
def test_a_duration_has_the_unit_that_reads_best(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_commands_repeat_and_report_with_the_folder_of_own_choices_and_the_root() -> None:
    again, report = repeat_commands("study", ["task=stock", "root=my runs"], "mine", "stock-pair-1")
    assert again == "upgate study --yes --config-dir mine task=stock 'root=my runs'"
    assert report == "upgate report --config-dir mine study=stock-pair-1 'root=my runs'"
    again, report = repeat_commands("tune", ["tune.yes=true"], None, "x")
    assert again == "upgate tune tune.yes=true" and report == "upgate report tune=x"


def test_commands_hold_no_password() -> None:
    given = ["tune.storage=postgresql://me:secret@host/db"]
    assert "secret" not in " ".join(repeat_commands("tune", given, None, "x"))

"""What a configuration gives on this machine: its threads."""

import pytest

from upgate.run import resolve
from upgate.run.resolve import resolve_threads


@pytest.mark.parametrize(
    ("asked", "cores", "omp", "expected"),
    [
        (None, 64, None, 2),
        (None, 1, None, 1),  # a container of one core
        (None, 64, "1", 1),  # a user's own setting
        (None, 64, "1,2", 1),  # OpenMP's list of nested levels
        (None, 64, "8", 2),
        (None, 64, "", 2),
        (8, 1, "1", 8),
    ],
)
def test_threads_are_two_or_what_the_machine_and_the_user_allow(
    asked: int | None,
    cores: int,
    omp: str | None,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolve, "cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if omp is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert resolve_threads(asked) == expected

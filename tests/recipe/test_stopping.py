"""stopping: scripted validation curves."""

import math

import pytest

from helpers.parts import made
from upgate.config.compose import choices


def script(
    losses: list[float], name: str = "early", **knobs: float
) -> tuple[list[int], int | None]:
    """The epochs that were the best so far, and the one after which the run stopped."""
    stopping = made("stopping", name, **knobs)
    best = []
    for epoch, loss in enumerate(losses):
        if stopping.update(loss, epoch):
            best.append(epoch)
        if stopping.done():
            return best, epoch
    return best, None


nan, inf = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "best", "stopped"),
    [
        ([5, 4, 3, 2, 1], [0, 1, 2, 3, 4], None),  # falls on
        (
            [3, 2, 2.5, 2.4, 2.3, 1],
            [0, 1],
            4,
        ),  # a plateau of `patience` epochs, the fall after it never seen
        ([3, 2, 2, 2, 2, 1], [0, 1], 4),  # a tie is no improvement
        (
            [3, 2, 2.5, 2.4, 1.9, 2, 2, 2],
            [0, 1, 4],
            7,
        ),  # an improvement at the last moment starts the count again
        (
            [3, nan, nan, 2, nan, nan, nan],
            [0, 3],
            6,
        ),  # NaN is no improvement, and does not spoil what comes after
        ([nan, nan, nan], [], 2),  # never a best: nothing is kept
        ([inf, inf, 7, 8, 9, 9], [2], 5),
        ([nan, 3, 2], [1, 2], None),  # the first number after NaN is a best
        ([0, -1, -2], [0, 1, 2], None),
    ],
)
def test_early_without_min_delta(losses: list[float], best: list[int], stopped: int | None) -> None:
    assert script(losses, patience=3, min_delta=0.0) == (best, stopped)


@pytest.mark.parametrize(
    ("losses", "best", "stopped"),
    [
        (
            [10, 9.5, 9.2, 9],
            [0],
            2,
        ),  # each too little, measured from the best and not from the last
        ([10, 9.5, 8.9, 8.8, 7.8], [0, 2, 4], None),
        ([10, 9, 8], [0, 2], None),  # exactly min_delta is not enough
        ([5000], [0], None),
    ],
)
def test_early_with_min_delta(losses: list[float], best: list[int], stopped: int | None) -> None:
    assert script(losses, patience=2, min_delta=1.0) == (best, stopped)


def test_none_uses_the_whole_budget() -> None:
    stopping = made("stopping", "none")
    for epoch, loss in enumerate([1, 2, nan, inf, 3]):
        stopping.update(loss, epoch)
        assert not stopping.done()
    assert not stopping.keeps_best


@pytest.mark.parametrize("name", choices("stopping"))
@pytest.mark.parametrize("cut", range(7))
def test_a_stopping_goes_on_where_it_was_cut(name: str, cut: int) -> None:
    losses = [3, 2, 2.5, nan, 1.9, 2, 2, 2, 2, 2, 2]
    whole, resumed = made("stopping", name), made("stopping", name)
    for epoch, loss in enumerate(losses[:cut]):
        whole.update(loss, epoch)
    resumed.load_state_dict(whole.state_dict())
    for epoch, loss in enumerate(losses[cut:], start=cut):
        assert (whole.update(loss, epoch), whole.done()) == (
            resumed.update(loss, epoch),
            resumed.done(),
        )
    assert whole.state_dict() == resumed.state_dict()

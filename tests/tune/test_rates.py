"""The learning rate by successive halving: equal effort, the better rate, ends of the grid."""

import math

import numpy as np
import pytest

from upgate.tune.rates import BEYOND, KEPT, REACH, Halving, most_trials, short_budget


def search(halving: Halving, best: float, width: float = 1.0, diverges: float = math.inf) -> int:
    """Search a valley around the rate 10^best; the number of runs. diverges: log10 of the rate."""

    def loss(step: int) -> float:
        log = math.log10(halving.rate(step))
        return ((log - best) / width) ** 2 if log < diverges else math.inf

    runs = 0
    for losses, due in (
        (halving.short, halving.grid),
        (halving.short, halving.beyond),
        (halving.full, halving.finalists),
    ):
        steps = due()
        losses |= {step: loss(step) for step in steps}
        runs += len(steps)
    return runs


@pytest.mark.parametrize("default", [1e-4, 3e-3, 0.1, 1.0])
def test_the_nearest_rate_of_a_valley_is_found_with_equal_effort(default: float) -> None:
    for best in np.linspace(-1.4, 1.4, 15):
        halving = Halving(default)
        runs = search(halving, math.log10(default) + best)
        chosen = halving.choose()
        assert chosen is not None
        distances = [abs(step / 2 - best) for step in halving.short]
        assert abs(chosen / 2 - best) <= min(distances) + 0.01  # three digits of a rate
        beyond = len(halving.short) - (2 * REACH + 1)
        assert beyond in (0, BEYOND) and runs == 2 * REACH + 1 + beyond + KEPT <= most_trials()


def test_the_grid_is_extended_once_and_an_end_is_said() -> None:
    halving = Halving(1e-3)
    search(halving, best=2.0)
    chosen = halving.choose()
    assert chosen == REACH + BEYOND and halving.edge(chosen) == "high"
    inside = Halving(1e-3)
    search(inside, best=-3.0)
    assert inside.choose() == 0 and inside.edge(0) == "" and inside.rate(0) == 1e-3


def test_what_diverges_is_last_and_lower_rates_are_tried() -> None:
    halving = Halving(1.0)
    search(halving, best=1.0, diverges=-1.2)
    chosen = halving.choose()
    assert chosen == -3 and min(halving.short) == -4
    hopeless = Halving(1.0)
    assert search(hopeless, best=0.0, diverges=-9.0) == 2 * REACH + 1 + BEYOND
    assert hopeless.choose() is None and not hopeless.finalists()


def test_of_equal_rates_the_default_wins() -> None:
    halving = Halving(0.01)
    search(halving, best=0.0, width=math.inf)
    assert halving.choose() == 0


def test_a_short_run_has_30_percent_of_every_limit() -> None:
    assert short_budget({"max_epochs": 10, "max_steps": -1}) == ["trainer.max_epochs=3"]
    assert short_budget({"max_epochs": 1}) == ["trainer.max_epochs=1"]
    assert short_budget({"max_epochs": -1, "max_steps": 101}) == ["trainer.max_steps=31"]

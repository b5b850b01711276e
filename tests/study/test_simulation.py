"""A scenario fails where its level, coverage or power is off, and holds where they are not."""

import numpy as np

from upgate.study import simulation
from upgate.study.simulation import Row, markdown


def test_a_row_names_what_is_off() -> None:
    good = Row("good", 10_000, 0.05, 0.051, 0.949, 0.83, 0.833)
    bad = Row("bad", 10_000, 0.05, 0.06, 0.91, 0.7, 0.833)
    assert good.faults == [] and bad.faults == ["level", "coverage", "power"]
    assert "| holds |" in markdown([good]) and "level, coverage, power" in markdown([bad])
    low, high = good.interval
    assert low < 0.051 < high and high - low < 0.01


def test_the_series_of_dates_has_its_autocorrelation_and_variance() -> None:
    x = simulation._series(np.random.default_rng(0), 400)
    assert abs(np.mean(x[1:] * x[:-1]) - simulation.PHI) < 0.02 and abs(x.var() - 1) < 0.02


def test_scenarios_without_an_effect_have_none() -> None:
    rng = np.random.default_rng(1)
    for name, draw in simulation.DRAWS.items():
        means = np.array([draw(rng).mean() for _ in range(4000)])
        assert abs(means.mean()) < 5 * means.std() / np.sqrt(len(means)), name

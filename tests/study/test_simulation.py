"""A scenario fails where its level, coverage or power is off, and holds where they are not."""

import numpy as np
import pytest

from upgate.study import scenarios
from upgate.study.scenarios import SCENARIOS, Sample, Scenario
from upgate.study.simulation import ScenarioRow, markdown, measure, remedies


def test_a_row_names_what_is_off() -> None:
    good = ScenarioRow("good", 10_000, 0.05, 0.051, 0.949, 10_000, 0.83, 0.833)
    bad = ScenarioRow("bad", 10_000, 0.05, 0.06, 0.91, 10_000, 0.7, 0.833, "too few")
    assert good.faults == [] and bad.faults == ["level", "coverage", "power"]
    assert "| holds |" in markdown([good]) and "level, coverage, power**; too few" in markdown(
        [bad]
    )
    low, high = good.interval
    assert low < 0.051 < high and high - low < 0.01


def test_coverage_is_that_of_the_intervals_that_were_printed() -> None:
    def study(rng: np.random.Generator) -> Sample:
        told = bool(rng.random() < 0.5)
        return Sample(False, bool(rng.random() < 0.9) if told else None)

    row = measure(Scenario("x", study), 2000, (0,))
    assert 900 < row.intervals < 1100 and row.coverage == pytest.approx(0.9, abs=0.03)
    assert row.faults == ["coverage"]


def test_the_series_of_dates_has_its_autocorrelation_and_variance() -> None:
    x = scenarios.series(np.random.default_rng(0), 400)
    assert abs(np.mean(x[1:] * x[:-1]) - scenarios.PHI) < 0.02 and abs(x.var() - 1) < 0.02


def test_skewed_differences_have_no_mean_and_a_spread_of_1() -> None:
    rng = np.random.default_rng(1)
    x = rng.lognormal(sigma=0.5, size=100_000)
    assert x.std() == pytest.approx(scenarios.d_spread(0.5), rel=0.02)


FAST = [one for one in SCENARIOS if not one.reason and one.share == 1]


@pytest.mark.parametrize("scenario", FAST, ids=[one.name for one in FAST])
def test_a_share_of_the_studies_holds(scenario: Scenario) -> None:
    row = measure(scenario, 80, (7,))
    assert set(row.faults) <= {"power"}  # whose gap of 5 points is less than the noise of 80


def test_null_parts_of_a_fraction_get_no_label_where_three_parts_saturate() -> None:
    rng = np.random.default_rng(0)
    assert not any(scenarios.saturating("factorial", 7, "abc", rng).wrong for _ in range(10))


def test_parts_of_a_fraction_get_their_labels_where_nothing_interacts() -> None:
    rng = np.random.default_rng(0)
    wrong = [scenarios.saturating("factorial", 7, "a", rng).wrong for _ in range(20)]
    assert np.mean(wrong) < 0.25
    judged = scenarios.judge_parts("factorial", 7, "a", rng)
    assert judged["a"].label == "helps" and judged["a"].effect == pytest.approx(-1, abs=0.1)


def test_a_family_is_not_called_equivalent_at_the_level_of_holms_last_step() -> None:
    rng = np.random.default_rng(0)
    wrong = [scenarios.equivalent_family(rng).wrong for _ in range(200)]
    assert np.mean(wrong) < 0.10  # 5% and three standard errors; 15% at Holm's levels


def test_a_judge_without_its_gate_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios.Judge, "small_remainder", lambda *_: True)
    rng = np.random.default_rng(0)
    assert all(scenarios.saturating("factorial", 7, "abc", rng).wrong for _ in range(5))


def test_no_remedy_for_skewness_holds_its_level() -> None:
    rows = remedies(4000).splitlines()[2:]
    levels = [float(row.split("|")[3].strip().rstrip("%")) for row in rows]
    assert len(rows) == 5 and min(levels) > 6 and levels[0] > 15

"""The self-test holds, and would notice a judge or a training that is wrong."""

import io

import numpy as np
import pytest
from rich.console import Console

from upgate.stats.power import power
from upgate.study import selftest as controls
from upgate.study.scenarios import SCENARIOS
from upgate.study.selftest import (
    PHI,
    Check,
    found_differences,
    rate_bounds,
    selftest,
    simulate_prices,
)


def test_controls_hold_and_what_the_t_test_does_not_bear_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "SCENARIO_STUDIES", 30)
    console = Console(file=io.StringIO(), width=80)
    assert selftest(console) == 1
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "all 5 controls hold; " in said and "`make selftest`" in said
    shown = [line.strip() for line in said.split("simulated studies a scenario")[1].splitlines()]
    rows = [line for line in shown if line.endswith(("holds", "FAILS"))]
    assert len(rows) == len(SCENARIOS)
    failing = [line for line in rows if line.endswith("FAILS")]
    known = [one.name for one in SCENARIOS if one.reason]
    assert failing and all(any(line[:12] == name[:12] for name in known) for line in failing)


def test_a_judge_that_finds_too_much_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).normal(size=(400, 6))
    low, high = rate_bounds(0.05)
    assert low <= found_differences(noise) <= high
    assert (
        found_differences(noise + 0.5) > high
        and not Check("x", found_differences(noise + 0.5), low, high).holds
    )
    monkeypatch.setattr(controls, "ALPHA", 0.2)
    assert found_differences(noise) > high


def test_the_planted_effect_is_found_as_often_as_its_power_says() -> None:
    found = found_differences(np.random.default_rng(2).normal(1.0, size=(400, 6)))
    low, high = rate_bounds(power(1.0, 6))
    assert low <= found <= high and low < power(1.0, 6) < high


@pytest.mark.parametrize("phi", [0.0, PHI])
def test_simulated_returns_have_the_autocorrelation_asked_for(phi: float) -> None:
    returns = np.diff(np.log(simulate_prices(phi, seed=3)["close"]))
    assert np.corrcoef(returns[1:], returns[:-1])[0, 1] == pytest.approx(phi, abs=0.05)
    assert returns.std() == pytest.approx(0.01 / np.sqrt(1 - phi**2), rel=0.05)

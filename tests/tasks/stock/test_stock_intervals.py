"""Intervals of price forecasts: whose errors make them, and what they hold."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from upgate.data.prices.features import DEFAULT_FEATURES, TARGETS, Panel
from upgate.data.prices.windows import StockTensors, build_tensors, unscale
from upgate.data.splits.chronological import holdout
from upgate.tasks.stock.intervals import fit_radii, measure_intervals

DAYS = 400
every_target = pytest.mark.parametrize("target", TARGETS)


def walk(ticker: str, seed: int) -> pd.DataFrame:
    """A random walk with bars around it; a later ticker moves ten times as much."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.002 * 10**seed, DAYS)))
    high, low = close * np.exp(rng.uniform(0.001, 0.02, (2, DAYS)) * [[1], [-1]])
    bars = {"open": close, "high": high, "low": low, "close": close, "volume": 1000.0}
    days = pd.bdate_range("2015-01-01", periods=DAYS)
    return pd.DataFrame({"ticker": ticker, "date": days, **bars})


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.of(pd.concat([walk("AAA", 0), walk("BBB", 1)], ignore_index=True))


def made(panel: Panel, target: str) -> StockTensors:
    return build_tensors(
        panel,
        fold=holdout(DAYS, gap=1)[0],
        window=8,
        horizon=1,
        target=target,
        features=DEFAULT_FEATURES[target],
        bad="drop",
    )


def guesses(tensors: StockTensors, part: str) -> torch.Tensor:
    made = np.random.default_rng(3).normal(size=len(tensors.origin[part]))
    return torch.from_numpy(made.astype(np.float32))


@every_target
def test_the_test_part_does_not_enter(target: str, panel: Panel) -> None:
    tensors = made(panel, target)
    radii = fit_radii(tensors, guesses(tensors, "validation"))
    assert set(radii) == {"80", "90", "95"}
    y, truth = tensors.y.clone(), tensors.target.copy()
    for part in ("train", "test"):
        y[tensors.origin[part]] = 1e6
        truth[tensors.origin[part].numpy()] = 1e6
    other = dataclasses.replace(tensors, y=y, target=truth)
    assert fit_radii(other, guesses(tensors, "validation")) == radii
    y = tensors.y.clone()
    y[tensors.origin["validation"]] += 3  # and the validation part does
    assert fit_radii(dataclasses.replace(tensors, y=y), guesses(tensors, "validation")) != radii


@every_target
def test_coverage_and_width_are_counted_in_target_units(target: str, panel: Panel) -> None:
    tensors, radii = made(panel, target), {"80": 0.5, "95": 1.5}
    scaled = guesses(tensors, "test")
    row = tensors.origin["test"].numpy()
    forecast = unscale(scaled.numpy(), row, panel, tensors.scaling)
    got = measure_intervals(tensors, "test", scaled, radii)
    own = tensors.scaling["y"]["tickers"]
    unit = np.array([own[panel.tickers[i]]["scale"][0] for i in panel.ticker[row]])
    for level, radius in radii.items():
        error = np.abs(tensors.target[row] - forecast)
        assert got[f"coverage_{level}"] == pytest.approx((error <= radius * unit).mean())
        assert got[f"width_{level}"] == pytest.approx(2 * radius * unit.mean())
    assert 0 <= got["coverage_80"] <= got["coverage_95"] <= 1


def test_a_ticker_that_moves_more_has_wider_intervals(panel: Panel) -> None:
    tensors = made(panel, "return")
    radii = fit_radii(tensors, torch.zeros(len(tensors.origin["validation"])))
    row = tensors.origin["test"].numpy()
    held = {}
    for i, name in enumerate(panel.tickers):
        own = torch.from_numpy(row[panel.ticker[row] == i])
        one = dataclasses.replace(tensors, origin={**tensors.origin, "test": own})
        held[name] = measure_intervals(one, "test", torch.zeros(len(own)), radii)
    assert held["BBB"]["width_90"] > 5 * held["AAA"]["width_90"]
    assert min(one["coverage_90"] for one in held.values()) > 0.75  # a pooled scale holds 1 and 0.8

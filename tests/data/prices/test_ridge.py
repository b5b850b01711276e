"""Ridge against its closed form, its limits, and a signal that only a window of days shows."""

import numpy as np
import pandas as pd
import pytest
import torch

from upgate.data.prices.features import DEFAULT_FEATURES, TARGETS, Panel
from upgate.data.prices.ridge import (
    PENALTIES,
    fit_ridge,
    ridge_forecasts,
    validation_errors,
    window_moments,
)
from upgate.data.prices.windows import StockTensors, build_tensors, unscale, window_batches
from upgate.data.splits.chronological import holdout

WINDOW = 6


def bars(ticker: str, log_return: np.ndarray, seed: int) -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(log_return))
    high, low = close * np.exp(
        np.random.default_rng(seed).uniform(0.002, 0.02, (2, len(close))) * [[1], [-1]]
    )
    days = pd.bdate_range("2010-01-01", periods=len(close))
    columns = {"open": close, "high": high, "low": low, "close": close, "volume": 1.0}
    return pd.DataFrame({"ticker": ticker, "date": days, **columns})


def panel_of(n: int, lag: int = 0, phi: float = 0.0) -> Panel:
    """Two tickers whose return follows that of `lag` days before."""
    tables = []
    for i, name in enumerate(("A", "B")):
        noise = np.random.default_rng(i).normal(0, 0.01, n)
        for t in range(lag, n if phi else 0):
            noise[t] += phi * noise[t - lag]
        tables.append(bars(name, noise, i))
    return Panel.of(pd.concat(tables, ignore_index=True))


def made(panel: Panel, target: str) -> StockTensors:
    return build_tensors(
        panel,
        fold=holdout(len(panel.dates), gap=1)[0],
        window=WINDOW,
        horizon=1,
        target=target,
        features=DEFAULT_FEATURES[target],
        bad="refuse",
    )


def flat(tensors: StockTensors, part: str) -> tuple[np.ndarray, np.ndarray]:
    batch = window_batches(tensors.x, tensors.y, WINDOW)(tensors.origin[part])
    return batch["x"].flatten(1).double().numpy(), batch["y"].double().numpy()


@pytest.mark.parametrize("target", TARGETS)
def test_the_fit_solves_the_normal_equations_of_the_flattened_windows(target: str) -> None:
    tensors = made(panel_of(400), target)
    x, y = flat(tensors, "train")
    size = x.var(axis=0).mean()
    for penalty in (1e-2, 1.0):
        slopes, intercept = fit_ridge(window_moments(tensors), penalty)
        # the same as least squares with rows sqrt(n lambda) I below the centred windows
        below = np.sqrt(len(y) * penalty * size) * np.eye(x.shape[1])
        rows = np.concatenate([x - x.mean(axis=0), below])
        wanted = np.linalg.lstsq(rows, np.concatenate([y - y.mean(), np.zeros(x.shape[1])]))[0]
        np.testing.assert_allclose(slopes, wanted, atol=1e-7 * np.abs(wanted).max())
        assert intercept == pytest.approx(y.mean() - x.mean(axis=0) @ slopes, abs=1e-9)


def test_a_huge_penalty_leaves_the_training_mean() -> None:
    tensors = made(panel_of(400), "volatility")
    slopes, intercept = fit_ridge(window_moments(tensors), 1e12)
    assert np.abs(slopes).max() < 1e-10
    assert intercept == pytest.approx(float(flat(tensors, "train")[1].mean()), abs=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_forecasts_are_the_chosen_fit_on_every_window(target: str) -> None:
    panel = panel_of(400, lag=3, phi=0.5)
    tensors = made(panel, target)
    fits = [fit_ridge(window_moments(tensors), penalty) for penalty in PENALTIES]
    x, y = flat(tensors, "validation")
    errors = [float(((x @ b + a - y) ** 2).sum()) for b, a in fits]
    np.testing.assert_allclose(validation_errors(tensors, fits), errors, rtol=1e-9)
    slopes, intercept = fits[int(np.argmin(errors))]
    got = ridge_forecasts(panel, tensors)
    for part in ("train", "validation", "test"):
        row = tensors.origin[part].numpy()
        wanted = unscale(flat(tensors, part)[0] @ slopes + intercept, row, panel, tensors.scaling)
        np.testing.assert_allclose(got[row], wanted, rtol=1e-9, atol=1e-12)
    assert np.isfinite(got).all()


def test_ridge_finds_a_signal_three_days_back_and_makes_little_of_noise() -> None:
    for phi, low, high in ((0.5, 0.7, 0.85), (0.0, 0.98, 1.03)):
        panel = panel_of(4000, lag=3, phi=phi)
        tensors = made(panel, "return")
        row = tensors.origin["test"].numpy()
        error = (ridge_forecasts(panel, tensors)[row] - tensors.target[row]) ** 2
        # a signal of phi = .5 explains a quarter of the variance
        assert low < error.mean() / (tensors.target[row] ** 2).mean() < high


def test_labels_of_other_parts_play_no_part_in_the_fit() -> None:
    panel = panel_of(400)
    tensors = made(panel, "return")
    before = window_moments(tensors)
    for part in ("validation", "test"):
        tensors.y[tensors.origin[part]] = torch.nan
    after = window_moments(tensors)
    assert before.xy.tobytes() == after.xy.tobytes() and before.y == after.y

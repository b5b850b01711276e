"""The references against closed forms, `lstsq` by hand, planted coefficients and what is known of
the S&P 500.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.project import SHARED_DATA, needs_shared_prices
from upgate.data.prices.baselines import (
    DECAY,
    HAR_ENOUGH,
    ar1_coefficients,
    drifts,
    ewma_volatility,
    har_coefficients,
    har_inputs,
    har_leverage_coefficients,
    har_leverage_inputs,
    log_volatility,
    references,
)
from upgate.data.prices.features import DEFAULT_FEATURES, FLOOR, Panel, parkinson
from upgate.data.prices.windows import StockTensors, build_tensors
from upgate.data.splits.chronological import holdout


def bars(
    ticker: str, log_return: np.ndarray, volatility: np.ndarray, start: str = "2010-01-01"
) -> pd.DataFrame:
    """Bars with these close returns, and with these ranges (daily standard deviations) exactly."""
    close = 100 * np.exp(np.cumsum(log_return))
    spread = np.exp(volatility * np.sqrt(np.log(2)))  # ln(H/L) = 2 sigma sqrt(ln 2)
    days = pd.bdate_range(start, periods=len(close))
    table = {
        "open": close,
        "high": close * spread,
        "low": close / spread,
        "close": close,
        "volume": 1.0,
    }
    return pd.DataFrame({"ticker": ticker, "date": days, **table})


def random_bars(
    ticker: str, n: int, seed: int, drift: float = 0.0, start: str = "2010-01-01"
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return bars(ticker, rng.normal(drift, 0.01, n), 0.01 * np.exp(rng.normal(0, 0.4, n)), start)


def har_bars(ticker: str, n: int, seed: int, b: tuple[float, ...]) -> pd.DataFrame:
    """Volatility that follows log s_{t+1} = b0 + b1 day + b2 week + b3 month + noise of .2."""
    rng = np.random.default_rng(seed)
    variance = np.empty(n)
    variance[:22] = 1e-4
    for t in range(21, n - 1):
        averages = [
            0.5 * np.log(variance[t - days + 1 : t + 1].mean() + FLOOR) for days in (1, 5, 22)
        ]
        variance[t + 1] = np.exp(2 * (b[0] + np.dot(b[1:], averages) + rng.normal(0, 0.2)))
    return bars(ticker, rng.normal(0, 1, n) * np.sqrt(variance), np.sqrt(variance))


def tensors(panel: Panel, target: str, horizon: int = 1, window: int = 5) -> StockTensors:
    fold = holdout(len(panel.dates), gap=horizon)[0]
    features = DEFAULT_FEATURES[target]
    return build_tensors(
        panel,
        fold=fold,
        window=window,
        horizon=horizon,
        target=target,
        features=features,
        bad="drop",
    )


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Two whole tickers of opposite drift, and one seen for 20 days of the training part only."""
    tables = [random_bars("DOWN", 500, 1, -0.002), random_bars("UP", 500, 2, 0.002)]
    return Panel.of(
        pd.concat([*tables, random_bars("YOUNG", 180, 3, start="2011-04-01")], ignore_index=True)
    )


@pytest.mark.parametrize("horizon", [1, 5])
def test_persistence_is_the_last_value(panel: Panel, horizon: int) -> None:
    assert (references(panel, tensors(panel, "return", horizon))["persistence"] == 0).all()
    assert (references(panel, tensors(panel, "level", horizon))["persistence"] == panel.close).all()
    got = references(panel, tensors(panel, "volatility", horizon))["persistence"]
    variance = parkinson(panel)
    for t in (600, 750, 999):  # of UP
        assert got[t] == pytest.approx(
            0.5 * np.log(variance[t - horizon + 1 : t + 1].mean() + FLOOR)
        )


@pytest.mark.parametrize("horizon", [1, 5])
def test_drift_is_the_mean_training_label_of_the_ticker(panel: Panel, horizon: int) -> None:
    made = tensors(panel, "return", horizon)
    got, train = drifts(panel, made), made.origin["train"].numpy()
    for i in (0, 1):
        row = train[panel.ticker[train] == i]
        assert got[i] == pytest.approx(np.log(panel.close[row + horizon] / panel.close[row]).mean())
    assert got[0] < -0.001 * horizon and got[1] > 0.001 * horizon
    few = (panel.ticker[train] == 2).sum()
    assert 0 < few < 30 and got[2] == pytest.approx(
        made.target[train].mean()
    )  # too few of its own: everyone's
    assert (references(panel, made)["drift"] == got[panel.ticker]).all()


def test_drift_of_a_level_compounds_and_of_a_volatility_is_its_mean(panel: Panel) -> None:
    level, change, volatility = (
        tensors(panel, name, 5) for name in ("level", "return", "volatility")
    )
    got = references(panel, level)["drift"]
    train = level.origin["train"].numpy()
    row = train[panel.ticker[train] == 1]
    drift = np.log(panel.close[row + 5] / panel.close[row]).mean()
    np.testing.assert_allclose(
        got[panel.ticker == 1], panel.close[panel.ticker == 1] * np.exp(drift)
    )
    assert drift == pytest.approx(
        drifts(panel, change)[1], rel=0.05
    )  # the same label, a window more or less
    train = volatility.origin["train"].numpy()
    mean = volatility.target[train[panel.ticker[train] == 1]].mean()
    np.testing.assert_allclose(references(panel, volatility)["drift"][panel.ticker == 1], mean)


def test_log_volatility_averages_what_there_is_at_a_start(panel: Panel) -> None:
    variance, got = parkinson(panel), log_volatility(panel, 5)
    for start in panel.first[:-1]:
        for age in (0, 2, 4, 5, 50):
            t = start + age
            assert got[t] == pytest.approx(
                0.5 * np.log(variance[max(start, t - 4) : t + 1].mean() + FLOOR)
            )


def test_har_is_least_squares_on_the_training_samples(panel: Panel) -> None:
    made = tensors(panel, "volatility", 2)
    got, x, train = har_coefficients(panel, made), har_inputs(panel), made.origin["train"].numpy()
    for i in (0, 1):
        row = train[panel.ticker[train] == i]
        np.testing.assert_allclose(got[i], np.linalg.lstsq(x[row], made.target[row])[0], rtol=1e-8)
        residual = made.target[row] - x[row] @ got[i]
        np.testing.assert_allclose(x[row].T @ residual, 0, atol=1e-8)  # the normal equations
    assert (panel.ticker[train] == 2).sum() < HAR_ENOUGH
    np.testing.assert_allclose(got[2], np.linalg.lstsq(x[train], made.target[train])[0], rtol=1e-8)
    forecast = references(panel, made)["har"]
    np.testing.assert_allclose(forecast[[600, 1100]], [x[600] @ got[1], x[1100] @ got[2]])


def test_har_recovers_planted_coefficients_and_beats_the_others() -> None:
    planted = {"A": (-0.5, 0.35, 0.3, 0.25), "B": (-1.0, 0.1, 0.5, 0.2)}
    panel = Panel.of(
        pd.concat([har_bars(name, 8000, i, b) for i, (name, b) in enumerate(planted.items())])
    )
    made = tensors(panel, "volatility")
    got = har_coefficients(panel, made)
    for i, name in enumerate(panel.tickers):
        np.testing.assert_allclose(
            got[i, 1:], planted[name][1:], atol=0.06
        )  # 3 standard errors and less
        np.testing.assert_allclose(got[i, 0], planted[name][0], atol=0.25)
    row = made.origin["test"].numpy()
    mse = {
        name: np.mean((y[row] - made.target[row]) ** 2)
        for name, y in references(panel, made).items()
    }
    assert mse["har"] == pytest.approx(0.2**2, rel=0.05)  # the noise is all that is left
    assert mse["har"] < mse["persistence"] and mse["har"] < mse["drift"]


def ar1_returns(n: int, seed: int, phi: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    r = np.zeros(n)
    for t in range(1, n):
        r[t] = phi * r[t - 1] + rng.normal(0, 0.01)
    return r


def test_ar1_recovers_phi_of_each_ticker_and_beats_persistence_there() -> None:
    planted = {"A": 0.3, "B": -0.2}
    tables = [
        bars(name, ar1_returns(8000, i, phi), np.full(8000, 0.01))
        for i, (name, phi) in enumerate(planted.items())
    ]
    panel = Panel.of(pd.concat(tables, ignore_index=True))
    for target in ("return", "level"):
        made = tensors(panel, target)
        # standard error of phi: sqrt((1 - phi^2) / 4800) = .014
        np.testing.assert_allclose(
            ar1_coefficients(panel, made)[:, 1], list(planted.values()), atol=0.045
        )
        mse = error(panel, made)
        assert mse["ar1"] < 0.97 * mse["persistence"]
        assert mse["ar1"] < mse["drift"]
    made = tensors(panel, "return")
    row = made.origin["test"].numpy()
    mse = np.mean((references(panel, made)["ar1"][row] - made.target[row]) ** 2)
    assert mse == pytest.approx(0.01**2, rel=0.05)  # the noise is all that is left


def test_ar1_is_fitted_on_the_training_samples_and_a_young_ticker_takes_everyones(
    panel: Panel,
) -> None:
    for target in ("return", "volatility"):
        made = tensors(panel, target)
        train, got = made.origin["train"].numpy(), ar1_coefficients(panel, made)
        last = (
            np.append(np.nan, np.diff(np.log(panel.close)))
            if target == "return"
            else log_volatility(panel, 1)
        )
        for ticker, row in ((0, train[panel.ticker[train] == 0]), (2, train)):
            slope, intercept = np.polyfit(last[row], made.target[row], 1)
            np.testing.assert_allclose(got[ticker], [intercept, slope], rtol=1e-6)


def test_har_with_leverage_finds_a_planted_effect_of_falls_and_none_of_rises() -> None:
    """log s_{t+1} = -4.6 + .4 (log s_t + 4.6) - 15 min(r_t, 0) + noise: the day's alone."""
    rng = np.random.default_rng(5)
    change, log_s = rng.normal(0, 0.01, 6000), np.full(6000, -4.6)
    for t in range(5999):
        noise = rng.normal(0, 0.1)
        log_s[t + 1] = -4.6 + 0.4 * (log_s[t] + 4.6) - 15 * min(change[t], 0) + noise
    panel = Panel.of(bars("A", change, np.exp(log_s)))
    made = tensors(panel, "volatility")
    got = har_leverage_coefficients(panel, made)[0]
    assert got[1] == pytest.approx(0.4, abs=0.05) and got[4] == pytest.approx(-15, abs=1)
    assert abs(got[5]) < 3 and abs(got[6]) < 6
    mse = error(panel, made)
    assert mse["har_leverage"] < 0.8 * mse["har"]


def test_the_falls_of_leverage_are_those_of_the_ticker_and_of_its_past(panel: Panel) -> None:
    falls = har_leverage_inputs(panel)[:, 4:]
    change = np.diff(np.log(panel.close))
    start = panel.first[1]
    assert (falls[start] == 0).all()
    for t in (start + 1, start + 30, start + 400):
        known = change[start:t]  # log returns of the days start + 1 to t
        means = [known[-days:].mean() for days in (1, 5, 22)]
        np.testing.assert_allclose(falls[t], np.minimum(means, 0), atol=1e-12)


def test_ewma_is_its_closed_form_at_a_start_and_the_riskmetrics_recursion_later(
    panel: Panel,
) -> None:
    variance, got = parkinson(panel), ewma_volatility(panel)
    for start in panel.first[:-1]:
        for age in (0, 1, 30, 150):
            days = variance[start : start + age + 1]
            weights = DECAY ** np.arange(age, -1, -1.0)
            mean = (weights * days).sum() / weights.sum()
            assert got[start + age] == pytest.approx(0.5 * np.log(mean + FLOOR))
    t = 450  # the sum of the weights is 1 / (1 - DECAY) to 12 digits
    before, now = (np.exp(2 * got[i]) - FLOOR for i in (t - 1, t))
    assert now == pytest.approx(DECAY * before + (1 - DECAY) * variance[t], rel=1e-9)


@pytest.mark.parametrize("target", DEFAULT_FEATURES)
def test_there_is_a_forecast_at_every_row(panel: Panel, target: str) -> None:
    made = tensors(panel, target)
    got = references(panel, made)
    everywhere = {"persistence", "drift", "ar1", "ridge"}
    assert set(got) == everywhere | (
        {"har", "har_leverage", "ewma"} if target == "volatility" else set()
    )
    known = np.isin(panel.ticker, panel.ticker[np.concatenate(list(made.origin.values()))])
    assert known.all() or target == "level"  # YOUNG is left out there: it has no scale
    for name, values in got.items():
        assert values.shape == panel.close.shape and values.dtype == np.float64
        assert np.isfinite(values[known] if name == "ridge" else values).all()


def gspc() -> Panel:
    table = pd.read_parquet(SHARED_DATA / "stock" / "us_daily_long_adj.parquet")
    return Panel.of(
        table[(table["ticker"] == "GSPC") & (table["date"] >= "1985-01-01")].sort_values("date")
    )


def error(panel: Panel, made: StockTensors) -> dict[str, float]:
    row = made.origin["test"]
    assert torch.isfinite(made.y[row]).all()
    return {
        name: np.mean((y[row] - made.target[row]) ** 2)
        for name, y in references(panel, made).items()
    }


@needs_shared_prices
@pytest.mark.parametrize("horizon", [1, 5, 22])
def test_on_the_s_and_p_500_har_beats_persistence_beats_the_mean(horizon: int) -> None:
    panel = gspc()
    made = tensors(panel, "volatility", horizon, window=22)
    mse = error(panel, made)
    assert mse["har"] < 0.8 * mse["persistence"] and mse["har"] < mse["drift"]
    slopes = har_coefficients(panel, made)[0, 1:]
    assert (
        slopes > 0
    ).all() and 0.7 < slopes.sum() < 1  # volatility is persistent, and returns to its mean


@needs_shared_prices
def test_on_the_s_and_p_500_nothing_is_much_better_than_no_change() -> None:
    panel = gspc()
    for target in ("return", "level"):
        mse = error(panel, tensors(panel, target))
        assert mse["drift"] == pytest.approx(mse["persistence"], rel=0.005)

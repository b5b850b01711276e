"""What evaluate gives against plain NumPy, and forecasts whose worth is known beforehand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from upgate.data.prices.baselines import references
from upgate.data.prices.features import DEFAULT_FEATURES, TARGETS, Floats, Panel
from upgate.data.prices.windows import StockTensors, build_tensors
from upgate.data.splits.chronological import holdout
from upgate.tasks.base import Evaluation
from upgate.tasks.stock.metrics import evaluate_forecasts, mean_ratio

HORIZON, DAYS = 3, 300
every_target = pytest.mark.parametrize("target", TARGETS)


def walk(ticker: str, seed: int) -> pd.DataFrame:
    """A random walk with bars around it; each ticker is rougher than the one before, so pooling is
    not averaging.
    """
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01 * seed, DAYS)))
    high, low = close * np.exp(rng.uniform(0.001, 0.02, (2, DAYS)) * [[1], [-1]])
    bars = {"open": close, "high": high, "low": low, "close": close, "volume": 1000.0}
    return pd.DataFrame(
        {"ticker": ticker, "date": pd.bdate_range("2015-01-01", periods=DAYS), **bars}
    )


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.of(
        pd.concat(
            [walk(name, i) for i, name in enumerate(("AAA", "BBB", "CCC"), 1)], ignore_index=True
        )
    )


def made(panel: Panel, target: str) -> StockTensors:
    fold = holdout(DAYS, gap=HORIZON)[0]
    return build_tensors(
        panel,
        fold=fold,
        window=8,
        horizon=HORIZON,
        target=target,
        features=DEFAULT_FEATURES[target],
        bad="drop",
    )


def unscaled(tensors: StockTensors) -> StockTensors:
    """The same tensors whose scaled forecasts are in target units, so that no rounding stands
    between.
    """
    return dataclasses.replace(
        tensors,
        scaling=tensors.scaling
        | {"y": {"tickers": {}, "pooled": {"centre": [0.0], "scale": [1.0]}}},
    )


def noisy(tensors: StockTensors) -> torch.Tensor:
    """Scaled forecasts a good deal off, (n,) float32."""
    y = tensors.y[tensors.origin["test"]]
    return y + torch.from_numpy(np.random.default_rng(0).normal(0, 0.5, len(y)).astype(np.float32))


def evaluate(tensors: StockTensors, part: str, scaled: torch.Tensor) -> Evaluation:
    return evaluate_forecasts(tensors, references(tensors.panel, tensors), part, scaled)


def in_units(tensors: StockTensors, scaled: torch.Tensor) -> Floats:
    row = tensors.origin["test"].numpy()
    fits = [
        tensors.scaling["y"]["tickers"][tensors.panel.tickers[i]] for i in tensors.panel.ticker[row]
    ]
    return np.array(
        [
            s * fit["scale"][0] + fit["centre"][0]
            for s, fit in zip(scaled.tolist(), fits, strict=True)
        ]
    )


def ratio(tensors: StockTensors, forecast: Floats, other: Floats) -> float:
    """The geometric mean over tickers of the MSEs' ratios."""
    row = tensors.origin["test"].numpy()
    of, truth = tensors.panel.ticker[row], tensors.target[row]
    ratios = [
        np.mean((forecast - truth)[of == i] ** 2) / np.mean((other - truth)[of == i] ** 2)
        for i in np.unique(of)
    ]
    assert len(ratios) == 3
    return float(np.prod(ratios) ** (1 / 3))


def mase(tensors: StockTensors, error: Floats, naive: Floats) -> float:
    """error: (n,) of the test samples; naive: (N,) by origin row."""
    panel, row, train = tensors.panel, *(tensors.origin[p].numpy() for p in ("test", "train"))
    ratios = [
        error[panel.ticker[row] == i].mean() / naive[train[panel.ticker[train] == i]].mean()
        for i in range(len(panel.tickers))
    ]
    return float(np.mean(ratios))


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_in_mase_a_ticker_of_any_price_weighs_the_same(panel: Panel, factor: float) -> None:
    scaled_up = np.where(panel.ticker == 0, factor, 1.0)
    other = dataclasses.replace(
        panel,
        **{name: getattr(panel, name) * scaled_up for name in ("open", "high", "low", "close")},
    )
    first, second = made(panel, "level"), made(other, "level")
    scaled = noisy(first)
    one, two = (evaluate(tensors, "test", scaled).metrics for tensors in (first, second))
    assert two["mase"] == pytest.approx(one["mase"], rel=1e-5)
    assert two["mae"] != pytest.approx(one["mae"], rel=0.1)


@every_target
def test_metrics_are_their_formulas(panel: Panel, target: str) -> None:
    tensors = made(panel, target)
    scaled = noisy(tensors)
    row = tensors.origin["test"].numpy()
    forecast, truth, others = (
        in_units(tensors, scaled),
        tensors.target[row],
        references(panel, tensors),
    )
    base, drift, error = others["persistence"][row], others["drift"][row], forecast - truth
    expected = {
        "samples": len(row),
        "always_up": np.mean(truth > base),
        "mse": np.mean(error**2),
        "mae": np.mean(np.abs(error)),
        "r2_oos": 1 - np.sum(error**2) / np.sum((drift - truth) ** 2),
        "direction": np.mean((forecast > base) == (truth > base)),
        "mse_ratio": ratio(tensors, forecast, base),
        "mase": mase(tensors, np.abs(error), np.abs(tensors.target - others["persistence"])),
        "persistence/mse": np.mean((base - truth) ** 2),
        "drift/mse_ratio": ratio(tensors, drift, base),
        "ar1/mse_ratio": ratio(tensors, others["ar1"][row], base),
        "ridge/mse_ratio": ratio(tensors, others["ridge"][row], base),
    }
    got = evaluate(tensors, "test", scaled).metrics
    assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("target", ["return", "level"])
def test_price_metrics_are_in_units_of_the_price(panel: Panel, target: str) -> None:
    tensors = made(panel, target)
    scaled = noisy(tensors)
    row, forecast = tensors.origin["test"].numpy(), in_units(tensors, scaled)
    price = panel.close[row] * np.exp(forecast) if target == "return" else forecast
    error = price - panel.close[row + HORIZON]
    got = evaluate(tensors, "test", scaled)
    assert got.metrics["price_mse"] == pytest.approx(np.mean(error**2))
    assert got.metrics["price_mae"] == pytest.approx(np.mean(np.abs(error)))
    assert got.metrics["persistence/price_mae"] == pytest.approx(
        np.mean(np.abs(panel.close[row] - panel.close[row + HORIZON]))
    )
    np.testing.assert_allclose(got.tables["forecasts"]["price_truth"], panel.close[row + HORIZON])


@every_target
def test_a_perfect_forecast_has_no_error(panel: Panel, target: str) -> None:
    tensors = unscaled(made(panel, target))
    got = evaluate(
        tensors, "test", torch.from_numpy(tensors.target[tensors.origin["test"].numpy()])
    ).metrics
    errors = {
        "mse",
        "mae",
        "mse_ratio",
        "mse_ratio_har",
        "mase",
        "price_mse",
        "price_mae",
    } & got.keys()
    assert {name: got[name] for name in errors} == dict.fromkeys(errors, 0.0)
    assert len(errors) == (5 if target == "volatility" else 6)
    assert got["r2_oos"] == got["direction"] == 1


@every_target
def test_to_forecast_persistence_is_to_have_its_ratio_of_1(panel: Panel, target: str) -> None:
    tensors = unscaled(made(panel, target))
    base = references(panel, tensors)["persistence"][tensors.origin["test"].numpy()]
    got = evaluate(tensors, "test", torch.from_numpy(base)).metrics
    assert got["mse_ratio"] == got["persistence/mse_ratio"] == 1
    assert {
        got[name] == got[f"persistence/{name}"] for name in ("mse", "mae", "r2_oos", "direction")
    } == {True}
    assert got["direction"] == pytest.approx(1 - got["always_up"])  # no change is never up


@every_target
def test_har_is_there_for_volatility_only_and_prices_for_the_others(
    panel: Panel, target: str
) -> None:
    tensors = made(panel, target)
    got = evaluate(tensors, "test", noisy(tensors))
    har = [
        name
        for name in (*got.metrics, *got.tables["forecasts"], *got.tables["tickers"])
        if "har" in name
    ]
    prices = [name for name in (*got.metrics, *got.tables["forecasts"]) if "price" in name]
    assert bool(har) == (target == "volatility") and bool(prices) == (target != "volatility")
    if har:
        assert {"har", "har/mse", "har/mse_ratio", "mse_ratio_har"} <= set(har)
        har_forecast = references(panel, tensors)["har"][tensors.origin["test"].numpy()]
        assert got.metrics["mse_ratio_har"] == pytest.approx(
            ratio(tensors, in_units(tensors, noisy(tensors)), har_forecast)
        )


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_tables_have_a_row_per_sample_and_per_ticker(panel: Panel, part: str) -> None:
    tensors = made(panel, "return")
    row = tensors.origin[part].numpy()
    got = evaluate(tensors, part, tensors.y[tensors.origin[part]])
    assert (got.tables["forecasts"]["ticker"] == np.array(panel.tickers)[panel.ticker[row]]).all()
    assert (got.tables["forecasts"]["date"] == panel.dates[panel.date[row]]).all()
    assert (got.tables["forecasts"]["label_date"] == panel.dates[panel.date[row + HORIZON]]).all()
    assert (
        got.tables["tickers"]["ticker"].tolist() == panel.tickers
        and got.tables["tickers"]["samples"].sum() == len(row) == got.metrics["samples"]
    )


def test_a_ticker_that_never_moves_has_no_ratio_and_is_left_out() -> None:
    tickers = pd.DataFrame({"forecast": [2.0, 8.0, 0.5], "persistence": [1.0, 2.0, 0.0]})
    assert mean_ratio(tickers, "forecast", "persistence") == pytest.approx(8**0.5)
    assert mean_ratio(tickers[2:], "forecast", "persistence") == float("inf")

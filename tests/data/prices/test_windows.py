"""Features, labels, membership and scaling against slow plain code; and the future changes nothing
of the past.
"""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.project import SHARED_DATA, needs_shared_prices
from upgate.data.prices.baselines import (
    ar1_coefficients,
    drifts,
    har_coefficients,
    har_leverage_coefficients,
    references,
)
from upgate.data.prices.features import (
    DEFAULT_FEATURES,
    FEATURES,
    FLOOR,
    TARGETS,
    Panel,
    inputs,
    labels,
    parkinson,
)
from upgate.data.prices.ridge import fit_ridge, window_moments
from upgate.data.prices.skip import fit_skip, skip_forecasts
from upgate.data.prices.windows import (
    ENOUGH,
    StockTensors,
    apply_scaling,
    build_tensors,
    to_price,
    unscale,
    window_batches,
)
from upgate.data.splits.chronological import Fold, holdout, walk_forward
from upgate.errors import UserError

PRICES = ["open", "high", "low", "close"]
WINDOW, HORIZON = 10, 3


def walk(ticker: str, dates: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    """A random walk with bars around it, some volume missing or 0."""
    rng = np.random.default_rng(seed)
    n = len(dates)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, n)))
    open_ = close * np.exp(rng.normal(0, 0.01, n))
    spread = np.exp(np.abs(rng.normal(0, 0.01, (2, n))) + 1e-4)
    volume = rng.integers(1_000, 9_000, n).astype(float)
    volume[rng.random(n) < 0.05], volume[rng.random(n) < 0.05] = np.nan, 0.0
    bars = {
        "open": open_,
        "high": np.maximum(open_, close) * spread[0],
        "low": np.minimum(open_, close) / spread[1],
    }
    return pd.DataFrame({"ticker": ticker, "date": dates, **bars, "close": close, "volume": volume})


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Whole, on every day, with a long hole, listed late, gone early, too briefly seen to have
    statistics of its own.
    """
    days, number = pd.bdate_range("2015-01-01", periods=400), np.arange(400)
    hole, every = days[(number < 270) | (number > 286)], pd.date_range(days[0], periods=500)
    dates = {
        "AAA": days,
        "BTC-USD": every,
        "HOLE": hole,
        "LATE": days[330:],
        "LEFT": days[:200],
        "ZSHORT": days[280:],
    }
    return pd.concat(
        [walk(name, dates[name], i) for i, name in enumerate(dates, 1)], ignore_index=True
    )


@pytest.fixture(scope="module")
def panel(table: pd.DataFrame) -> Panel:
    return Panel.of(table)


def make(
    panel: Panel, target: str, fold: Fold, horizon=HORIZON, window=WINDOW, bad="drop", features=None
):
    features = features or DEFAULT_FEATURES[target]
    return build_tensors(
        panel, fold=fold, window=window, horizon=horizon, target=target, features=features, bad=bad
    )


def the_fold(panel: Panel) -> Fold:
    return holdout(len(panel.dates), gap=HORIZON)[0]


def test_the_panel_is_the_table(table: pd.DataFrame, panel: Panel) -> None:
    assert (np.array(panel.tickers)[panel.ticker] == table["ticker"]).all()
    assert (panel.dates[panel.date] == table["date"]).all() and (
        np.diff(panel.dates) > np.timedelta64(0)
    ).all()
    assert all(
        (table["ticker"].iloc[panel.first[i]] == name) for i, name in enumerate(panel.tickers)
    )
    assert panel.first[-1] == len(table)


def test_features_are_their_formulas(table: pd.DataFrame, panel: Panel) -> None:
    before = table.groupby("ticker")["close"].shift()
    for name in PRICES:
        np.testing.assert_allclose(FEATURES[f"{name}_return"](panel), np.log(table[name] / before))
        np.testing.assert_array_equal(FEATURES[name](panel), table[name])
    variance = np.log(table["high"] / table["low"]) ** 2 / (4 * np.log(2))
    np.testing.assert_allclose(FEATURES["range_volatility"](panel), 0.5 * np.log(variance + FLOOR))
    np.testing.assert_array_equal(FEATURES["volume"](panel), table["volume"].fillna(0))


def test_volume_change_is_0_where_there_is_no_volume(table: pd.DataFrame, panel: Panel) -> None:
    now, before = table["volume"], table.groupby("ticker")["volume"].shift()
    change, both = FEATURES["volume_change"](panel), (now > 0) & (before > 0)
    np.testing.assert_allclose(change[both], np.log((now / before)[both]))
    first = np.isin(np.arange(len(table)), panel.first)
    assert (
        np.isnan(change[first]).all()
        and (change[~both & ~first] == 0).all()
        and (~both & ~first).sum() > 100
    )


@pytest.mark.parametrize("horizon", [1, 3])
def test_labels_are_their_formulas(panel: Panel, horizon: int) -> None:
    got = {name: labels(panel, name, horizon) for name in TARGETS}
    variance = parkinson(panel)
    for t in range(len(panel.close)):
        if t + horizon >= panel.first[panel.ticker[t] + 1]:
            assert all(np.isnan(y[t]) for y in got.values())
            continue
        assert got["return"][t] == pytest.approx(np.log(panel.close[t + horizon] / panel.close[t]))
        assert got["level"][t] == panel.close[t + horizon]
        assert got["volatility"][t] == pytest.approx(
            0.5 * np.log(variance[t + 1 : t + horizon + 1].mean())
        )


def test_a_volatility_label_over_flat_bars_alone_is_missing_and_counted(
    table: pd.DataFrame,
) -> None:
    flat = table[table["ticker"] == "AAA"].reset_index(drop=True)
    flat.loc[50:59, ["open", "high", "low"]] = np.tile(flat.loc[50:59, ["close"]], 3)
    panel = Panel.of(flat)
    y = labels(panel, "volatility", 3)
    assert np.flatnonzero(np.isnan(y)).tolist() == [
        *range(49, 57),
        397,
        398,
        399,
    ]  # t+1..t+3 all flat; beyond the end
    made = make(panel, "volatility", the_fold(panel))
    assert (
        made.notes["labels_flat"] == 8
        and not np.isin(made.origin["train"], np.arange(49, 57)).any()
    )


def test_means_over_days_and_over_the_panel_by_brute_force(panel: Panel) -> None:
    change = FEATURES["close_return"](panel)
    week, market = FEATURES["close_return_5"](panel), FEATURES["market_return_1"](panel)
    for t in range(0, len(change), 7):
        first = panel.first[panel.ticker[t]]
        own = change[max(first, t - 4) : t + 1]
        day = change[(panel.date == panel.date[t]) & np.isfinite(change)]
        for got, values in ((week[t], own[np.isfinite(own)]), (market[t], day)):
            assert got == pytest.approx(values.mean()) if len(values) else np.isnan(got)


@pytest.mark.parametrize("target", TARGETS)
def test_a_network_may_start_from_the_forecast_of_the_reference(panel: Panel, target: str) -> None:
    made = make(panel, target, the_fold(panel))
    skip = fit_skip(made)
    scaled = skip_forecasts(panel, json.loads(json.dumps(skip)), made.scaling)
    known = np.flatnonzero(np.isfinite(scaled.numpy()))
    name = {"return": "drift", "level": "persistence", "volatility": "har"}[target]
    forecast = unscale(scaled.double().numpy()[known], known, panel, made.scaling)
    np.testing.assert_allclose(forecast, references(panel, made)[name][known], rtol=1e-5, atol=1e-6)
    batch = window_batches(made.x, made.y, WINDOW, scaled)(made.origin["train"])
    assert torch.equal(batch["skip"], scaled[made.origin["train"]])


def test_names_are_checked(panel: Panel) -> None:
    with pytest.raises(UserError, match="did you mean 'close_return'"):
        inputs(panel, ["close_retrun"])
    with pytest.raises(UserError, match="did you mean 'volatility'"):
        labels(panel, "volatilty", 1)


@pytest.mark.parametrize("target", TARGETS)
def test_membership_by_brute_force(panel: Panel, target: str) -> None:
    fold = the_fold(panel)
    made = make(panel, target, fold)
    values = inputs(panel, DEFAULT_FEATURES[target])
    left_out = {"LATE", "ZSHORT"} if target == "level" else set()
    for part in ("train", "validation", "test"):
        wanted = []
        for t in range(len(panel.close)):
            i = panel.ticker[t]
            inside = t - WINDOW + 1 >= panel.first[i] and t + HORIZON < panel.first[i + 1]
            if (
                inside
                and panel.tickers[i] not in left_out
                and np.isfinite(values[t - WINDOW + 1 : t + 1]).all()
            ):
                dates = {panel.date[t], panel.date[t + HORIZON]}
                if dates <= set(getattr(fold, part)):
                    wanted.append((panel.date[t], i, t))
        assert wanted and made.origin[part].tolist() == [t for _, _, t in sorted(wanted)]


def test_a_label_that_jumps_a_hole_over_the_boundary_is_purged(panel: Panel) -> None:
    """HOLE's rows stop 17 days before day 287: with a boundary in the hole, its last labels end
    behind it.
    """
    boundary = int(
        np.searchsorted(panel.dates, np.datetime64(pd.bdate_range("2015-01-01", periods=400)[280]))
    )
    fold = Fold(
        range(boundary), range(boundary, boundary + 60), range(boundary + 60, len(panel.dates))
    )
    made = make(panel, "return", fold)
    hole = panel.tickers.index("HOLE")
    train = made.origin["train"].numpy()
    own = train[panel.ticker[train] == hole]
    last_before = np.flatnonzero((panel.ticker == hole) & (panel.date < boundary)).max()
    assert own.max() == last_before - HORIZON
    assert (
        panel.date[train + HORIZON].max()
        < boundary
        <= panel.date[made.origin["validation"].numpy()].min()
    )


@pytest.mark.parametrize("target", ["return", "volatility"])
def test_training_rows_come_out_standard_and_labels_too(panel: Panel, target: str) -> None:
    fold = the_fold(panel)
    made = make(panel, target, fold)
    training = (panel.date < fold.train.stop) & np.isfinite(
        inputs(panel, DEFAULT_FEATURES[target])
    ).all(axis=1)
    for i, name in enumerate(panel.tickers):
        if name in ("LATE", "ZSHORT"):
            continue
        x = made.x.numpy()[training & (panel.ticker == i)].astype(np.float64)
        np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-3)  # clipping moves it a little
        np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-2)
        train = made.origin["train"].numpy()
        y = made.y.numpy()[train[panel.ticker[train] == i]].astype(np.float64)
        assert y.mean() == pytest.approx(0, abs=1e-6) and y.std() == pytest.approx(1, abs=1e-6)


def test_levels_come_out_between_0_and_1_on_the_training_range_and_grow_out_of_it(
    panel: Panel,
) -> None:
    fold = the_fold(panel)
    made = make(panel, "level", fold)
    own = (panel.ticker == 0) & (panel.date < fold.train.stop)
    x = made.x.numpy()
    assert (x[own].min(axis=0) == 0).all() and (x[own].max(axis=0) == 1).all()
    raised = dataclasses.replace(
        panel, close=np.where(panel.date >= fold.test.start, 1e3, 1) * panel.close
    )
    assert make(raised, "level", fold).x.max() > 100  # not clipped


def test_one_absurd_day_is_clipped(panel: Panel) -> None:
    split = panel.close.copy()
    split[200:400] /= 10  # AAA, unadjusted ten-for-one split
    made = make(dataclasses.replace(panel, close=split), "return", the_fold(panel))
    assert made.x.abs().max() == 10 and made.x[200].abs().max() == 10


def test_a_constant_column_is_scaled_by_1() -> None:
    days = pd.bdate_range("2015-01-01", periods=200)
    index = walk("^VIX", days, 1).assign(volume=0.0)
    panel = Panel.of(index)
    for target, column in (("return", "volume_change"), ("level", "volume")):
        made = make(panel, target, the_fold(panel))
        own = made.scaling["x"]["tickers"]["^VIX"]
        assert own["scale"][DEFAULT_FEATURES[target].index(column)] == 1
        assert (made.x[:, DEFAULT_FEATURES[target].index(column)] == 0).all()
    third = made.panel.close * 0 + 0.1 + 0.2  # a constant whose computed deviation is not exactly 0
    flat = dataclasses.replace(panel, open=third, high=third, low=third, close=third)
    assert make(flat, "return", the_fold(panel)).x.abs().max() < 1e-12


def test_a_ticker_without_training_rows_takes_the_pool_or_is_left_out(panel: Panel) -> None:
    fold = the_fold(panel)
    late = panel.tickers.index("LATE")
    made = make(panel, "return", fold)
    assert (
        not {"LATE", "ZSHORT"} & set(made.scaling["x"]["tickers"])
        and made.notes["tickers_without_own_scale"] == 2
    )
    values = inputs(panel, DEFAULT_FEATURES["return"])
    training = (panel.date < fold.train.stop) & np.isfinite(values).all(axis=1)
    row = made.origin["test"].numpy()
    row = row[panel.ticker[row] == late]
    expected = (values[row] - values[training].mean(axis=0)) / values[training].std(axis=0)
    assert len(row) > 10
    np.testing.assert_allclose(made.x.numpy()[row], expected.clip(-10, 10), rtol=1e-4, atol=1e-6)
    level = make(panel, "level", fold)
    assert level.notes["tickers_without_own_scale"] == 2
    assert not any((panel.ticker[row.numpy()] == late).any() for row in level.origin.values())
    assert all(torch.isfinite(level.y[row]).all() for row in level.origin.values())


@pytest.mark.parametrize("target", TARGETS)
def test_unscaling_gives_the_label_and_its_price(panel: Panel, target: str) -> None:
    made = make(panel, target, the_fold(panel))
    row = made.origin["test"].numpy()
    back = unscale(made.y.numpy()[row], row, panel, made.scaling)
    np.testing.assert_allclose(back, made.target[row], rtol=1e-4, atol=1e-6)
    price = to_price(made.target[row], row, panel, made.scaling)
    if target == "volatility":
        assert price is None
    else:
        np.testing.assert_allclose(price, panel.close[row + HORIZON])


@pytest.mark.parametrize("target", TARGETS)
def test_scaling_is_plain_and_gives_new_data_the_same_inputs(panel: Panel, target: str) -> None:
    made = make(panel, target, the_fold(panel))
    file = io.BytesIO()
    torch.save(made.scaling, file)
    file.seek(0)
    assert (
        torch.load(file, weights_only=True) == made.scaling == json.loads(json.dumps(made.scaling))
    )
    keep = np.isin(
        np.array(panel.tickers)[panel.ticker], ["AAA", "LEFT"]
    )  # new data: other tickers, other rows
    table = pd.DataFrame({name: getattr(panel, name)[keep] for name in [*PRICES, "volume"]})
    table["ticker"], table["date"] = (
        np.array(panel.tickers)[panel.ticker[keep]],
        panel.dates[panel.date[keep]],
    )
    x, origin = apply_scaling(Panel.of(table), made.scaling, WINDOW)
    assert torch.equal(x, made.x[torch.from_numpy(keep)]) and origin.tolist() == [399, 599]


def test_prediction_refuses_what_it_cannot_scale_or_fill(panel: Panel) -> None:
    new = Panel.of(walk("NEW", pd.bdate_range("2020-01-01", periods=40), 9))
    level, change = make(panel, "level", the_fold(panel)), make(panel, "return", the_fold(panel))
    with pytest.raises(UserError, match="NEW had no training range"):
        apply_scaling(new, level.scaling, WINDOW)
    x, origin = apply_scaling(new, change.scaling, WINDOW)
    assert torch.isfinite(x).all() and origin.tolist() == [39]
    with pytest.raises(UserError, match="NEW has 40 rows, and a forecast needs 41"):
        apply_scaling(new, change.scaling, 40)


def test_no_training_sample_names_ticker_rows_and_need() -> None:
    panel = Panel.of(walk("APTV", pd.bdate_range("2017-12-05", periods=44), 1))
    with pytest.raises(
        UserError, match=r"APTV, the longest ticker, has 26 training rows, .* need 64"
    ):
        make(panel, "return", the_fold(panel), window=60)
    with pytest.raises(UserError, match=rf"has 26 training rows, .* need {10 + 3 + ENOUGH - 1}"):
        make(panel, "level", the_fold(panel))


def test_all_bars_flat_is_said() -> None:
    index = walk("GSPC", pd.bdate_range("1928-01-02", periods=200), 1)
    index[["open", "high", "low"]] = np.tile(index[["close"]], 3)
    panel = Panel.of(index)
    with pytest.raises(UserError, match="flat bars"):
        make(panel, "volatility", the_fold(panel))
    assert len(make(panel, "return", the_fold(panel)).origin["train"])


def test_a_short_ticker_is_refused_or_dropped_and_counted(panel: Panel) -> None:
    fold = the_fold(panel)
    with pytest.raises(
        UserError,
        match=r"LATE has 70 rows, and window=90 with horizon=3 needs 94; .* data.bad=drop",
    ):
        make(panel, "return", fold, window=90, bad="refuse")
    made = make(panel, "return", fold, window=90)
    assert made.notes["tickers_too_short"] == 1
    assert not any(
        (panel.ticker[row] == panel.tickers.index("LATE")).any() for row in made.origin.values()
    )
    assert make(panel, "return", fold, window=10, bad="refuse").notes["tickers_too_short"] == 0


def louder(panel: Panel, since: int) -> Panel:
    """Multiply everything from a date on by a million, and the highs once more: a range knows no
    common factor.
    """
    later = np.where(panel.date >= since, 1e6, 1.0)
    factors = {"open": later, "high": later**2, "low": later, "close": later, "volume": later}
    return dataclasses.replace(
        panel, **{name: getattr(panel, name) * factor for name, factor in factors.items()}
    )


def seen(made: StockTensors, part: str) -> dict:
    """All that a part's samples are made of, exactly."""
    row = made.origin[part]
    batch = window_batches(made.x, made.y, made.window)(row)
    arrays = {**batch, "target": torch.from_numpy(made.target)[row]}
    return {name: value.numpy().tobytes() for name, value in arrays.items()}


FOLDS = {"holdout": lambda n: holdout(n, gap=HORIZON)} | {
    f"walk {i}": lambda n, i=i: walk_forward(n, folds=3, validation=0.2, test=0.4, gap=HORIZON)[
        i : i + 1
    ]
    for i in range(3)
}


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_future_times_a_million_changes_no_bit_of_training(
    panel: Panel, target: str, name: str
) -> None:
    (fold,) = FOLDS[name](len(panel.dates))
    features = list(FEATURES)  # every one of them
    changed = louder(panel, fold.train.stop)
    made, other = (make(p, target, fold, features=features) for p in (panel, changed))
    assert seen(made, "train") == seen(other, "train")
    assert made.scaling == other.scaling
    assert made.notes == other.notes
    for coefficients in (drifts, ar1_coefficients, har_coefficients, har_leverage_coefficients):
        assert coefficients(panel, made).tobytes() == coefficients(changed, other).tobytes()
    slopes, loud_slopes = (fit_ridge(window_moments(one), 0.1)[0] for one in (made, other))
    assert slopes.tobytes() == loud_slopes.tobytes()
    skip = fit_skip(made)
    assert skip == fit_skip(other)
    row = made.origin["train"].numpy()
    starts = [skip_forecasts(one, skip, made.scaling)[row] for one in (panel, changed)]
    assert torch.equal(*starts)
    before, after = references(panel, made), references(changed, other)
    # the penalty of ridge is chosen on validation, which is changed here
    assert all((before[key][row] == after[key][row]).all() for key in before.keys() - {"ridge"})
    assert seen(made, "test") != seen(other, "test")  # the change was one


@pytest.mark.parametrize("target", TARGETS)
def test_validation_knows_nothing_of_the_test_rows(panel: Panel, target: str) -> None:
    fold = the_fold(panel)
    made, other = (make(p, target, fold) for p in (panel, louder(panel, fold.test.start)))
    assert seen(made, "train") == seen(other, "train") and seen(made, "validation") == seen(
        other, "validation"
    )
    assert seen(made, "test") != seen(other, "test")
    row = np.concatenate([made.origin["train"].numpy(), made.origin["validation"].numpy()])
    before = references(panel, made)
    after = references(louder(panel, fold.test.start), other)
    assert len(before) >= 4
    for name, values in before.items():
        assert values[row].tobytes() == after[name][row].tobytes(), name


def test_windows_are_slices_of_x_and_contiguous(panel: Panel) -> None:
    made = make(panel, "return", the_fold(panel))
    row = made.origin["train"][
        torch.randperm(len(made.origin["train"]), generator=torch.Generator().manual_seed(0))
    ]
    batch = window_batches(made.x, made.y, WINDOW)(row[:64])
    assert (
        batch["x"].shape == (64, WINDOW, 6)
        and batch["x"].is_contiguous()
        and batch["x"].dtype == torch.float32
    )
    for window, label, origin in zip(batch["x"], batch["y"], batch["origin"], strict=True):
        assert (
            torch.equal(window, made.x[origin - WINDOW + 1 : origin + 1])
            and label == made.y[origin]
        )


@needs_shared_prices
@pytest.mark.parametrize("target", TARGETS)
def test_thirty_long_histories(target: str) -> None:
    panel = Panel.of(
        pd.read_parquet(SHARED_DATA / "stock" / "us_daily_long_adj.parquet").sort_values(
            ["ticker", "date"]
        )
    )
    fold = holdout(len(panel.dates), gap=5)[0]
    made = make(panel, target, fold, horizon=5, window=60)
    assert len(panel.tickers) == 30 and len(panel.close) == 301_868
    assert all(len(row) > 10_000 for row in made.origin.values())
    for part, row in made.origin.items():
        batch = window_batches(made.x, made.y, 60)(row[:: len(row) // 1000])
        assert torch.isfinite(batch["x"]).all() and torch.isfinite(batch["y"]).all()
        date = panel.date[row.numpy()]
        assert (np.diff(date) >= 0).all() and set(date) <= set(getattr(fold, part))
    gspc = panel.tickers.index("GSPC")
    flat = parkinson(panel)[panel.ticker == gspc] == 0
    assert flat.sum() > 8_000 and (made.notes["labels_flat"] > 7_000) == (target == "volatility")

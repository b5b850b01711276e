"""Many tickers in one number, and what resampling tickers and seeds makes of it."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from upgate.stats.bootstrap import cluster_bootstrap, geometric_mean_ratio, percentiles

RNG = np.random.default_rng(0)


def test_a_ratio_of_errors_is_a_geometric_mean_that_counts_divergence() -> None:
    arm, base = np.exp(RNG.normal(size=(2, 5, 6)))
    assert geometric_mean_ratio(np.log(arm / base)).effect == pytest.approx(
        scipy_stats.gmean(arm / base, axis=None)
    )
    assert geometric_mean_ratio(np.zeros((5, 6))) == (1, 1, 1)
    one_way = geometric_mean_ratio(np.log(arm / base))
    other = geometric_mean_ratio(np.log(base / arm))
    assert (1 / other.effect, 1 / other.high, 1 / other.low) == pytest.approx(one_way, rel=1e-2)
    arm[2, 3] = np.inf
    found = geometric_mean_ratio(np.log(arm / base))
    assert found.effect == np.inf and np.isfinite(found.low) and found.high == np.inf


def test_draws_have_the_variance_of_two_way_resampling() -> None:
    """Against its closed form (Owen 2007, the pigeonhole bootstrap), and a bootstrap of seeds alone
    where one axis has no variance.
    """
    v = RNG.normal(size=(9, 7))
    rows, columns, cells = v.mean(axis=1), v.mean(axis=0), v - v.mean()
    closed = (
        rows.var() / 9
        + columns.var() / 7
        + (cells**2).mean() / 63
        - rows.var() / 63
        - columns.var() / 63
    )
    found = cluster_bootstrap(v, seed=1)
    tail = scipy_stats.norm.sf(np.sqrt(7 / 6) * scipy_stats.t.isf(0.025, 6))
    assert (found.high - found.low) / 2 == pytest.approx(
        scipy_stats.norm.isf(tail) * np.sqrt(closed), rel=0.1
    )
    alike = np.tile(RNG.normal(size=7), (9, 1))
    own = cluster_bootstrap(alike, shared=False)
    assert cluster_bootstrap(alike).high - cluster_bootstrap(alike).low > 2 * (
        own.high - own.low
    )  # 9 tickers' own seeds, or one model's


def test_the_same_seed_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    v = RNG.normal(size=(4, 6))
    whole = cluster_bootstrap(v, seed=3, draws=4000)
    assert (
        whole
        == cluster_bootstrap(v, seed=3, draws=4000)
        != cluster_bootstrap(v, seed=4, draws=4000)
    )
    monkeypatch.setattr("upgate.stats.bootstrap.CHUNK", 1000)
    assert tuple(cluster_bootstrap(v, seed=3, draws=4000)) == pytest.approx(tuple(whole), abs=0.4)


def test_one_ticker_or_one_seed_is_taken_as_it_is() -> None:
    v = RNG.normal(size=(1, 8))
    assert cluster_bootstrap(v) == cluster_bootstrap(v, shared=False)
    assert cluster_bootstrap(v[:, :1])[1:] == (-np.inf, np.inf)
    assert percentiles(np.array([np.nan, 0, 0, 0]), 0.5, 2) == (
        -np.inf,
        np.inf,
    )  # what is not a number could be any


@pytest.mark.parametrize(
    ("ticker", "seed", "cell", "shared", "low", "high"),
    [
        (1, 0, 0, True, 0.02, 0.08),  # effects that vary by ticker only; nominal 5%
        (0, 1, 0.5, True, 0.02, 0.08),  # by seed: one model over all tickers
        (1, 0, 1, False, 0.005, 0.06),  # by ticker, and by its own seeds
        (1, 0.5, 1, True, 0, 0.04),  # by both: resampling both overstates (Owen 2007)
    ],
)
def test_how_often_the_interval_misses_no_effect(
    ticker: float, seed: float, cell: float, shared: bool, low: float, high: float
) -> None:
    rng, studies = np.random.default_rng(5), 500
    v = (
        ticker * rng.normal(size=(studies, 8, 1))
        + seed * rng.normal(size=(studies, 1, 6))
        + cell * rng.normal(size=(studies, 8, 6))
    )
    found = [cluster_bootstrap(one, shared, seed=i, draws=2000) for i, one in enumerate(v)]
    assert low <= np.mean([not one.low <= 0 <= one.high for one in found]) <= high

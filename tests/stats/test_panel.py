"""The ratio of errors over tickers of one market: coverage, and what it does not depend on."""

import numpy as np
import pytest
from scipy import stats

from upgate.stats.panel import LossPanel, block_counts, ratio_over_tickers

TICKERS, SEEDS = 8, 6
WIDTH = 0.5  # of the log ratio of the losses of one date


def market(rng: np.random.Generator, dates: int, common: float, by_seed: float) -> LossPanel:
    """Losses whose log ratio has mean zero, autocorrelation .4 and correlates between tickers."""
    noise = rng.normal(size=(TICKERS + 1, dates + 50))
    series = np.zeros_like(noise)
    for t in range(1, dates + 50):
        series[:, t] = 0.4 * series[:, t - 1] + np.sqrt(1 - 0.16) * noise[:, t]
    series = series[:, 50:]
    effect = np.sqrt(common) * series[0] + np.sqrt(1 - common) * series[1:]
    effect = WIDTH * effect - WIDTH**2 / 2  # (tickers, dates); exp of it has mean 1
    level = rng.normal(0, 0.5, size=(TICKERS, dates))
    own = rng.normal(0, 0.3, size=(2, SEEDS, TICKERS, dates))
    seeds = rng.normal(0, by_seed, size=(SEEDS, 1, 1))
    return LossPanel(np.exp(level + effect + seeds + own[0]), np.exp(level + own[1]))


def test_the_effect_is_the_geometric_mean_and_folds_count_alike() -> None:
    rng = np.random.default_rng(0)
    folds = [market(rng, dates, 0.5, 0.02) for dates in (100, 150)]
    ratios = [fold.arm.mean(axis=-1) / fold.base.mean(axis=-1) for fold in folds]
    found = ratio_over_tickers(folds)
    assert found.effect == pytest.approx(stats.gmean(np.array(ratios), axis=None))
    assert found.low < found.effect < found.high
    assert ratio_over_tickers(folds) == found  # the draws are the same every time


def test_a_ticker_without_some_dates_is_weighted_by_the_others() -> None:
    panel = market(np.random.default_rng(1), 100, 0.5, 0.02)
    short = LossPanel(panel.arm.copy(), panel.base.copy())
    for losses in short:
        losses[:, 3, :90] = 0
    found = ratio_over_tickers([short])
    logs = [
        np.log(short.arm[:, k].sum(axis=-1) / short.base[:, k].sum(axis=-1)) for k in range(TICKERS)
    ]
    assert np.log(found.effect) == pytest.approx(np.mean(logs))
    assert np.isfinite([found.low, found.high]).all()


def test_equal_losses_have_no_width() -> None:
    panel = market(np.random.default_rng(2), 100, 0.5, 0.02)
    assert ratio_over_tickers([LossPanel(panel.base, panel.base)]) == (1, 1, 1)


def test_blocks_draw_every_date_as_often_and_neighbours_together() -> None:
    counts = block_counts(60, 13, np.random.default_rng(0), 4000)
    assert (counts.sum(axis=1) == 60).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(60), abs=0.1)
    correlation = np.corrcoef(counts.T)[0]
    assert correlation[1] > 0.8 > correlation[12] and correlation[59] > 0.8


@pytest.mark.parametrize(
    ("common", "by_seed"),
    [(0.5, 0.1), (0.9, 0.0)],
)
def test_the_interval_covers_new_dates_and_seeds(common: float, by_seed: float) -> None:
    """150 studies of 8 tickers, 6 seeds and 250 dates: 95%, less 3 points where dates are few."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(150):
        found = ratio_over_tickers([market(rng, 250, common, by_seed)])
        covered += found.low <= 1 <= found.high
    assert covered / 150 >= 0.92 - 2 * np.sqrt(0.92 * 0.08 / 150), covered / 150
    assert covered / 150 < 0.995

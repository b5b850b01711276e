"""The two-way interval, the level of looks, reliability, and one answer over data sets."""

import numpy as np
import pytest
from scipy import stats

from upgate.errors import UserError
from upgate.stats.looks import LOOKS, always_valid_p, look_level, undeclared_level
from upgate.stats.paired import paired
from upgate.stats.random_effects import outlook, random_effects
from upgate.stats.reliability import binomial_interval, collapsed, pitman_morgan, reliability
from upgate.stats.two_way import date_lags, equivalence_p, newey_west, two_way


def test_newey_west_is_that_of_statsmodels():
    from statsmodels.regression.linear_model import OLS

    d = np.random.default_rng(0).normal(size=200).cumsum()
    fit = OLS(d, np.ones(200)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 12, "use_correction": False}
    )
    assert newey_west(d, 12) == pytest.approx(fit.cov_params()[0, 0] * 200 / 199)
    assert newey_west(d, 0) == pytest.approx(d.var(ddof=1) / 200)


def test_without_noise_between_units_it_is_the_paired_t_test_over_seeds():
    seeds = np.random.default_rng(1).normal(1, 1, size=7)
    found = two_way(np.repeat(seeds[:, None], 50, axis=1), lags=0)
    want = paired(seeds)
    assert (found.effect, found.low, found.p) == pytest.approx((want.effect, want.low, want.p))
    assert found.unit_error == 0 and found.df == pytest.approx(6)


def test_without_noise_between_seeds_it_is_the_t_test_over_units():
    units = np.random.default_rng(2).normal(0.2, 1, size=80)
    found = two_way(np.repeat(units[None], 6, axis=0), lags=0)
    assert found.p == pytest.approx(stats.ttest_1samp(units, 0).pvalue)


def simulated_level(lags: int, correlation: float) -> float:
    """Share of studies of 6 seeds and 400 dates that find a difference where there is none."""
    rng, studies, dates = np.random.default_rng(3), 600, 400
    noise = rng.normal(size=(studies, dates + 50))
    for t in range(1, dates + 50):
        noise[:, t] += correlation * noise[:, t - 1]
    seeds = 0.15 * rng.normal(size=(studies, 6, 1))
    d = noise[:, None, 50:] + seeds + rng.normal(size=(studies, 6, dates))
    return float(np.mean([two_way(one, lags).p <= 0.05 for one in d]))


def test_its_level_holds_for_autocorrelated_dates_and_without_lags_does_not():
    most = stats.binom.ppf(0.999, 600, 0.07) / 600
    assert simulated_level(date_lags(400), 0.4) <= most < simulated_level(0, 0.4)


def test_a_single_seed_has_no_interval():
    assert np.isnan(two_way(np.ones((1, 9)), 0).low)
    assert date_lags(8) == 2 and date_lags(500) == 12 and date_lags(500, 21) == 20


def test_equivalence_is_that_of_statsmodels():
    from upgate.stats.power import tost

    d = np.random.default_rng(4).normal(0.1, 1, size=12)
    error = d.std(ddof=1) / np.sqrt(12)
    assert equivalence_p(d.mean(), error, 11, 0.9) == pytest.approx(tost(d, 0.9))


def test_declared_looks_share_the_level():
    assert look_level((6,)) == 0.05
    assert look_level(LOOKS) == pytest.approx(0.0177, abs=0.0006)  # PROTOCOL's
    d = np.random.default_rng(5).normal(size=(40_000, 18))
    level, found = look_level(LOOKS), np.zeros(40_000, bool)
    for n in LOOKS:
        found |= stats.ttest_1samp(d[:, :n], 0, axis=1).pvalue <= level
    assert found.mean() == pytest.approx(0.05, abs=0.0045)


def test_an_always_valid_p_holds_at_every_look():
    d = np.random.default_rng(6).normal(size=(2000, 40))
    found = np.zeros(2000, bool)
    for n in range(6, 41, 2):
        t = stats.ttest_1samp(d[:, :n], 0, axis=1).statistic
        found |= np.array([always_valid_p(one, n - 1) for one in t]) <= 0.05
    assert found.mean() <= 0.05
    assert always_valid_p(np.inf, 5) == 0 and always_valid_p(0.0, 5) == 1
    assert always_valid_p(20.0, 5) < 0.05


def test_the_variances_of_chnsenticorp_like_scores_differ():
    arm, base = [0.89, 0.9, 0.895, 0.891, 0.9, 0.902], [0.88, 0.75, 0.89, 0.885, 0.86, 0.9]
    ratio, p = pitman_morgan(np.array(arm), np.array(base))
    assert ratio == pytest.approx(np.var(base, ddof=1) / np.var(arm, ddof=1))
    total, difference = np.add(arm, base), np.subtract(arm, base)
    assert p == pytest.approx(stats.pearsonr(total, difference).pvalue) and p < 0.01
    found = reliability(arm, base, "higher")
    assert (found.collapsed, found.worst, found.worst_at) == (0, 0.89, 0)
    assert reliability(base, arm, "higher").collapsed == 1  # .75; .86 lies within its spread
    assert found.better.effect == 1


def test_an_arm_that_is_worse_on_every_seed_does_not_collapse() -> None:
    base = np.random.default_rng(9).normal(size=6)
    assert reliability(base + 50, base).collapsed == 0
    steady = np.array([1.0, 1.0001, 0.9999, 1.0, 1.0002, 1.003])  # .3% worse, and no failure
    assert reliability(steady, steady, margin=0.01).collapsed == 0
    assert reliability(steady, steady).collapsed == 1
    draws = np.random.default_rng(10).normal(size=(3000, 2, 6))
    assert np.mean([collapsed(arm, base).any() for arm, base in draws]) < 0.01


def test_reliability_counts_diverged_runs_and_ties():
    found = reliability([1.0, np.inf, 1.0, 1.1], [1.0, 1.2, 1.1, 1.0])
    assert found.collapsed == 1 and found.worst == np.inf and found.worst_at == 1
    assert found.better.effect == (0.5 + 1) / 4
    with pytest.raises(UserError, match="none nan"):
        reliability([1.0, np.nan], [1.0, 1.0])


def test_nothing_seen_in_six_still_allows_39_percent():
    assert binomial_interval(0, 6).high == pytest.approx(0.393, abs=0.001)
    assert binomial_interval(2, 6).low == pytest.approx(0.043, abs=0.001)


def test_variances_of_one_distribution_are_called_different_at_the_level():
    draws = np.random.default_rng(7).normal(size=(2000, 2, 8))
    share = np.mean([pitman_morgan(a, b)[1] <= 0.05 for a, b in draws])
    assert share == pytest.approx(0.05, abs=0.017)


def test_random_effects_cover_the_mean_and_a_new_data_set():
    rng, mean, new = np.random.default_rng(8), 0, 0
    for _ in range(300):
        y = 0.3 * rng.normal(size=6) + 0.2 * rng.normal(size=6)
        found = random_effects(y, np.full(6, 0.04))
        mean += found.low <= 0 <= found.high
        new += found.prediction_low <= 0.3 * rng.normal() <= found.prediction_high
    assert min(mean, new) >= 0.93 * 300


def test_equal_variances_and_no_excess_spread_give_the_plain_mean():
    found = random_effects(np.array([0.1, 0.2, 0.3]), np.full(3, 1.0))
    assert found.effect == pytest.approx(0.2) and found.tau2 == 0
    assert found.error == pytest.approx(np.sqrt(1 / 3))
    chances = outlook(found, 0.05)
    assert sum(chances) == pytest.approx(1) and chances.worse > chances.better
    assert np.isinf(random_effects(np.array([0.1, 0.2]), np.ones(2)).prediction_low)
    with pytest.raises(UserError, match="at least two"):
        random_effects(np.array([0.1]), np.ones(1))


def test_an_undeclared_look_rejects_where_the_always_valid_p_does():
    for n in (6, 9, 40):
        t = stats.t.isf(undeclared_level(n) / 2, n - 1)
        assert always_valid_p(t, n - 1) == pytest.approx(0.05)
    assert undeclared_level(6) < look_level(LOOKS)
    assert undeclared_level(3) < 1e-6  # no difference of three seeds would do


def test_errors_that_data_sets_share_are_in_the_interval():
    """Simulated: 12 data sets without an effect whose errors are correlated by .5."""
    rng = np.random.default_rng(3)
    correlations = np.full((12, 12), 0.5) + 0.5 * np.eye(12)
    root = np.linalg.cholesky(correlations)
    alone = together = 0
    for _ in range(400):
        y = root @ rng.normal(size=12)
        alone += random_effects(y, np.ones(12)).p < 0.05
        together += random_effects(y, np.ones(12), correlations=correlations).p < 0.05
    assert together / 400 <= 0.05 and alone / 400 > 0.20
    apart = random_effects(np.arange(3.0), np.ones(3), correlations=np.eye(3))
    assert apart == random_effects(np.arange(3.0), np.ones(3))

"""Tests on loss series: other implementations, the formulas written out, size and power by
simulation.
"""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.regression.linear_model import OLS
from statsmodels.tsa.stattools import diebold_mariano_test

from upgate.stats.forecast import (
    clark_west,
    clark_west_gain,
    confidence_set,
    diebold_mariano,
    seeds_and_dates,
    t_of_mean,
)
from upgate.stats.paired import paired

RNG = np.random.default_rng(0)


def level(p: np.ndarray, low: float, high: float) -> bool:
    return bool(low <= np.mean(p <= 0.05) <= high)


def overlapping(studies: int, T: int, h: int, rng: np.random.Generator) -> np.ndarray:
    """Errors of h-day forecasts, (studies, T): sums of h daily shocks."""
    return np.lib.stride_tricks.sliding_window_view(
        rng.normal(size=(studies, T + h - 1)), h, axis=1
    ).sum(axis=-1)


def test_diebold_mariano_is_statsmodels_and_for_one_day_the_paired_t_test() -> None:
    a, b = RNG.normal(size=(2, 200)) ** 2
    found = diebold_mariano(a, b)
    theirs = diebold_mariano_test(a, a, b, lags=0, criterion=lambda _, loss: loss, harvey_adj=True)
    assert tuple(found) == pytest.approx(tuple(theirs))
    assert tuple(found) == pytest.approx(tuple(scipy_stats.ttest_rel(a, b)))
    assert diebold_mariano(b, a).statistic == -found.statistic


def test_diebold_mariano_over_several_days_is_the_published_formula() -> None:
    a, b = (overlapping(1, 60, 3, RNG)[0] ** 2 for _ in range(2))
    d, T, h = a - b, 60, 3
    gamma = [
        sum((d[t] - d.mean()) * (d[t - k] - d.mean()) for t in range(k, T)) / T for k in range(h)
    ]
    s1 = d.mean() / np.sqrt(
        (gamma[0] + 2 * sum(gamma[1:])) / T
    )  # Harvey, Leybourne & Newbold 1997, equations 3 to 5, 9
    s1 *= np.sqrt((T + 1 - 2 * h + h * (h - 1) / T) / T)
    assert diebold_mariano(a, b, h) == pytest.approx((s1, 2 * scipy_stats.t.sf(abs(s1), T - 1)))


def test_a_variance_that_is_not_positive_gives_way_to_newey_west() -> None:
    d = np.tile([1.0, -1.0], 20) + 0.1
    theirs = OLS(d, np.ones(40)).fit(cov_type="HAC", cov_kwds={"maxlags": 1}).tvalues[0]
    assert t_of_mean(d, 2) == pytest.approx(theirs)


def test_seeds_are_averaged_first() -> None:
    a, b = RNG.normal(size=(2, 6, 100)) ** 2
    assert diebold_mariano(a, b) == diebold_mariano(a.mean(axis=0), b.mean(axis=0))


def two_arms(kind: str, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Losses (arm, seeds, T) of arms that are equally good in expectation."""
    y, signal = rng.normal(size=(2, 300))
    own = rng.normal(size=(2, seeds, 300))
    f = {
        "tilt": (
            0.15 * rng.normal(size=(2, seeds, 1)) * signal
        ),  # each seed's model leans along a signal in its own way
        "skill": rng.gamma(2, 0.08, (2, seeds, 1)) * own,  # some seeds' models are noisier
        "days": (
            np.stack([0.3 * signal, 0.3 * rng.normal(size=300)])[:, None] + 0.05 * own
        ),  # the arms differ, each on its days
    }
    return (y - f[kind]) ** 2


def test_averaging_seeds_does_not_make_diebold_mariano_a_test_of_recipes_and_counting_both_does() -> (  # noqa: E501
    None
):
    rng, rate = np.random.default_rng(1), {}
    for kind in ("tilt", "skill", "days"):
        six = [two_arms(kind, 6, rng) for _ in range(400)]
        for name, test in (("dates", diebold_mariano), ("both", seeds_and_dates)):
            rate[kind, name] = np.mean([test(*one).p <= 0.05 for one in six])
        rate[kind, "seeds"] = np.mean([paired((a - b).mean(axis=1)).p <= 0.05 for a, b in six])
    assert (
        rate["tilt", "dates"] > 0.3 and rate["skill", "dates"] > 0.2
    )  # other seeds would say otherwise
    assert rate["days", "seeds"] > 0.5  # other dates would say otherwise
    assert max(rate[kind, "both"] for kind in ("tilt", "skill", "days")) <= 0.06


def test_seeds_and_dates_is_two_way_clustering_and_has_power() -> None:
    a, b = RNG.normal(size=(2, 5, 40)) ** 2
    d = a - b
    seeds, dates = np.indices(d.shape)
    u = d - d.mean()
    v_date = (
        sum(u[dates == t].sum() ** 2 for t in range(40)) / 200**2
    )  # Cameron, Gelbach & Miller 2011, equation 2.11
    v_seed = sum(u[seeds == s].sum() ** 2 for s in range(5)) / 200**2 * 5 / 4
    v_cell = np.sum((u - u.mean(axis=0) - u.mean(axis=1)[:, None]) ** 2) / (4 * 39) / 200
    variance = max(v_date + v_seed - v_cell, v_date, v_seed)
    assert seeds_and_dates(a, b).statistic == pytest.approx(d.mean() / np.sqrt(variance))
    assert np.isnan(seeds_and_dates(a[:1], b[:1])).all() and seeds_and_dates(a, a) == (0, 1)
    rng = np.random.default_rng(8)
    planted = np.array([0.15, 0])[:, None, None]
    found = [seeds_and_dates(*(two_arms("skill", 6, rng) + planted)).p <= 0.05 for _ in range(200)]
    assert np.mean(found) > 0.8


@pytest.mark.parametrize(
    ("h", "T", "low", "high"),
    [(1, 60, 0.03, 0.07), (1, 500, 0.03, 0.07), (5, 250, 0.03, 0.075), (5, 1000, 0.03, 0.075)],
)
def test_size_of_diebold_mariano(h: int, T: int, low: float, high: float) -> None:
    rng = np.random.default_rng(2)
    a, b = overlapping(1500, T, h, rng) ** 2, overlapping(1500, T, h, rng) ** 2
    assert level(
        np.array([diebold_mariano(*one, h).p for one in zip(a, b, strict=True)]), low, high
    )


def test_power_of_diebold_mariano() -> None:
    """Errors 15% larger, 250 days: against the normal approximation of its power."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(1500, 250)) ** 2, (1.15 * rng.normal(size=(1500, 250))) ** 2
    center = np.sqrt(250) * (1.15**2 - 1) / np.sqrt(2 * (1 + 1.15**4))
    claimed = scipy_stats.norm.sf(1.96 - center)
    assert np.mean(
        [diebold_mariano(*one).p <= 0.05 for one in zip(a, b, strict=True)]
    ) == pytest.approx(claimed, abs=0.06)


def test_clark_west_is_the_t_of_a_constant() -> None:
    y, small, large = RNG.normal(size=(3, 80))
    f = (y - small) ** 2 - ((y - large) ** 2 - (small - large) ** 2)
    fit = OLS(f, np.ones(80)).fit(cov_type="HAC", cov_kwds={"maxlags": 0})
    assert clark_west(clark_west_gain(y, small, large)) == pytest.approx(
        (fit.tvalues[0], scipy_stats.norm.sf(fit.tvalues[0]))
    )
    assert clark_west(clark_west_gain(y, small, small)) == (0, 0.5)


def test_size_and_power_of_clark_west_where_diebold_mariano_has_none() -> None:
    """An AR(1) slope refitted each day on all days before, on a random walk's returns and on
    returns with phi = .2.
    """

    def studies(phi: float, n: int) -> tuple[np.ndarray, np.ndarray]:
        rng, T, start = np.random.default_rng(4), 500, 250
        r = rng.normal(size=(n, T))
        for t in range(1, T):
            r[:, t] += phi * r[:, t - 1]
        x, y = r[:, :-1], r[:, 1:]
        slope = np.cumsum(x * y, axis=1) / np.cumsum(x * x, axis=1)
        forecast, truth = slope[:, start - 1 : -1] * x[:, start:], y[:, start:]
        zero = np.zeros(truth.shape[1])
        gains = (clark_west_gain(t, zero, f) for t, f in zip(truth, forecast, strict=True))
        cw = np.array([clark_west(gain).p for gain in gains])
        dm = np.array(
            [diebold_mariano((t - f) ** 2, t**2) for t, f in zip(truth, forecast, strict=True)]
        )
        return cw, np.where(dm[:, 0] < 0, dm[:, 1] / 2, 1)

    cw, dm = studies(0, 1500)
    assert level(cw, 0.02, 0.065) and level(dm, 0, 0.02)
    cw, dm = studies(0.2, 400)
    assert np.mean(cw <= 0.05) > 0.85 and np.mean(cw <= 0.05) > np.mean(dm <= 0.05) + 0.1


def test_a_diverged_run_has_no_test_and_equal_losses_no_difference() -> None:
    a, b = RNG.normal(size=(2, 50)) ** 2
    with np.errstate(invalid="ignore"):  # inf - inf
        gain = clark_west_gain(a, b, a * np.inf)
    for found in (diebold_mariano(a * np.inf, b), clark_west(gain)):
        assert np.isnan(found).all()
    assert diebold_mariano(a, a) == (0, 1)


def test_the_confidence_set_keeps_the_best_and_drops_the_worst() -> None:
    losses = {name: RNG.normal(size=(3, 300)) ** 2 for name in "abc"}
    losses |= {"twin": losses["a"], "worse": losses["b"] + 0.5, "diverged": losses["a"] * np.inf}
    p = confidence_set(losses, seed=1)
    assert p == confidence_set(losses, seed=1)
    assert p["diverged"] == 0 and p["worse"] <= 0.01 and p["twin"] == p["a"]
    assert max(p.values()) == 1 == p[min("abc", key=lambda name: losses[name].mean())]
    assert confidence_set({"a": losses["a"], "b": losses["a"]}) == {"a": 1, "b": 1}
    assert confidence_set({"a": losses["diverged"], "b": losses["b"]}) == {"a": 0, "b": 1}


def test_the_confidence_set_keeps_arms_that_tie() -> None:
    """Equal series, and series of one mean: arch hands several models to one p-value, or divides by
    a variance of 0.
    """
    a, worse = RNG.normal(size=80) ** 2, RNG.normal(size=80) ** 2 + 1
    for losses in (
        {"a": a, "twin": a},
        {"a": a, "twin": a, "mirror": a[::-1]},
        {"a": a, "twin": a, "worse": worse, "other": worse},
    ):
        p = confidence_set(losses)
        assert p["a"] == p["twin"] == 1 and np.isfinite(list(p.values())).all()
        assert all(p[name] <= 0.05 for name in ("worse", "other") if name in p)


def test_size_of_the_confidence_set() -> None:
    """Three equally good arms: some arm is left out at 10% in about 10% of studies; Hansen et al.
    find no more in theirs.
    """
    rng = np.random.default_rng(7)
    lost = [min(confidence_set(dict(zip("abc", one, strict=True)), block=1, draws=200, seed=i).values()) <= 0.1  # noqa: E501
            for i, one in enumerate(rng.normal(size=(250, 3, 150)))]  # fmt: skip
    assert 0.04 <= np.mean(lost) <= 0.18

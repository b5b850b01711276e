"""One answer over several data sets, and what to expect of a new one.

The effect differs between data sets: random effects with the variance between them of Paule &
Mandel 1982, the interval of Hartung & Knapp 2001 and the prediction interval of Higgins, Thompson
& Spiegelhalter 2009.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from upgate.errors import UserError
from upgate.stats.estimate import Floats
from upgate.stats.students_t import t_isf, t_sf


class RandomEffects(NamedTuple):
    """The mean effect over data sets like these, and the range of a new data set's effect.

    p: two-sided, against no mean effect. n: data sets. tau2: variance of the true effects between
    data sets. spread: standard deviation of a new data set's effect about the mean. The prediction
    interval needs three data sets; it is infinite for fewer.
    """

    effect: float
    low: float
    high: float
    p: float
    n: int
    error: float
    tau2: float
    spread: float
    prediction_low: float
    prediction_high: float


def random_effects(
    effects: Floats, variances: Floats, alpha: float = 0.05, correlations: Floats | None = None
) -> RandomEffects:
    """Combine the effects, (data sets,), with the variances of their estimates.

    The interval's error is at least the one without Hartung and Knapp's factor, which can be too
    small for few data sets. correlations: (data sets, data sets), of the estimates' errors, such as
    those of data sets that share days; what is common to all does not show in the differences
    between data sets, so its variance is added. None: independent. Raises UserError for fewer than
    two, or numbers that are not finite.
    """
    y, v = np.asarray(effects, float), np.asarray(variances, float)
    n = len(y)
    if n < 2 or not np.isfinite([y, v]).all() or (v < 0).any():
        raise UserError("one answer over data sets needs at least two, with finite effects")
    v = np.maximum(v, np.finfo(float).tiny + 1e-12 * float(np.var(y)))
    tau2 = variance_between(y, v)
    weights = 1 / (v + tau2)
    mean = float(weights @ y / weights.sum())
    plain = 1 / weights.sum()
    own = plain * max(1.0, weights @ (y - mean) ** 2 / (n - 1))
    error = float(np.sqrt(own + common_variance(weights, v, correlations)))
    quantile = t_isf(alpha / 2, n - 1)
    p = float(2 * t_sf(abs(mean) / error, n - 1))
    half, reach = quantile * error, np.inf
    if n > 2:
        reach = t_isf(alpha / 2, n - 2) * new_spread(y, tau2, error)
    return RandomEffects(
        effect=mean,
        low=mean - half,
        high=mean + half,
        p=p,
        n=n,
        error=error,
        tau2=tau2,
        spread=new_spread(y, tau2, error),
        prediction_low=mean - reach,
        prediction_high=mean + reach,
    )


def variance_between(effects: Floats, variances: Floats) -> float:
    """Of the data sets' true effects (Paule & Mandel 1982)."""
    with np.errstate(divide="ignore", invalid="ignore"):  # equal effects: its I2 divides by 0
        fitted = combine_effects(effects, variances, method_re="iterated", use_t=True)
    return max(float(fitted.tau2), 0.0)


def common_variance(weights: Floats, variances: Floats, correlations: Floats | None) -> float:
    """The variance of the weighted mean that correlated errors add; never below 0."""
    if correlations is None:
        return 0.0
    parts = weights / weights.sum() * np.sqrt(variances)
    return float(max(0.0, parts @ (correlations - np.eye(len(parts))) @ parts))


def new_spread(y: Floats, tau2: float, error: float) -> float:
    """The standard deviation of a new data set's effect about the mean.

    At least that of another sample like the measured effects: with few data sets tau2 is often
    estimated as 0, and then a 95% prediction interval holds 90% of new effects (simulated, six
    data sets).
    """
    return float(np.sqrt(max(tau2 + error**2, y.var(ddof=1) * (1 + 1 / len(y)))))


class Outlook(NamedTuple):
    """Probabilities of a new data set's effect; they add up to 1."""

    better: float
    equivalent: float
    worse: float


def outlook(combined: RandomEffects, margin: float, better: str = "lower") -> Outlook:
    """P(better), P(equivalent), P(worse) on a new data set: Student's t with n - 2 df.

    Equivalent: within the smallest effect of interest. nan for fewer than three data sets.
    """
    if combined.n < 3:
        return Outlook(float("nan"), float("nan"), float("nan"))
    new = stats.t(combined.n - 2, combined.effect, max(combined.spread, 1e-300))
    low, high = float(new.cdf(-margin)), float(new.sf(margin))
    gain, loss = (high, low) if better == "higher" else (low, high)
    return Outlook(gain, 1 - low - high, loss)

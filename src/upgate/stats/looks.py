"""Looking at a study more than once: declared looks, and what an undeclared one costs.

A study that adds seeds until it finds something finds too much: four looks at 5% find a difference
between equals in 12.8% of studies. Declared looks share one level (Pocock 1977, Biometrika 64); a
look outside the plan is judged by a test that is valid however often one looks.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import optimize

from upgate.stats.students_t import t_sf

LOOKS = (6, 9, 12, 18)  # seeds
DRAWS = 400_000  # simulated studies: the level's standard error is .0003
CHUNK = 50_000  # simulated at once
NEVER = 1e-9  # the level where a test that holds at every look cannot reject: below 5 seeds


@lru_cache(maxsize=64)
def look_level(looks: tuple[int, ...], alpha: float = 0.05) -> float:
    """The p at which each of these looks may reject, so that all together do so at `alpha`.

    looks: numbers of seeds, growing. The alpha quantile of the smallest paired t-test's p-value of
    simulated studies without an effect, so that it holds for few seeds and unequal steps too.
    """
    if len(looks) == 1:
        return alpha
    rng = np.random.default_rng(0)
    studies = (rng.normal(size=(CHUNK, looks[-1])) for _ in range(0, DRAWS, CHUNK))
    smallest = [_smallest_p(study, looks) for study in studies]
    return float(np.quantile(np.concatenate(smallest), alpha))


def _smallest_p(d: np.ndarray, looks: Sequence[int]) -> np.ndarray:
    """Of every study, a row of differences, the smallest p-value at its looks."""
    p = np.ones(len(d))
    for n in looks:
        t = d[:, :n].mean(axis=1) / (d[:, :n].std(axis=1, ddof=1) / np.sqrt(n))
        p = np.minimum(p, 2 * t_sf(abs(t), n - 1))
    return p


def always_valid_p(t: float, df: float) -> float:
    """A p-value of a paired t statistic that holds however often, and whenever, one looked.

    1 over the Bayes factor of a normal mixture with scale 1 per seed's standard deviation, whose
    prior on the spread is the right-invariant one, which makes it a martingale without an effect
    (Lai 1976; Wang & Ramdas 2024). df: seeds - 1.
    """
    n = df + 1
    if np.isinf(t):
        return 0.0
    factor = (1 + t * t / df) / (1 + t * t / (df * (1 + n)))
    log_evidence = n / 2 * np.log(factor) - np.log1p(n) / 2
    return float(min(1.0, np.exp(-log_evidence)))


@lru_cache(maxsize=64)
def undeclared_level(seeds: int, alpha: float = 0.05) -> float:
    """The p at which a paired t-test may reject after looks that no plan declared.

    There `always_valid_p` is alpha, so that whoever looks whenever he likes errs in alpha of all
    studies. NEVER for so few seeds that no difference would do.
    """
    df = float(seeds - 1)
    most = 1e6
    if df < 1 or always_valid_p(most, df) > alpha:
        return NEVER
    t = optimize.brentq(lambda t: np.log(always_valid_p(t, df) / alpha), 0.0, most)
    return max(NEVER, float(2 * t_sf(t, df)))

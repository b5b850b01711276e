"""Intervals around any forecast by split conformal prediction.

The forecast is fitted on one part of the data, the width on another. If the errors of that part
and of the new days are exchangeable, the interval at level c holds the truth with probability c or
more, whatever the model (Vovk, Gammerman & Shafer 2005; Lei, G'Sell, Rinaldo, Tibshirani &
Wasserman 2018). Prices are not exchangeable: their volatility changes. So the promise is none for
them, and the share that an interval holds has to be measured.
"""

import math

import numpy as np

from upgate.stats.estimate import Floats

LEVELS = {"80": 0.80, "90": 0.90, "95": 0.95}  # by their names in metrics and checkpoints


def conformal_radius(residuals: Floats, level: float) -> float:
    """Half the width of the interval: the ceil((n + 1) level)-th smallest |residual| of n.

    residuals: (n,). inf where n is too small for the level: fewer than 9 for 90%.
    """
    n = len(residuals)
    rank = math.ceil((n + 1) * level - 1e-9)  # 10 * 0.9 must not become 9.000000000000002
    return float(np.sort(np.abs(residuals))[rank - 1]) if rank <= n else math.inf


def conformal_radii(residuals: Floats) -> dict[str, float]:
    """The radius of each of LEVELS; without those for which n is too small."""
    radii = {name: conformal_radius(residuals, level) for name, level in LEVELS.items()}
    return {name: radius for name, radius in radii.items() if math.isfinite(radius)}

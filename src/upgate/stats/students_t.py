"""Student's t, by the functions of SciPy's special ones.

`scipy.stats` gives the same to the last bit, and checks its arguments 30 times as long as it takes
to compute them: simulated studies ask tens of thousands of times.
"""

import numpy as np
from scipy import special

from upgate.stats.estimate import Floats


def t_sf(t: float | Floats, df: float) -> Floats:
    """Probability that Student's t with `df` degrees of freedom is above t."""
    return np.asarray(special.stdtr(df, -t))


def t_isf(tail: float, df: float) -> float:
    """The value that Student's t with `df` degrees of freedom exceeds with probability `tail`."""
    return float(-special.stdtrit(df, tail))

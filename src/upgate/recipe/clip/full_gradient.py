"""clip: choices that shorten the gradient of all layers together, by its norm."""

import math
from bisect import insort
from collections.abc import Sequence
from statistics import fmean, pvariance

from torch import Tensor, nn

from upgate.config.schema import Fraction, Positive, PositiveInt
from upgate.recipe.clip.base import Clip, shorten
from upgate.recipe.registry import register
from upgate.types import StateDict


@register("clip", "norm")
class ClipNorm(Clip):
    """g *= min(1, c / (norm + 1e-6)) over all parameters together (Pascanu et al. 2013)."""

    needs_full_gradient = True

    def __init__(self, max_norm: Positive) -> None:
        self.max_norm = max_norm

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        return shorten(params, norm, self.max_norm)


@register("clip", "percentile")
class PercentileClip(Clip):
    """`norm` at a quantile of all norms so far, this step's included.

    AutoClip, Seetharaman et al. 2020.
    """

    needs_full_gradient = compares_steps = True

    def __init__(self, quantile: Fraction) -> None:
        self.quantile = quantile
        self.norms: list[float] = []  # sorted

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        insort(self.norms, float(norm))
        return shorten(params, norm, sorted_quantile(self.norms, self.quantile))

    def engagement(self) -> dict[str, float]:
        return {"clip_threshold": sorted_quantile(self.norms, self.quantile)} if self.norms else {}

    def state_dict(self) -> StateDict:
        return {"norms": self.norms}

    def load_state_dict(self, state: StateDict) -> None:
        self.norms = list(state["norms"])


@register("clip", "zclip")
class ZClip(Clip):
    """A norm with z = (norm - mu) / sigma above z* becomes mu + sigma z*^2 / z (Kumar et al. 2025).

    The larger the spike, the nearer to mu. mu and sigma^2 are moving averages that see the norm
    after clipping; they start from the plain mean and variance of the first `warmup` norms, which
    are not clipped.
    """

    needs_full_gradient = compares_steps = True
    EPS = 1e-6  # the authors'

    def __init__(self, alpha: Fraction, z: Positive, warmup: PositiveInt) -> None:
        self.alpha, self.z, self.warmup = alpha, z, warmup
        self.first: list[float] = []
        self.mean = self.variance = 0.0

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        n = float(norm)
        if len(self.first) < self.warmup:
            self.first.append(n)
            self.mean, self.variance = fmean(self.first), pvariance(self.first)
            return False
        sigma = math.sqrt(self.variance)
        z = (n - self.mean) / (sigma + self.EPS)
        kept = self.mean + sigma * self.z**2 / z if z > self.z else n
        self.mean = self.alpha * self.mean + (1 - self.alpha) * kept
        self.variance = self.alpha * self.variance + (1 - self.alpha) * (kept - self.mean) ** 2
        return shorten(params, norm, kept)

    def engagement(self) -> dict[str, float]:
        if not self.first:
            return {}
        return {"clip_mean": self.mean, "clip_sigma": math.sqrt(self.variance)}

    def state_dict(self) -> StateDict:
        return {"first": self.first, "mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: StateDict) -> None:
        self.first = list(state["first"])
        self.mean, self.variance = state["mean"], state["variance"]


def sorted_quantile(ordered: Sequence[float], quantile: float) -> float:
    """The quantile of sorted numbers, linear between neighbours as NumPy's is."""
    position = quantile * (len(ordered) - 1)
    low = int(position)
    above = ordered[min(low + 1, len(ordered) - 1)]
    return ordered[low] + (above - ordered[low]) * (position - low)

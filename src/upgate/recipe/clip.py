"""clip: what is done to the gradients before the step.

`value`, `layer` and `agc` look at each parameter or layer by itself; `norm`, `percentile` and `zclip` shorten the whole gradient.
"""

import math
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, pvariance
from typing import Any

import torch
from torch import Tensor, nn

from upgate.config.schema import Fraction, Positive, PositiveInt
from upgate.recipe.layerwise.base import Layers
from upgate.recipe.registry import register

WHOLE = ("norm", "percentile", "zclip")  # need the norm of the whole gradient, and one call a step


class Clip:
    """What a clip may do. Unbound, it takes all parameters for those of one LSTM layer."""

    def bind(self, layers: Layers) -> None:
        """Take the model's layers, bottom to top, the head last; before the first step."""

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        """Change the gradients in place, given their total norm, which is finite; return whether it did."""
        raise NotImplementedError

    def engagement(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@register("clip", "none")
class NoClip(Clip):
    """The null choice: gradients untouched, bit for bit."""

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        return False


@register("clip", "norm")
class ClipNorm(Clip):
    """g *= min(1, c / (norm + 1e-6)) over all parameters together (Pascanu et al. 2013)."""

    def __init__(self, max_norm: Positive) -> None:
        self.max_norm = max_norm

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        return shorten(params, norm, self.max_norm)


@register("clip", "value")
class ClipValue(Clip):
    """g = clamp(g, -c, c), each element on its own."""

    def __init__(self, max_value: Positive) -> None:
        self.max_value = max_value

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        grads = [p.grad for p in params if p.grad is not None]
        if not torch.stack(torch._foreach_norm(grads, float("inf"))).max() > self.max_value:
            return False
        nn.utils.clip_grad_value_(params, self.max_value)
        return True


@register("clip", "layer")
class ClipLayerNorm(Clip):
    """`norm` on each of the L layers by itself, at c / sqrt(L): the whole stays within c, and no layer takes another's share."""

    def __init__(self, max_norm: Positive) -> None:
        self.max_norm = self.bound = max_norm
        self.names: dict[int, str] = {}
        self.places: dict[int, int] = {}
        self.seen: Counter[str] = Counter()
        self.clipped: Counter[str] = Counter()

    def bind(self, layers: Layers) -> None:
        self.names = {id(p): name for name, module in layers for p in module.parameters()}
        self.places = {key: place for place, key in enumerate(self.names)}
        self.bound = self.max_norm / math.sqrt(len(layers))

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        layers: dict[str, list[nn.Parameter]] = defaultdict(list)
        for p in sorted(
            params, key=lambda p: self.places.get(id(p), 0)
        ):  # a sum's last digit depends on the order of its terms
            if p.grad is not None:
                layers[self.names.get(id(p), "all")].append(p)
        over = []
        for name, own in layers.items():
            length = nn.utils.get_total_norm([p.grad for p in own if p.grad is not None])
            if shorten(own, length, self.bound):
                over.append(name)
        self.seen.update(list(layers))
        self.clipped.update(over)
        return bool(over)

    def engagement(self) -> dict[str, float]:
        return {
            f"clipped_share/{name}": self.clipped[name] / steps for name, steps in self.seen.items()
        }

    def state_dict(self) -> dict[str, Any]:
        return {"seen": dict(self.seen), "clipped": dict(self.clipped)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen, self.clipped = Counter(state["seen"]), Counter(state["clipped"])


@register("clip", "agc")
class AdaptiveGradientClip(Clip):
    """Row by row of the LSTMs, |G_i| is held to lam max(|W_i|, eps) (Brock et al. 2021); heads and embeddings are left alone.

    A row of an LSTM's stacked matrices belongs to one unit of one gate. A bias counts as one row, as in the authors' code.
    """

    def __init__(self, lam: Positive, eps: Positive) -> None:
        self.lam, self.eps = lam, eps
        self.free: set[int] = set()
        self.rows = self.clipped = 0

    def bind(self, layers: Layers) -> None:
        lstms = [m for _, module in layers for m in module.modules() if isinstance(m, nn.LSTM)]
        held = {id(p) for m in lstms for p in m.parameters()}
        self.free = {id(p) for _, module in layers for p in module.parameters()} - held

    @torch.no_grad()
    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        over = []
        for p in params:
            if p.grad is not None and id(p) not in self.free:
                bound, size = self.lam * row_norms(p).clamp_min(self.eps), row_norms(p.grad)
                p.grad.mul_((bound / size).clamp_max(1.0))  # a row of zeros gives inf, and stays
                over.append(size > bound)
        clipped = int(torch.cat([o.flatten() for o in over]).sum()) if over else 0
        self.rows += sum(o.numel() for o in over)
        self.clipped += clipped
        return clipped > 0

    def engagement(self) -> dict[str, float]:
        return {"clipped_rows": self.clipped / self.rows} if self.rows else {}

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "clipped": self.clipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows, self.clipped = state["rows"], state["clipped"]


@register("clip", "percentile")
class PercentileClip(Clip):
    """`norm` at a quantile of all norms so far, this step's included (AutoClip, Seetharaman et al. 2020)."""

    def __init__(self, quantile: Fraction) -> None:
        self.quantile = quantile
        self.norms: list[float] = []  # sorted

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        insort(self.norms, float(norm))
        return shorten(params, norm, interpolated(self.norms, self.quantile))

    def engagement(self) -> dict[str, float]:
        return {"clip_threshold": interpolated(self.norms, self.quantile)} if self.norms else {}

    def state_dict(self) -> dict[str, Any]:
        return {"norms": self.norms}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.norms = list(state["norms"])


@register("clip", "zclip")
class ZClip(Clip):
    """A norm with z = (norm - mu) / sigma above z* becomes mu + sigma z*^2 / z: the larger the spike, the nearer to mu (Kumar et al. 2025).

    mu and sigma^2 are moving averages that see the norm after clipping; they start from the plain mean and variance of the first `warmup`
    norms, which are not clipped.
    """

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
        return (
            {"clip_mean": self.mean, "clip_sigma": math.sqrt(self.variance)} if self.first else {}
        )

    def state_dict(self) -> dict[str, Any]:
        return {"first": self.first, "mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.first, self.mean, self.variance = (
            list(state["first"]),
            state["mean"],
            state["variance"],
        )


def shorten(params: Sequence[nn.Parameter], norm: Tensor, bound: float) -> bool:
    """g *= bound / (norm + 1e-6) where the norm is above the bound."""
    if not norm > bound:
        return False
    nn.utils.clip_grads_with_norm_(params, bound, norm)
    return True


def row_norms(x: Tensor) -> Tensor:
    """(R, C) -> (R, 1); a vector is one row, (C,) -> (1,)."""
    return torch.linalg.vector_norm(x, dim=1 if x.ndim > 1 else 0, keepdim=True)


def interpolated(ordered: Sequence[float], quantile: float) -> float:
    """The quantile of sorted numbers, linear between neighbours as NumPy's is."""
    place = quantile * (len(ordered) - 1)
    low = int(place)
    above = ordered[min(low + 1, len(ordered) - 1)]
    return ordered[low] + (above - ordered[low]) * (place - low)

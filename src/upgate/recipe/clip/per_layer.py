"""clip: choices that look at each element, row or layer by itself."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from upgate.config.schema import Positive
from upgate.recipe.clip.base import Clip, shorten
from upgate.recipe.registry import register
from upgate.types import Layers, StateDict


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
    """`norm` on each of the L layers by itself, at c / sqrt(L).

    So all gradients together stay within c, and no layer takes another's share.
    """

    def __init__(self, max_norm: Positive) -> None:
        self.max_norm = self.bound = max_norm
        self.names: dict[int, str] = {}  # id of a parameter -> its layer
        self.order: dict[int, int] = {}  # id of a parameter -> its position
        self.seen: Counter[str] = Counter()
        self.clipped: Counter[str] = Counter()

    def attach(self, layers: Layers) -> None:
        self.names = {id(p): name for name, module in layers for p in module.parameters()}
        self.order = {key: position for position, key in enumerate(self.names)}
        self.bound = self.max_norm / math.sqrt(len(layers))

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        gradients = self.by_layer(params)
        over = []
        for name, members in gradients.items():
            length = nn.utils.get_total_norm([p.grad for p in members if p.grad is not None])
            if shorten(members, length, self.bound):
                over.append(name)
        self.seen.update(list(gradients))
        self.clipped.update(over)
        return bool(over)

    def by_layer(self, params: Iterable[nn.Parameter]) -> dict[str, list[nn.Parameter]]:
        """The parameters with a gradient, in the model's order: a sum's last digit needs it."""
        layers: dict[str, list[nn.Parameter]] = defaultdict(list)
        for p in sorted(params, key=lambda p: self.order.get(id(p), 0)):
            if p.grad is not None:
                layers[self.names.get(id(p), "all")].append(p)
        return layers

    def engagement(self) -> dict[str, float]:
        return {f"clipped_share/{name}": self.clipped[name] / n for name, n in self.seen.items()}

    def state_dict(self) -> StateDict:
        return {"seen": dict(self.seen), "clipped": dict(self.clipped)}

    def load_state_dict(self, state: StateDict) -> None:
        self.seen, self.clipped = Counter(state["seen"]), Counter(state["clipped"])


@register("clip", "agc")
class AdaptiveGradientClip(Clip):
    """Row by row of the LSTMs, |G_i| is held to lam max(|W_i|, eps) (Brock et al. 2021).

    Heads and embeddings are left alone. A row of an LSTM's stacked matrices belongs to one unit of
    one gate. A bias counts as one row, as in the authors' code.
    """

    def __init__(self, lam: Positive, eps: Positive) -> None:
        self.ratio, self.eps = lam, eps
        self.unclipped: set[int] = set()  # ids of the parameters left alone
        self.rows = self.clipped = 0

    def attach(self, layers: Layers) -> None:
        lstms = [m for _, module in layers for m in module.modules() if isinstance(m, nn.LSTM)]
        clipped = {id(p) for m in lstms for p in m.parameters()}
        self.unclipped = {id(p) for _, module in layers for p in module.parameters()} - clipped

    @torch.no_grad()
    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        over = []
        for p in params:
            if p.grad is not None and id(p) not in self.unclipped:
                bound, size = self.ratio * row_norms(p).clamp_min(self.eps), row_norms(p.grad)
                p.grad.mul_((bound / size).clamp_max(1.0))  # a row of zeros gives inf, and stays
                over.append(size > bound)
        clipped = int(torch.cat([o.flatten() for o in over]).sum()) if over else 0
        self.rows += sum(o.numel() for o in over)
        self.clipped += clipped
        return clipped > 0

    def engagement(self) -> dict[str, float]:
        return {"clipped_rows": self.clipped / self.rows} if self.rows else {}

    def state_dict(self) -> StateDict:
        return {"rows": self.rows, "clipped": self.clipped}

    def load_state_dict(self, state: StateDict) -> None:
        self.rows, self.clipped = state["rows"], state["clipped"]


def row_norms(x: Tensor) -> Tensor:
    """(R, C) -> (R, 1); a vector is one row, (C,) -> (1,)."""
    return torch.linalg.vector_norm(x, dim=1 if x.ndim > 1 else 0, keepdim=True)

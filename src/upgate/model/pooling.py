"""From the last layer's sequence to one vector for each text or window: (B, T, D) -> (B, D)."""

import torch
from torch import Tensor


def pool_last(h: Tensor, lengths: Tensor | None, hidden_size: int) -> Tensor:
    """The state after the last token in each direction.

    The backward half ends at the first token.
    """
    end = h[:, -1] if lengths is None else h[torch.arange(h.shape[0], device=h.device), lengths - 1]
    if h.shape[-1] == hidden_size:
        return end
    return torch.cat([end[:, :hidden_size], h[:, 0, hidden_size:]], dim=-1)


def pool_max(h: Tensor, valid: Tensor | None) -> Tensor:
    """The largest of each unit over the valid steps; `valid` is (B, T, 1), None for all."""
    return (h if valid is None else h.masked_fill(~valid, -torch.inf)).amax(1)


def pool_mean(h: Tensor, valid: Tensor | None) -> Tensor:
    """The mean of each unit over the valid steps; `valid` is (B, T, 1), None for all."""
    return h.mean(1) if valid is None else (h * valid).sum(1) / valid.sum(1)


def pool_attention(h: Tensor, valid: Tensor | None, scores: Tensor) -> Tensor:
    """The mean over the valid steps weighted by the softmax of their scores, (B, T, 1)."""
    scores = scores if valid is None else scores.masked_fill(~valid, -torch.inf)
    return (scores.softmax(1) * h).sum(1)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each valid prefix in time, the padding left in its position: (B, T, D), twice."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
    index = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x.gather(1, index[..., None].expand_as(x))

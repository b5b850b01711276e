"""What a clip may do to the gradients before the step, and the null choice."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from upgate.recipe.registry import register
from upgate.types import Layers, StateDict


class Clip:
    """Changes gradients in place; unattached, as if all parameters were of one LSTM layer."""

    needs_full_gradient: ClassVar[bool] = False  # the norm over all layers, in one call a step
    compares_steps: ClassVar[bool] = False  # each step's norm with those of the steps before it

    def attach(self, layers: Layers) -> None:
        """Take the model's layers, bottom to top, the head last; before the first step."""

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        """Change the gradients in place, given their total norm, which is finite.

        Returns whether it did.
        """
        raise NotImplementedError

    def engagement(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> StateDict:
        return {}

    def load_state_dict(self, state: StateDict) -> None: ...


@register("clip", "none")
class NoClip(Clip):
    """The null choice: gradients untouched, bit for bit."""

    def __call__(self, params: Sequence[nn.Parameter], norm: Tensor) -> bool:
        return False


def shorten(params: Sequence[nn.Parameter], norm: Tensor, bound: float) -> bool:
    """g *= bound / (norm + 1e-6) where the norm is above the bound."""
    if not norm > bound:
        return False
    nn.utils.clip_grads_with_norm_(params, bound, norm)
    return True

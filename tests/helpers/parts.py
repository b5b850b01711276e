"""Parts under test: a training loop by hand, the choices in conf/, small tensors."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from upgate.config.compose import PARTS, REGULARIZATION, choices
from upgate.errors import UserError
from upgate.part_checks.loop import (
    CLASSES,
    EMBEDDING,
    MODEL,
    TASKS,
    VOCABULARY,
    Loop,
    make_override,
    make_recipe,
    same,
)
from upgate.part_checks.loop import make_module as learner
from upgate.part_checks.loop import make_texts as texts
from upgate.part_checks.loop import make_windows as batch
from upgate.part_checks.properties import Candidate
from upgate.recipe.recipe import part
from upgate.recipe.registry import lookup
from upgate.run.resolve import has_bf16

__all__ = [
    "CLASSES",
    "EMBEDDING",
    "MODEL",
    "TASKS",
    "VOCABULARY",
    "Loop",
    "batch",
    "learner",
    "same",
    "texts",
]

torch.set_num_threads(1)  # tensors of this size gain nothing from more

TOKENS_ONLY = tuple(
    name
    for name in choices(REGULARIZATION)
    if name != "none" and lookup(REGULARIZATION, name).required_input
)  # prices refuse them
needs_bf16 = pytest.mark.skipif(
    not has_bf16(), reason="this processor has no AVX-512, and oneDNN no bf16 LSTM without it"
)
EVERY_CHOICE = [
    (group, name) for group in PARTS for name in choices(group)
]  # a new yaml is a new test
EVERY_RUN = [
    (task, *choice)
    for task in TASKS
    for choice in EVERY_CHOICE
    if task == "sentiment" or choice[1] not in TOKENS_ONLY
]

parts, word = make_recipe, make_override


def fits(*words: str) -> bool:
    """Whether these choices can be combined; test_compatibility.py tests the refusals."""
    try:
        parts(*words)
    except UserError:
        return False
    return True


def knobs(group: str, name: str) -> dict[str, Any]:
    """A choice's knobs and defaults out of its yaml."""
    return dict(Candidate(group, name).knobs)


def made(group: str, name: str, **changed: Any) -> Any:
    """A part with its yaml's knobs, some of them changed."""
    return part(group, name, knobs(group, name) | changed)


def poison(param: nn.Parameter, value: float) -> Any:
    """From now on this parameter's gradient is `value`; the handle's remove() heals it."""
    return param.register_hook(lambda grad: torch.full_like(grad, value))


def with_gradients(*gradients: Tensor) -> list[nn.Parameter]:
    """Parameters of 0 that hold these gradients."""
    params = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for p, g in zip(params, gradients, strict=True):
        p.grad = g.clone()
    return params

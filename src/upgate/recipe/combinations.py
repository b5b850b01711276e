"""Every two choices of a recipe, and whether they work together.

The table that `upgate train --combinations` prints.
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

from upgate import messages
from upgate.config.choices import PARTS, REGULARIZATION, choices
from upgate.config.compose import compose
from upgate.errors import UserError
from upgate.messages import shown
from upgate.recipe.compatibility import check_allowed
from upgate.recipe.texts import say

Choice = tuple[str, str]  # group, name
BASES = ("sgd", "adam")  # what a choice that says nothing of the optimizer may be combined with


def pairs() -> Iterator[tuple[Choice, Choice]]:
    """Two choices of different groups, or two regularizations.

    A task whose batches lack inputs that another's hold is a choice, too. The null regularization
    is in every recipe.
    """
    available = [("task", name) for name in choices("task") if name != richest_task()]
    for group in PARTS:
        available += [(group, name) for name in choices(group)]
    available.remove((REGULARIZATION, "none"))
    for a, b in combinations(available, 2):
        if a[0] != b[0] or a[0] == REGULARIZATION:
            yield a, b


def configuration(a: Choice, b: Choice) -> dict[str, Any]:
    """The null recipe with these two choices, on the task with all inputs and two LSTM layers.

    Raises UserError where they cannot be combined.
    """
    given = "optimizer" in (a[0], b[0])
    for optimizer in BASES:
        config = dict(_composed("task", richest_task()))
        if not given:
            config["optimizer"] = _composed("optimizer", optimizer)["optimizer"]
        for group, name in (a, b):
            composed = _composed(group, name)
            chosen = composed[group]
            if group == "task":
                config["inputs"] = composed["inputs"]
            config[group] = config[group] | chosen if group == REGULARIZATION else chosen
        try:
            check_allowed(config)
        except UserError:
            if given or optimizer == BASES[-1]:
                raise
        else:
            break
    return config


def richest_task() -> str:
    """The task whose batches hold the most inputs: every regularizer fits it."""
    return max(choices("task"), key=lambda name: len(_composed("task", name)["inputs"]))


@cache
def _composed(group: str, name: str) -> dict[str, Any]:
    override = f"{group}=[{name}]" if group == REGULARIZATION else f"{group}={name}"
    return compose(["recipe=traditional", override, "model.num_layers=2"])


def refused() -> dict[tuple[Choice, Choice], str]:
    """The pairs that cannot be combined, with the sentence that says why."""
    sentences = {}
    for a, b in pairs():
        try:
            configuration(a, b)
        except UserError as error:
            sentences[a, b] = error.args[0]
    return sentences


def table() -> str:
    """A line for each refused pair, below the number of those allowed."""
    lines = [
        messages.say("cause", where=f"{'='.join(a)} {'='.join(b)}", cause=sentence)
        for (a, b), sentence in refused().items()
    ]
    total = sum(1 for _ in pairs())
    head = say("pairs_refused", work=total - len(lines), total=total, refused=len(lines))
    return "\n".join(map(shown, [head, *lines]))

"""Every two choices of a recipe, and whether they work together: the table that `upgate train --combinations` prints."""

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

from upgate.config.compose import PARTS, REGULARIZATION, choices, compose
from upgate.errors import UserError
from upgate.recipe.compatibility import check_allowed

Choice = tuple[str, str]  # group, name
BASES = ("sgd", "adam")  # what a choice that says nothing of the optimizer may be combined with


def pairs() -> Iterator[tuple[Choice, Choice]]:
    """Two choices of different groups, or two regularizations; the null one of these is in every recipe. Prices are a choice, too."""
    every = [
        ("task", "stock"),
        *(
            (group, name)
            for group in PARTS
            for name in choices(group)
            if (group, name) != (REGULARIZATION, "none")
        ),
    ]
    return ((a, b) for a, b in combinations(every, 2) if a[0] != b[0] or a[0] == REGULARIZATION)


def configuration(a: Choice, b: Choice) -> dict[str, Any]:
    """The null recipe with these two choices, on reviews and two LSTM layers; raises UserError where they cannot be combined."""
    given = "optimizer" in (a[0], b[0])
    for optimizer in BASES:
        config = dict(_composed("task", "sentiment")) | (
            {} if given else {"optimizer": _composed("optimizer", optimizer)["optimizer"]}
        )
        for group, name in (a, b):
            chosen = _composed(group, name)[group]
            config[group] = config[group] | chosen if group == REGULARIZATION else chosen
        try:
            check_allowed(config)
        except UserError:
            if given or optimizer == BASES[-1]:
                raise
        else:
            break
    return config


@cache
def _composed(group: str, name: str) -> dict[str, Any]:
    word = f"{group}=[{name}]" if group == REGULARIZATION else f"{group}={name}"
    return compose(["recipe=traditional", word, "model.num_layers=2"])


def refused() -> dict[tuple[Choice, Choice], str]:
    """The pairs that cannot be combined, with the sentence that says why."""
    sentences = {}
    for a, b in pairs():
        try:
            configuration(a, b)
        except UserError as error:
            sentences[a, b] = str(error)
    return sentences


def table() -> str:
    """A line for each refused pair, below the number of those allowed."""
    lines = [f"{'='.join(a)} {'='.join(b)}: {sentence}" for (a, b), sentence in refused().items()]
    total = sum(1 for _ in pairs())
    return "\n".join(
        [
            f"{total - len(lines)} of {total} pairs of choices work together; these {len(lines)} do not:",
            *lines,
        ]
    )

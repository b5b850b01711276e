"""Recipes that differ and end with the same weights: one of their parts did nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from upgate.config.choices import REGULARIZATION
from upgate.config.schema import format_value
from upgate.recipe.texts import say

Choices = Mapping[str, Any]  # group -> {name, knobs}; regularization -> {name: knobs}
NULL = ("none", "constant", "pytorch", "joint")  # choices that do nothing


class TrainedRecipe(NamedTuple):
    """A run as the detector compares it."""

    name: str
    shared: str  # what it shares with those it can be compared with: data, seed, budget
    recipe: Choices
    weights: str  # hash of the weights it kept


def no_effect(runs: Sequence[tuple[str, str, Choices, str]]) -> list[str]:
    """Sentences about recipes that differ and end with the same weights on the same data and seed.

    Each set of equal runs is compared with its plainest recipe; what holds for several seeds is
    said once.
    """
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    trained = [TrainedRecipe(*run) for run in runs]
    ordered = sorted(trained, key=lambda run: (run.shared, run.weights))  # stable
    for _, group in groupby(ordered, key=lambda run: (run.shared, run.weights)):
        equal = list(group)
        base = min(equal, key=lambda run: active_choices(run.recipe))
        for run in equal:
            if changed := difference(run.recipe, base.recipe):
                pairs[changed, difference(base.recipe, run.recipe)].append((run.name, base.name))
    return [_sentence(changed, instead, names) for (changed, instead), names in pairs.items()]


def _sentence(changed: str, instead: str, names: Sequence[tuple[str, str]]) -> str:
    (run, base), *more = names
    also = say("so_for_more", n=len(more)) if more else ""
    return say("had_no_effect", changed=changed, run=run, base=base, instead=instead, also=also)


def active_choices(recipe: Choices) -> int:
    """How many of a recipe's choices are not null."""
    single = [c["name"] for group, c in recipe.items() if group != REGULARIZATION]
    return len(recipe.get(REGULARIZATION, ())) + sum(name not in NULL for name in single)


def difference(recipe: Choices, other: Choices) -> str:
    """The overrides that turn another recipe into this one; empty where they are the same."""
    overrides: list[str] = []
    for group, choice in recipe.items():
        if group == REGULARIZATION:
            overrides += _regularization_difference(choice, other[group])
        elif choice["name"] != other[group]["name"]:
            overrides.append(f"{group}={choice['name']}")
        else:
            overrides += _knob_difference(group, choice, other[group])
    return " ".join(overrides)


def _regularization_difference(chosen: Choices, other: Choices) -> list[str]:
    overrides = []
    if set(chosen) != set(other):
        overrides.append(f"{REGULARIZATION}={format_value(sorted(chosen) or ['none'])}")
    for name in chosen:
        if name in other:
            overrides += _knob_difference(f"{REGULARIZATION}.{name}", chosen[name], other[name])
    return overrides


def _knob_difference(key: str, knobs: Choices, other: Choices) -> list[str]:
    return [f"{key}.{k}={format_value(v)}" for k, v in knobs.items() if other.get(k) != v]

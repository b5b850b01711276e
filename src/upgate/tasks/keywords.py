"""Modules for a Trainer of one's own: Python's keywords, composed as the command line's words."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from upgate.config.compose import compose
from upgate.config.keywords import check_parts, keyword_overrides
from upgate.config.values import Section, SpecValues
from upgate.model.backbone import ModelWords, check_knobs
from upgate.recipe.recipe import recipe_knobs


class Given(NamedTuple):
    """What a caller said: of the task what the defaults depend on, the network, the recipe."""

    task: str
    settings: Mapping[str, Any]
    model: Mapping[str, Any] | None
    recipe: Mapping[str, Any]


def net_spec(given: Given, task: Section, seed: int, skip: bool = False) -> SpecValues:
    """What a module and its predictions read of a run's spec. Raises UserError.

    task: the checked settings; skip: whether the data hold a reference's forecast to start from.
    """
    check_parts(given.recipe)
    check_parts(given.model or {}, tuple(ModelWords.__annotations__))  # skip is the data's
    model = {**(given.model or {}), "skip": "reference" if skip else "none"}
    words = {"task": {"name": given.task, **given.settings}, "model": model, **given.recipe}
    config = compose(keyword_overrides(words))
    chosen = {"name": config["model"]["name"], **check_knobs(config["model"])}
    chosen |= {"skip": "reference"} if skip else {}
    recipe = recipe_knobs(config)
    return {"task": dict(task), "model": chosen, "recipe": recipe, "seed": seed}
